"""strata container prune: containers that do not run go."""

from __future__ import annotations

from app.cli.output import gathered
from app.cli.pruning import add_flags, go_on, tell

TYPE_CHECKING = False
if TYPE_CHECKING:
    from app.cli.flags import Args, Parser


def add_arguments(parser: Parser) -> None:
    parser.describe("[OPTIONS]", most=0)
    add_flags(parser, '"until=24h"')


def run(args: Args) -> int:
    from engine.engine import Engine

    warning = "This will remove all stopped containers."
    if go_on(args, warning):
        tell(Engine(args.root).prune_containers(filters=gathered(args.filter)))
    return 0
