"""strata run: create a container, start it, and (unless -d) stay with it until it ends."""

from __future__ import annotations

from app.cli.choices import add_container_flags, add_stream_flags, create, stream_choices
from app.cli.flags import BadChoice
from app.cli.output import out, said, words
from engine.errors import StrataError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from app.cli.flags import Args, Parser

EXIT_ENGINE = 125


def add_arguments(parser: Parser) -> None:
    parser.describe("[OPTIONS] IMAGE [COMMAND] [ARG...]", least=1, most=None, interspersed=False)
    parser.add_argument(
        "-d", "--detach", action="store_true", help="Run container in background and print container ID"
    )
    add_container_flags(parser)
    add_stream_flags(parser)


def run(args: Args) -> int:
    if args.interactive and args.tty and not args.detach:
        from app.cli.streams import check_terminal

        check_terminal()
    try:
        return _run(args)
    except BrokenPipeError:
        raise
    except StrataError as error:
        return failed(args, error, error.exit_status if error.exit_status in (126, 127) else EXIT_ENGINE)
    except (BadChoice, OSError) as error:
        return failed(args, error, EXIT_ENGINE)


def failed(args: Args, error: Exception, status: int) -> int:
    """docker's way of saying that run came to nothing."""
    words(f"strata: {said(error)}\n\nRun '{args.path} --help' for more information")
    return status


def _run(args: Args) -> int:
    from engine.engine import Engine

    with Engine(args.root) as engine:
        _ = engine.launcher  # first of all: it gets ready while the container is made
        container_id = create(engine, args)
        if args.detach:
            out(f"{container_id}\n")
            engine.start(container_id)
            return 0
        from app.cli.streams import connect, terminal_size

        size = terminal_size() if args.tty else (0, 0)
        session = engine.start(container_id, attach=True, stdin=args.interactive, size=size)
        assert session is not None
    status = connect(session, stdin=args.interactive, tty=args.tty, **stream_choices(args))
    return 0 if status is None else status
