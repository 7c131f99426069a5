"""The flags that run and create share, and what they add up to: `CreateOptions`."""

from __future__ import annotations

import os

from app.cli import confining, limits, living, spaces
from app.cli.flags import BadChoice, number
from engine.errors import NoSuchImage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from app.cli.flags import Args, Parser
    from engine.commands.options import CreateOptions
    from engine.engine import Engine

STREAMS = ("stdin", "stdout", "stderr")
PULL = ("always", "missing", "never")


def add_process_flags(parser: Parser) -> None:
    """What a process gets, in run, create and exec."""
    parser.add_argument("-e", "--env", action="append", type=variable, metavar="list", help="Set environment variables")
    parser.add_argument("--env-file", action="append", metavar="list", help="Read in a file of environment variables")
    parser.add_argument("-i", "--interactive", action="store_true", help="Keep STDIN open even if not attached")
    parser.add_argument("-t", "--tty", action="store_true", help="Allocate a pseudo-TTY")
    parser.add_argument("-u", "--user", default="", help='Username or UID (format: "<name|uid>[:<group|gid>]")')
    parser.add_argument("-w", "--workdir", default="", help="Working directory inside the container")


def add_container_flags(parser: Parser) -> None:
    """What a container gets, in run and create."""
    add_process_flags(parser)
    parser.add_argument(
        "-a", "--attach", action="append", type=_stream, metavar="list", help="Attach to STDIN, STDOUT or STDERR"
    )
    parser.add_argument("--cidfile", default="", help="Write the container ID to the file")
    parser.add_argument("--entrypoint", help="Overwrite the default ENTRYPOINT of the image")
    parser.add_argument("-h", "--hostname", default="", help="Container host name")
    parser.add_argument("-l", "--label", action="append", metavar="list", help="Set meta data on a container")
    parser.add_argument("--name", default="", help="Assign a name to the container")
    parser.add_argument(
        "--pull", default="missing", type=_pull, help='Pull image before running ("always", "missing", "never")'
    )
    parser.add_argument("--platform", default="", help="Pull the image for this platform (os/arch[/variant])")
    parser.add_argument("-q", "--quiet", action="store_true", help="Suppress the pull output")
    parser.add_argument("--rm", action="store_true", help="Automatically remove the container when it exits")
    parser.add_argument("--stop-signal", default="", help="Signal to stop the container")
    parser.add_argument("--stop-timeout", type=number, metavar="int", help="Timeout (in seconds) to stop a container")
    for group in (confining, spaces, limits, living):
        group.add_flags(parser)


def add_stream_flags(parser: Parser) -> None:
    """How the caller is attached, in run and start."""
    parser.add_argument(
        "--detach-keys", type=detach_keys, metavar="string", help="Override the key sequence for detaching a container"
    )
    parser.add_argument("--sig-proxy", action="store_true", default=True, help="Proxy received signals to the process")


def create_options(args: Args) -> CreateOptions:
    """What the flags and the words (the image, then the command) ask for. BadChoice, OSError of an env-file."""
    from engine.commands.options import CreateOptions
    from engine.settings import Settings

    if args.cidfile and os.path.lexists(args.cidfile):
        raise BadChoice(
            f"container ID file found, make sure the other container isn't running or delete {args.cidfile}"
        )
    entrypoint: tuple[str, ...] | None = None
    if args.entrypoint is not None:
        entrypoint = (args.entrypoint,) if args.entrypoint else ()
    return CreateOptions(
        name=args.name,
        command=tuple(args.words[1:]),
        entrypoint=entrypoint,
        env=environment(args),
        cwd=args.workdir,
        user=args.user,
        hostname=args.hostname,
        tty=args.tty,
        open_stdin=args.interactive,
        attached=attached(args),
        auto_remove=args.rm,
        labels={key: value for key, _, value in (label.partition("=") for label in args.label)},
        stop_signal=args.stop_signal,
        stop_timeout=args.stop_timeout,
        settings=Settings(
            **{key: value for group in (confining, spaces, limits, living) for key, value in group.chosen(args).items()}
        ),
    )


