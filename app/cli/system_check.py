"""strata system check: is everything there that images and containers need?"""

from __future__ import annotations

from app.cli.format import visible
from app.cli.output import out

TYPE_CHECKING = False
if TYPE_CHECKING:
    from app.cli.flags import Args, Parser


def add_arguments(parser: Parser) -> None:
    parser.describe(
        "[OPTIONS]",
        "Check that the store is whole. The exit status is 1 when something is missing or damaged;\n"
        "leftovers, which nobody needs, are told but are no error.",
        most=0,
    )
    parser.add_argument("--deep", action="store_true", help="Read every byte and compare digests")
    parser.add_argument("--repair", action="store_true", help="Mend what can be mended, and remove leftovers")


def run(args: Args) -> int:
    from engine.engine import Engine

    report = Engine(args.root).check(repair=args.repair, deep=args.deep)
    for text in report.mended:
        out(f"mended: {visible(text)}\n")
    for one in report.problems:
        out(f"{one.kind} {visible(one.what)}: {visible(one.text)}\n")
    for one in report.leftovers:
        out(f"leftover {visible(one.what)}: {visible(one.text)}\n")
    if report.problems:
        out(f"{len(report.problems)} problems; `strata system check --repair` mends what can be mended\n")
        return 1
    out("The store is whole.\n")
    return 0
