"""strata push: an image to a registry, or to another engine or an archive."""

from __future__ import annotations

from app.cli.catalog import COMMANDS
from app.cli.output import out

TYPE_CHECKING = False
if TYPE_CHECKING:
    from app.cli.flags import Args, Parser

UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def add_arguments(parser: Parser) -> None:
    parser.describe(
        "[OPTIONS] NAME[:TAG] [TARGET]",
        f"{COMMANDS['push'][1]}.\n"
        "TARGET: another name, or docker-daemon:NAME, podman:NAME, oci:DIR[:TAG], oci-archive:FILE[:TAG],\n"
        "docker-archive:FILE[:NAME]",
        least=1,
        most=2,
    )
    parser.add_argument("-a", "--all-tags", action="store_true", help="Push all tags of an image to the repository")
    parser.add_argument("-q", "--quiet", action="store_true", help="Suppress verbose output")
    parser.add_argument(
        "--compression", default="", help='Compression of layers that have none yet ("gzip", "zstd", "none")'
    )
    parser.add_argument(
        "--chunk-size", default=0, type=size, metavar="bytes", help="Upload layers in requests of so many bytes"
    )


def size(text: str) -> int:
    """docker's bytes: "10m". ValueError."""
    number = text.lower().removesuffix("b") or text
    unit = number[-1:] if number[-1:] in UNITS else ""
    digits = number.removesuffix(unit)
    if not (digits.isascii() and digits.isdigit()):
        raise ValueError(f'invalid size: "{text}"')
    return int(digits) * UNITS[unit]


def run(args: Args) -> int:
    from app.cli.progress import Bars
    from engine.commands.places import parse_place
    from engine.engine import Engine
    from engine.oci.references import parse_reference

    ref, target = args.words[0], args.words[1] if len(args.words) > 1 else ""
    if not args.quiet and not args.all_tags and (not target or parse_place(target) is None):
        goal = target or ref
        name = parse_reference(goal)
        if not name.digest and not goal.endswith(":" + name.tag):
            out("Using default tag: latest\n")
    engine = Engine(args.root)
    with Bars(quiet=args.quiet) as bars:
        pushed = engine.push(
            ref,
            target,
            all_tags=args.all_tags,
            compression=args.compression,
            chunk=args.chunk_size,
            report=bars.report,
        )
    for image in pushed:
        name = parse_reference(image.name)
        if args.quiet:
            out(f"{name}\n")
        else:
            out(f"{name.tag}: digest: {image.digest} size: {image.size}\n")
    return 0
