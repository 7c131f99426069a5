"""strata tag: one more name for an image."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from app.cli.flags import Args, Parser


def add_arguments(parser: Parser) -> None:
    parser.describe("SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]", least=2, most=2)


def run(args: Args) -> int:
    from engine.engine import Engine

    Engine(args.root).tag(*args.words)
    return 0
