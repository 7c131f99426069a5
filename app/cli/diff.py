"""strata diff: what a container added, changed and deleted."""

from __future__ import annotations

import sys

from app.cli.output import out

TYPE_CHECKING = False
if TYPE_CHECKING:
    from app.cli.flags import Args, Parser


def add_arguments(parser: Parser) -> None:
    parser.describe("CONTAINER", least=1, most=1)


def run(args: Args) -> int:
    from app.cli.format import visible
    from engine.engine import Engine

    shown = visible if sys.stdout.isatty() else str
    out("".join(f"{change.kind} {shown('/' + change.path)}\n" for change in Engine(args.root).diff(args.words[0])))
    return 0
