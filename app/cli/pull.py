"""strata pull: images from a registry, or from another engine or an archive."""

from __future__ import annotations

from app.cli.catalog import COMMANDS
from app.cli.output import out

TYPE_CHECKING = False
if TYPE_CHECKING:
    from app.cli.flags import Args, Parser


def add_arguments(parser: Parser) -> None:
    parser.describe(
        "[OPTIONS] NAME[:TAG|@DIGEST]",
        f"{COMMANDS['pull'][1]}:\n"
        "docker-daemon:NAME, podman:NAME, oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:NAME]",
        least=1,
        most=1,
    )
    parser.add_argument("-a", "--all-tags", action="store_true", help="Download all tagged images in the repository")
    parser.add_argument("-q", "--quiet", action="store_true", help="Suppress verbose output")
    parser.add_argument("--platform", default="", help='Platform of the image, formatted as "os[/arch[/variant]]"')


def run(args: Args) -> int:
    from app.cli.progress import Bars
    from engine.commands.places import parse_place
    from engine.engine import Engine
    from engine.oci.references import parse_reference

    ref = args.words[0]
    place = parse_place(ref)
    if place is None and not args.all_tags and not args.quiet:
        reference = parse_reference(ref)
        if not reference.digest and not ref.endswith(":" + reference.tag):
            out("Using default tag: latest\n")
    with Bars(quiet=args.quiet) as bars:
        pulled = Engine(args.root).pull(ref, platform=args.platform, all_tags=args.all_tags, report=bars.report)
    for image in pulled:
        full = str(parse_reference(image.name)) if image.name else image.image
        if not args.quiet:
            if image.digest:
                out(f"Digest: {image.digest}\n")
            state = "Downloaded newer image for" if image.fresh else "Image is up to date for"
            out(f"Status: {state} {image.name or image.image}\n")
        out(f"{full}\n")
    return 0