def attached(args: Args) -> tuple[str, ...]:
    """The streams that the caller stays with: those of -a, else none of a detached run's, else all that are open."""
    if args.attach:
        return tuple(stream for stream in STREAMS if stream in args.attach)
    if getattr(args, "detach", False):
        return ()
    return STREAMS if args.interactive else STREAMS[1:]


def environment(args: Args) -> tuple[str, ...]:
    """Variables of the env-files, then of -e; "KEY" alone takes this process's own value, or takes it away."""
    items = [item for path in args.env_file for item in read_env_file(path)] + args.env
    found = []
    for item in items:
        if "=" not in item and item in os.environ:
            item = f"{item}={os.environ[item]}"
        found.append(item)
    return tuple(found)


def read_env_file(path: str) -> list[str]:
    """docker's form: a variable a line, # for comments, blanks before it are dropped. BadChoice names a bad line."""
    with open(path, "rb") as file:
        lines = [line.removesuffix("\r") for line in file.read().decode("utf-8-sig", "surrogateescape").split("\n")]
    found = []
    for line in lines:
        item = line.lstrip()
        if not item or item.startswith("#"):
            continue
        key, equals, _ = item.partition("=")
        if not key:
            raise BadChoice(f"no variable name on line '{item}'")
        if any(char.isspace() for char in key):
            raise BadChoice(f"variable '{key}' contains whitespaces")
        if equals or key in os.environ:
            found.append(item)
    return found


def create(engine: Engine, args: Args) -> str:
    """Make the container that the flags ask for, and its cidfile; returns its id. BadChoice, OSError of a file."""
    options = create_options(args)
    image = args.words[0]
    if args.pull == "always":
        from app.cli.pulling import pull

        pull(engine, image, args)
    try:
        if args.platform:
            from app.cli.pulling import check_platform

            check_platform(engine, image, args.platform)
        container_id = engine.create(image, options, warn=_warning)
    except NoSuchImage as error:
        from app.cli.pulling import pull_missing

        pull_missing(engine, image, args, error)
        container_id = engine.create(image, options, warn=_warning)
    if args.cidfile:
        try:
            with open(args.cidfile, "x", encoding="ascii") as file:
                file.write(container_id)
        except OSError:
            engine.remove(container_id)
            raise
    return container_id


def _warning(text: str) -> None:
    from app.cli.output import words

    words(f"WARNING: {text}")


def variable(text: str) -> str:
    """A -e value. ValueError when its name is empty."""
    if not text or text.startswith("="):
        raise ValueError(f"invalid environment variable: {text}")
    return text


def detach_keys(text: str) -> bytes:
    """docker's notation: keys with commas between, each one character, or ctrl- and one of a-z @ ^ [ \\ ] _."""
    keys = bytearray()
    for key in text.split(",") if text else ():
        control = key.removeprefix("ctrl-")
        if len(key) == 1 and key.isascii():
            keys += key.encode()
        elif control != key and len(control) == 1 and control in "abcdefghijklmnopqrstuvwxyz@[\\]^_":
            keys.append(ord(control.upper()) & 0x1F)
        else:
            raise ValueError(f"Unknown character: '{key}'")
    return bytes(keys)


def stream_choices(args: Args) -> dict[str, Any]:
    """The keyword arguments of `streams.connect` that come from flags."""
    return {"proxy": args.sig_proxy, **({"keys": args.detach_keys} if args.detach_keys else {})}


def _stream(text: str) -> str:
    if text.lower() not in STREAMS:
        raise ValueError("valid streams are STDIN, STDOUT and STDERR")
    return text.lower()


def _pull(text: str) -> str:
    if text not in PULL:
        raise ValueError('must be one of "always", "missing" or "never"')
    return text
