"""strata save: images into an archive."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from app.cli.flags import Args, Parser


def add_arguments(parser: Parser) -> None:
    parser.describe("[OPTIONS] IMAGE [IMAGE...]", least=1, most=None)
    parser.add_argument("-o", "--output", default="", help="Write to a file, instead of STDOUT")
    parser.add_argument(
        "--platform", default="", help='Save only the given platform, formatted as "os[/arch[/variant]]"'
    )


def run(args: Args) -> int:
    from app.cli.outfile import outfile
    from engine.engine import Engine

    with outfile(args.output) as out:
        Engine(args.root).save(args.words, out, platform=args.platform)
    return 0
