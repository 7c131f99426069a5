"""strata rename: another name for a container."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from app.cli.flags import Args, Parser


def add_arguments(parser: Parser) -> None:
    parser.describe("CONTAINER NEW_NAME", least=2, most=2)


def run(args: Args) -> int:
    from engine.engine import Engine

    Engine(args.root).rename(*args.words)
    return 0
