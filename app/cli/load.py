"""strata load: images out of an archive."""

from __future__ import annotations

import sys

from app.cli.output import out

TYPE_CHECKING = False
if TYPE_CHECKING:
    from app.cli.flags import Args, Parser


def add_arguments(parser: Parser) -> None:
    parser.describe("[OPTIONS]")
    parser.add_argument("-i", "--input", default="", help="Read from tar archive file, instead of STDIN")
    parser.add_argument("-q", "--quiet", action="store_true", help="Suppress the load output")


def run(args: Args) -> int:
    from engine.engine import Engine
    from engine.errors import InvalidInput
    from engine.oci.references import familiar

    engine = Engine(args.root)
    if args.input:
        with open(args.input, "rb") as file:
            images = engine.load(file)
    elif sys.stdin.isatty():
        raise InvalidInput("requested load from stdin, but stdin is empty")
    else:
        images = engine.load(sys.stdin.buffer)
    for image in images:
        for name in image.names:
            out(f"Loaded image: {familiar(name)}\n")
        if not image.names:
            out(f"Loaded image ID: {image.image}\n")
    return 0
