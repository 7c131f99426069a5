"""strata stop: ask containers to end, and see that they do."""

from __future__ import annotations

from app.cli.flags import number
from app.cli.targets import each

TYPE_CHECKING = False
if TYPE_CHECKING:
    from app.cli.flags import Args, Parser


def add_stop_flags(parser: Parser) -> None:
    """How to stop, in stop and restart; --time is what --timeout was called before docker 28."""
    parser.add_argument("-s", "--signal", help="Signal to send to the container")
    parser.add_argument(
        "-t", "--timeout", type=number, metavar="int", help="Seconds to wait before killing the container"
    )
    parser.add_argument("--time", type=number, metavar="int")


def grace(args: Args) -> int | None:
    """The seconds that the flags give; None when they say nothing."""
    if args.time is not None and args.timeout is not None:
        raise args.parser.wrong("conflicting options: cannot specify both --timeout and --time", 1)
    seconds: int | None = args.timeout if args.timeout is not None else args.time
    return seconds


def add_arguments(parser: Parser) -> None:
    parser.describe("[OPTIONS] CONTAINER [CONTAINER...]", least=1, most=None)
    add_stop_flags(parser)


def run(args: Args) -> int:
    from engine.engine import Engine

    seconds = grace(args)
    engine = Engine(args.root)
    return each(args.words, lambda ref: engine.stop(ref, seconds, args.signal))
