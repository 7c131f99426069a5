"""strata run: create a container, start it, and (unless -d) stay with it until it ends."""

from __future__ import annotations

from app.cli.choices import add_container_flags, add_stream_flags, attached, create, stream_choices
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
    if args.attach and args.detach:
        return failed(args, BadChoice("conflicting options: cannot specify both --attach and --detach"), EXIT_ENGINE)
    streams = attached(args)
    if "stdin" in streams and args.interactive and args.tty:
        from app.cli.terminal import check_terminal

        check_terminal()
    try:
        return _run(args, streams)
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


def _run(args: Args, streams: tuple[str, ...]) -> int:
    from engine.engine import Engine

    with Engine(args.root) as engine:
        _ = engine.launcher  # first of all: it gets ready while the container is made
        container_id = create(engine, args)
        if args.detach:
            out(f"{container_id}\n")
            engine.start(container_id)
            return 0
        from app.cli.streams import connect
        from app.cli.terminal import terminal_size

        size = terminal_size() if args.tty else (0, 0)
        stdin = args.interactive and "stdin" in streams
        session = engine.start(container_id, attach=True, stdin=stdin, size=size)
        assert session is not None
    outputs = [stream for stream in streams if stream != "stdin"]
    status = connect(session, stdin=stdin, tty=args.tty, outputs=outputs, **stream_choices(args))
    if not outputs:  # nobody stays to see how it ends: docker gives the id instead
        out(f"{container_id}\n")
        return 0
    return 0 if status is None else status
