"""strata wait: until containers have ended; their exit statuses."""

from __future__ import annotations

from app.cli.targets import each

TYPE_CHECKING = False
if TYPE_CHECKING:
    from app.cli.flags import Args, Parser


def add_arguments(parser: Parser) -> None:
    parser.describe("CONTAINER [CONTAINER...]", least=1, most=None)


def run(args: Args) -> int:
    from engine.engine import Engine

    engine = Engine(args.root)
    return each(args.words, lambda ref: str(engine.wait(ref)))
