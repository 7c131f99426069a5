"""strata system prune: what nobody uses goes, and what crashes left."""

from __future__ import annotations

from app.cli.output import gathered
from app.cli.pruning import add_flags, go_on, tell

TYPE_CHECKING = False
if TYPE_CHECKING:
    from app.cli.flags import Args, Parser


def add_arguments(parser: Parser) -> None:
    parser.describe("[OPTIONS]", most=0)
    parser.add_argument("-a", "--all", action="store_true", help="Remove all unused images, not just dangling ones")
    parser.add_argument("--volumes", action="store_true", help="Prune anonymous volumes (this version makes none)")
    add_flags(parser, '"until=24h"')


def run(args: Args) -> int:
    from engine.engine import Engine

    images = "images without at least one container associated to them" if args.all else "dangling images"
    warning = (
        f"This will remove:\n  - all stopped containers\n  - all {images}\n  - layers, archives and downloads that "
        "nothing needs\n"
    )
    if go_on(args, warning):
        tell(Engine(args.root).prune_system(all=args.all, filters=gathered(args.filter)))
    return 0
