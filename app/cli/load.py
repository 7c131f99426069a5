"""strata load: images out of an archive or a layout's directory."""

from __future__ import annotations

import os
import sys

from app.cli.output import out

TYPE_CHECKING = False
if TYPE_CHECKING:
    from app.cli.flags import Args, Parser
    from engine.archive.load import Loaded
    from engine.progress import Report


def add_arguments(parser: Parser) -> None:
    parser.describe("[OPTIONS]")
    parser.add_argument(
        "-i", "--input", default="", help="Read from tar archive file or OCI layout directory, instead of STDIN"
    )
    parser.add_argument(
        "--platform", default="", help='Load only the given platform, formatted as "os[/arch[/variant]]"'
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="Suppress the load output")


def run(args: Args) -> int:
    from app.cli.progress import Bars
    from engine.errors import InvalidInput
    from engine.oci.references import familiar

    if not args.input and sys.stdin.isatty():
        raise InvalidInput("requested load from stdin, but stdin is empty")
    with Bars(lines=False, quiet=args.quiet) as bars:
        images = _load(args, bars.report)
    for image in images:
        for name in image.names:
            out(f"Loaded image: {familiar(name)}\n")
        if not image.names:
            out(f"Loaded image ID: {image.image}\n")
    return 0


def _load(args: Args, report: Report) -> list[Loaded]:
    from engine.engine import Engine

    engine = Engine(args.root)
    if not args.input:
        return engine.load(sys.stdin.buffer, platform=args.platform, report=report)
    if os.path.isdir(args.input):
        return engine.load(args.input, platform=args.platform, report=report)
    with open(args.input, "rb") as file:
        return engine.load(file, platform=args.platform, report=report)
