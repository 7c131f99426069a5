"""strata attach: this terminal becomes a running container's."""

from __future__ import annotations

from app.cli.choices import add_stream_flags, stream_choices

TYPE_CHECKING = False
if TYPE_CHECKING:
    from app.cli.flags import Args, Parser


def add_arguments(parser: Parser) -> None:
    parser.describe("[OPTIONS] CONTAINER", least=1, most=1)
    parser.add_argument("--no-stdin", action="store_true", help="Do not attach STDIN")
    add_stream_flags(parser)


def run(args: Args) -> int:
    from app.cli.streams import connect
    from app.cli.terminal import check_terminal, terminal_size
    from engine.engine import Engine

    with Engine(args.root) as engine:
        own = engine.container(args.words[0])
        stdin = own.config.open_stdin and not args.no_stdin
        if stdin and own.config.tty and own.state.status == "running":
            check_terminal()
        size = terminal_size() if own.config.tty else (0, 0)
        session = engine.attach(own.id, stdin=stdin, size=size)
    status = connect(session, stdin=stdin, tty=own.config.tty, **stream_choices(args))
    return 0 if status is None else status
