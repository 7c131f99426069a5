"""The flags of run and create that say what a container sees: namespaces, mounts, devices, groups, sysctls."""

from __future__ import annotations

from app.cli.flags import BadChoice, number
from app.cli.sizes import memory_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    from app.cli.flags import Args, Parser

    T = TypeVar("T")

_MODES = ("network", "pid", "ipc", "uts", "userns", "cgroupns")


def add_flags(parser: Parser) -> None:
    """The flags."""
    add = parser.add_argument
    add("--cgroupns", default="", help='Cgroup namespace to use: the host\'s ("host") or its own ("private")')
    add("--device", action="append", metavar="list", help="Add a host device to the container: HOST[:INSIDE[:rwm]]")
    add(
        "--device-cgroup-rule",
        action="append",
        type=_device_rule,
        metavar="list",
        help="Add a rule to the cgroup allowed devices list",
    )
    add("--group-add", action="append", metavar="list", help="Add additional groups to join")
    add("--ipc", default="", help='IPC mode to use ("none", "private", "shareable", "host", "container:NAME")')
    add("--network", default="", help='Connect a container to a network ("none", "host", "container:NAME")')
    add("--net", default="", help="Same as --network")
    add("--oom-score-adj", default=0, type=number, metavar="int", help="Tune host's OOM preferences (-1000 to 1000)")
    add("--pid", default="", help='PID namespace to use ("host", "container:NAME")')
    add("--read-only", action="store_true", help="Mount the container's root filesystem as read only")
    add("--shm-size", default=0, type=memory_size, metavar="bytes", help="Size of /dev/shm")
    add("--sysctl", action="append", type=_sysctl, metavar="map", help="Sysctl options")
    add("--tmpfs", action="append", metavar="list", help="Mount a tmpfs directory: PATH[:OPTIONS]")
    add("--ulimit", action="append", type=_ulimit, metavar="ulimit", help="Ulimit options: NAME=SOFT[:HARD]")
    add("--userns", default="", help='User namespace to use ("host"; "auto": one of its own, with ids nobody else has)')
    add("--uts", default="", help='UTS namespace to use ("host", "container:NAME")')


def chosen(args: Args) -> dict[str, Any]:
    """The fields of `engine.settings.Settings` that they ask for. BadChoice for what cannot be."""
    modes = {name: getattr(args, name) for name in _MODES}
    modes["network"] = args.network or args.net
    found: dict[str, Any] = {name: mode for name, mode in modes.items() if mode}
    for name, value in (
        ("group_add", tuple(args.group_add)),
        ("ulimits", tuple({text.partition("=")[0]: text for text in args.ulimit}.values())),
        ("device_cgroup_rules", tuple(rule for rules in args.device_cgroup_rule for rule in rules)),
        ("sysctls", dict(args.sysctl)),
        ("oom_score_adj", args.oom_score_adj),
        ("read_only", args.read_only),
        ("shm_size", args.shm_size),
    ):
        if value:
            found[name] = value
    if args.device or args.tmpfs:
        from engine.commands import notation
        from engine.errors import InvalidInput

        try:
            found["devices"] = tuple(notation.device(text) for text in args.device)
        except InvalidInput as error:
            raise BadChoice(str(error)) from None
        found["tmpfs"] = {path: options for path, _, options in (text.partition(":") for text in args.tmpfs)}
    return found


def _sysctl(text: str) -> tuple[str, str]:
    from engine.commands.notation import sysctl

    return _read(sysctl, text)


def _ulimit(text: str) -> str:
    from engine.commands.notation import ulimit

    return _read(ulimit, text)


def _device_rule(text: str) -> tuple[str, ...]:
    from engine.commands.notation import device_rule

    return _read(device_rule, text)


def _read(convert: Callable[[str], T], text: str) -> T:
    """A flag's value in its own notation; the engine's InvalidInput becomes the parser's ValueError."""
    from engine.errors import InvalidInput

    try:
        return convert(text)
    except InvalidInput as error:
        raise ValueError(str(error)) from None
