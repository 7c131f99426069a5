"""strata import: a flat tar becomes an image of one layer."""

from __future__ import annotations

import sys

from app.cli.output import out

TYPE_CHECKING = False
if TYPE_CHECKING:
    from app.cli.flags import Args, Parser


def add_arguments(parser: Parser) -> None:
    parser.describe("[OPTIONS] file|URL|- [REPOSITORY[:TAG]]", least=1, most=2)
    parser.add_argument(
        "-c", "--change", action="append", metavar="list", help="Apply Dockerfile instruction to the created image"
    )
    parser.add_argument("-m", "--message", default="", help="Set commit message for imported image")
    parser.add_argument("--platform", default="", help='Platform the image is for, formatted as "os[/arch[/variant]]"')


def run(args: Args) -> int:
    from app.cli.progress import Bars
    from engine.engine import Engine
    from engine.errors import InvalidInput

    source, name = args.words[0], args.words[1] if len(args.words) > 1 else ""
    if source == "-" and sys.stdin.isatty():
        raise InvalidInput("requested import from stdin, but stdin is a terminal; name a file or an address")
    with Bars(lines=False, words=True) as bars:  # standard output is for the id
        image = Engine(args.root).import_image(
            sys.stdin.buffer if source == "-" else source,
            name,
            message=args.message,
            changes=args.change,
            platform=args.platform,
            report=bars.report,
        )
    out(f"{image}\n")
    return 0
