"""strata push: an image to a registry, or to another engine or an archive."""

from __future__ import annotations

from app.cli.catalog import COMMANDS
from app.cli.output import out

TYPE_CHECKING = False
if TYPE_CHECKING:
    from app.cli.flags import Args, Parser


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


def run(args: Args) -> int:
    from app.cli.progress import Bars
    from engine.engine import Engine
    from engine.oci.references import parse_reference

    ref, target = args.words[0], args.words[1] if len(args.words) > 1 else ""
    with Bars(quiet=args.quiet) as bars:
        pushed = Engine(args.root).push(ref, target, all_tags=args.all_tags, report=bars.report)
    for image in pushed:
        name = parse_reference(image.name)
        if args.quiet:
            out(f"{name}\n")
        else:
            out(f"{name.tag or name.digest}: digest: {image.digest} size: {image.size}\n")
    return 0
