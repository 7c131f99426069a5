"""strata exec: one more process in a running container."""

from __future__ import annotations

from app.cli.choices import add_process_flags, detach_keys, environment
from app.cli.flags import BadChoice
from app.cli.output import words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from app.cli.flags import Args, Parser


def add_arguments(parser: Parser) -> None:
    parser.describe("[OPTIONS] CONTAINER COMMAND [ARG...]", least=2, most=None, interspersed=False)
    parser.add_argument("-d", "--detach", action="store_true", help="Detached mode: run command in the background")
    parser.add_argument(
        "--detach-keys", type=detach_keys, metavar="string", help="Override the key sequence for detaching a container"
    )
    parser.add_argument("--privileged", action="store_true", help="Give extended privileges to the command")
    add_process_flags(parser)


def run(args: Args) -> int:
    from app.cli.streams import connect
    from app.cli.terminal import check_terminal, terminal_size
    from engine.commands.options import ExecOptions
    from engine.engine import Engine

    stdin = args.interactive and not args.detach
    if stdin and args.tty:
        check_terminal()
    try:
        env = environment(args)
    except BadChoice as error:
        words(f"Error: {error}")
        return 1
    options = ExecOptions(
        command=tuple(args.words[1:]),
        env=tuple(item for item in env if "=" in item),
        cwd=args.workdir,
        user=args.user,
        tty=args.tty,
        stdin=stdin,
        detach=args.detach,
        privileged=args.privileged,
    )
    session = Engine(args.root).exec(args.words[0], options, terminal_size() if args.tty else (0, 0))
    if args.detach:
        return 0
    keys = {"keys": args.detach_keys} if args.detach_keys else {}
    status = connect(session, stdin=stdin, tty=args.tty, **keys)
    return 0 if status is None else status
