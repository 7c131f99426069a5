"""strata pull: images from a registry, or from another engine or an archive."""

from __future__ import annotations

from app.cli.catalog import COMMANDS
from app.cli.output import out

TYPE_CHECKING = False
if TYPE_CHECKING:
    from app.cli.flags import Args, Parser
    from engine.commands.pull import Pulled


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
    if args.quiet:
        out("".join(f"{name}\n" for name in dict.fromkeys(map(full, pulled))))
    elif args.all_tags:
        repository = parse_reference(ref)
        out(status(any(image.fresh for image in pulled), repository.familiar_repository))
        out(f"{repository.repository}\n")
    else:
        for image in pulled:
            out(status(image.fresh, image.name or image.image) + f"{full(image)}\n")
    return 0


def full(image: Pulled) -> str:
    """The whole name of what was pulled; its id when it has none."""
    from engine.oci.references import parse_reference

    return str(parse_reference(image.name)) if image.name else image.image


def status(fresh: bool, name: str) -> str:
    """docker's line about what came of it."""
    return f"Status: {'Downloaded newer image' if fresh else 'Image is up to date'} for {name}\n"
