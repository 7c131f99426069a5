"""strata stop: ask containers to end, and see that they do."""

from __future__ import annotations

from app.cli.flags import number
from app.cli.targets import each

TYPE_CHECKING = False
if TYPE_CHECKING:
    from app.cli.flags import Args, Parser


def add_arguments(parser: Parser) -> None:
    parser.describe("[OPTIONS] CONTAINER [CONTAINER...]", least=1, most=None)
    parser.add_argument("-s", "--signal", help="Signal to send to the container")
    parser.add_argument(
        "-t", "--timeout", type=number, metavar="int", help="Seconds to wait before killing the container"
    )


def run(args: Args) -> int:
    from engine.engine import Engine

    engine = Engine(args.root)
    return each(args.words, lambda ref: engine.stop(ref, args.timeout, args.signal))
