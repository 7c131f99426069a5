"""strata image prune: images without a name go; with -a all that no container uses."""

from __future__ import annotations

from app.cli.output import gathered
from app.cli.pruning import add_flags, go_on, tell

TYPE_CHECKING = False
if TYPE_CHECKING:
    from app.cli.flags import Args, Parser


def add_arguments(parser: Parser) -> None:
    parser.describe("[OPTIONS]", most=0)
    parser.add_argument("-a", "--all", action="store_true", help="Remove all unused images, not just dangling ones")
    add_flags(parser, '"until=24h"')


def run(args: Args) -> int:
    from engine.engine import Engine

    warning = "This will remove all dangling images."
    if args.all:
        warning = "This will remove all images without at least one container associated to them."
    if go_on(args, warning):
        tell(Engine(args.root).prune_images(all=args.all, filters=gathered(args.filter)))
    return 0
