"""strata export: what a container shows, as one flat archive."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from app.cli.flags import Args, Parser


def add_arguments(parser: Parser) -> None:
    parser.describe("[OPTIONS] CONTAINER", least=1, most=1)
    parser.add_argument("-o", "--output", default="", help="Write to a file, instead of STDOUT")


def run(args: Args) -> int:
    from app.cli.outfile import outfile
    from app.cli.output import words
    from engine.engine import Engine

    with outfile(args.output) as out:
        Engine(args.root).export(args.words[0], out, warn=lambda text: words(f"strata: {text}"))
    return 0
