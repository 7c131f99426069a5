"""strata restart: stop containers and start them again."""

from __future__ import annotations

from app.cli.stop import add_stop_flags, grace
from app.cli.targets import each

TYPE_CHECKING = False
if TYPE_CHECKING:
    from app.cli.flags import Args, Parser


def add_arguments(parser: Parser) -> None:
    parser.describe("[OPTIONS] CONTAINER [CONTAINER...]", least=1, most=None)
    add_stop_flags(parser)


def run(args: Args) -> int:
    from engine.engine import Engine

    seconds = grace(args)
    with Engine(args.root) as engine:
        _ = engine.launcher  # gets ready while the containers stop
        return each(args.words, lambda ref: engine.restart(ref, seconds, args.signal))
