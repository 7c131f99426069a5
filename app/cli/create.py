"""strata create: a container that is not started."""

from __future__ import annotations

from app.cli.choices import add_container_flags, create
from app.cli.flags import BadChoice
from app.cli.output import out, words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from app.cli.flags import Args, Parser


def add_arguments(parser: Parser) -> None:
    parser.describe("[OPTIONS] IMAGE [COMMAND] [ARG...]", least=1, most=None, interspersed=False)
    add_container_flags(parser)


def run(args: Args) -> int:
    from engine.engine import Engine

    try:
        out(f"{create(Engine(args.root), args)}\n")
    except BadChoice as error:
        words(f"Error: {error}")
        return 1
    return 0
