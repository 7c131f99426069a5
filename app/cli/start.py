"""strata start: start containers that do not run; with -a stay with one."""

from __future__ import annotations

from app.cli.choices import add_stream_flags, stream_choices
from app.cli.output import words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from app.cli.flags import Args, Parser


def add_arguments(parser: Parser) -> None:
    parser.describe("[OPTIONS] CONTAINER [CONTAINER...]", least=1, most=None)
    parser.add_argument("-a", "--attach", action="store_true", help="Attach STDOUT/STDERR and forward signals")
    parser.add_argument("-i", "--interactive", action="store_true", help="Attach container's STDIN")
    add_stream_flags(parser)


def run(args: Args) -> int:
    from engine.engine import Engine

    with Engine(args.root) as engine:
        _ = engine.launcher  # gets ready while the containers are looked up
        if not (args.attach or args.interactive):
            from app.cli.targets import each

            failed = list(args.words)

            def start(ref: str) -> None:
                engine.start(ref)
                failed.remove(ref)

            tried = each(args.words, start)
            if failed:
                words(f"failed to start containers: {', '.join(failed)}")
            return tried
        if len(args.words) > 1:
            raise args.parser.wrong("you cannot start and attach multiple containers at once", 1)
        from app.cli.streams import connect
        from app.cli.terminal import check_terminal, terminal_size

        config = engine.container(args.words[0]).config
        stdin = args.interactive and config.open_stdin
        if stdin and config.tty:
            check_terminal()
        size = terminal_size() if config.tty else (0, 0)
        session = engine.start(config.id, attach=True, stdin=stdin, size=size)
        assert session is not None
    status = connect(session, stdin=stdin, tty=config.tty, **stream_choices(args))
    return 0 if status is None else status
