"""strata kill: send a signal to containers."""

from __future__ import annotations

from app.cli.targets import each

TYPE_CHECKING = False
if TYPE_CHECKING:
    from app.cli.flags import Args, Parser


def add_arguments(parser: Parser) -> None:
    parser.describe("[OPTIONS] CONTAINER [CONTAINER...]", least=1, most=None)
    parser.add_argument("-s", "--signal", default="KILL", help="Signal to send to the container")


def run(args: Args) -> int:
    from engine.engine import Engine

    engine = Engine(args.root)
    return each(args.words, lambda ref: engine.kill(ref, args.signal))
