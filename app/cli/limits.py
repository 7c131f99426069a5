"""The flags of run, create and update that limit what a container may use, and their values in docker's notation."""

from __future__ import annotations

from app.cli.flags import BadChoice, number
from app.cli.sizes import memory_size, swap_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from app.cli.flags import Args, Parser

NANO = 9
WEIGHTS = range(10, 1001)

# Of `engine.settings.Limits`: field → the flag's attribute.
CHANGEABLE = {
    "memory": "memory",
    "memory_swap": "memory_swap",
    "memory_reservation": "memory_reservation",
    "nano_cpus": "cpus",
    "cpu_quota": "cpu_quota",
    "cpu_period": "cpu_period",
    "cpu_shares": "cpu_shares",
    "cpuset_cpus": "cpuset_cpus",
    "cpuset_mems": "cpuset_mems",
    "pids": "pids_limit",
    "blkio_weight": "blkio_weight",
}
FIXED = {
    "memory_swappiness": "memory_swappiness",
    "oom_kill_disable": "oom_kill_disable",
    "blkio_weight_device": "blkio_weight_device",
    "device_read_bps": "device_read_bps",
    "device_write_bps": "device_write_bps",
    "device_read_iops": "device_read_iops",
    "device_write_iops": "device_write_iops",
}


def add_flags(parser: Parser) -> None:
    """All of them, for run and create."""
    add_changeable_flags(parser)
    parser.add_argument(
        "--memory-swappiness",
        type=number,
        default=-1,
        metavar="int",
        help="Tune container memory swappiness (0 to 100)",
    )
    parser.add_argument("--oom-kill-disable", action="store_true", help="Disable OOM Killer")
    parser.add_argument(
        "--blkio-weight-device",
        action="append",
        type=_weight_of_device,
        metavar="list",
        help="Block IO weight (relative device weight)",
    )
    for name, convert, text in (
        ("--device-read-bps", _rate_of_device, "Limit read rate (bytes per second) from a device"),
        ("--device-read-iops", _operations_of_device, "Limit read rate (IO per second) from a device"),
        ("--device-write-bps", _rate_of_device, "Limit write rate (bytes per second) to a device"),
        ("--device-write-iops", _operations_of_device, "Limit write rate (IO per second) to a device"),
    ):
        parser.add_argument(name, action="append", type=convert, metavar="list", help=text)


def add_changeable_flags(parser: Parser) -> None:
    """Those that update has too."""
    parser.add_argument("-m", "--memory", type=memory_size, metavar="bytes", help="Memory limit")
    parser.add_argument("--memory-reservation", type=memory_size, metavar="bytes", help="Memory soft limit")
    parser.add_argument(
        "--memory-swap",
        type=swap_size,
        metavar="bytes",
        help="Swap limit equal to memory plus swap: '-1' to enable unlimited swap",
    )
    parser.add_argument("--cpus", type=nano_cpus, metavar="decimal", help="Number of CPUs")
    for name, text in (
        ("--cpu-quota", "Limit CPU CFS (Completely Fair Scheduler) quota"),
        ("--cpu-period", "Limit CPU CFS (Completely Fair Scheduler) period"),
        ("--pids-limit", "Tune container pids limit (set -1 for unlimited)"),
    ):
        parser.add_argument(name, type=number, metavar="int", help=text)
    parser.add_argument("-c", "--cpu-shares", type=number, metavar="int", help="CPU shares (relative weight)")
    parser.add_argument("--cpuset-cpus", default="", help="CPUs in which to allow execution (0-3, 0,1)")
    parser.add_argument("--cpuset-mems", default="", help="MEMs in which to allow execution (0-3, 0,1)")
    parser.add_argument(
        "--blkio-weight",
        type=_weight,
        metavar="uint16",
        help="Block IO (relative weight), between 10 and 1000, or 0 to disable",
    )


def chosen(args: Args) -> dict[str, Any]:
    """The fields of `engine.settings.Settings` that they ask for. BadChoice for what cannot be."""
    found = changes(args)
    swappiness = args.memory_swappiness
    if swappiness != -1:
        if not 0 <= swappiness <= 100:
            raise BadChoice(f"invalid value: {swappiness}. Valid memory swappiness range is 0-100")
        found["memory_swappiness"] = swappiness
    for field, flag in FIXED.items():
        if field != "memory_swappiness" and (value := getattr(args, flag)):
            found[field] = tuple(value) if isinstance(value, list) else value
    if not found:
        return {}
    from engine.settings import Limits

    return {"limits": Limits(**found)}


def changes(args: Args) -> dict[str, Any]:
    """The fields of `engine.settings.Limits` that the changeable flags ask for; those not given are left out."""
    found = {field: getattr(args, flag) for field, flag in CHANGEABLE.items() if getattr(args, flag)}
    if args.pids_limit is not None and args.pids_limit <= 0:
        found["pids"] = -1
    return found


def nano_cpus(text: str) -> int:
    """A decimal number of processors in 10⁻⁹ of one. ValueError in docker's words."""
    sign = -1 if text.startswith("-") else 1
    whole, _, fraction = text.removeprefix("-").partition(".")
    digits = whole + fraction
    if not digits.isascii() or not digits.isdecimal():
        raise ValueError(f"failed to parse {text} as a rational number")
    fraction = fraction.rstrip("0")
    if len(fraction) > NANO:
        raise ValueError("value is too precise")
    return sign * int((whole or "0") + fraction.ljust(NANO, "0"))


def _weight(text: str) -> int:
    weight = number(text)
    if not 0 <= weight < 65536:
        raise ValueError("value out of range")
    return weight


def _weight_of_device(text: str) -> str:
    """ "/dev/sda:500" """
    path, value = _device(text)
    if not value.isdecimal() or (int(value) and int(value) not in WEIGHTS):
        raise ValueError(f"invalid weight for device: {text}")
    return f"{path}:{int(value)}"


def _rate_of_device(text: str) -> str:
    """ "/dev/sda:1mb" with the rate in bytes."""
    path, value = _device(text)
    try:
        return f"{path}:{memory_size(value)}"
    except ValueError:
        raise ValueError(
            f"invalid rate for device: {text}. The correct format is <device-path>:<number>[<unit>]. "
            "Number must be a positive integer. Unit is optional and can be kb, mb, or gb"
        ) from None


def _operations_of_device(text: str) -> str:
    """ "/dev/sda:100" """
    path, value = _device(text)
    if not value.isascii() or not value.isdecimal():
        raise ValueError(
            f"invalid rate for device: {text}. The correct format is <device-path>:<number>. "
            "Number must be a positive integer"
        )
    return f"{path}:{int(value)}"


def _device(text: str) -> tuple[str, str]:
    path, colon, value = text.partition(":")
    if not (path and colon and value):
        raise ValueError(f"bad format: {text}")
    if not path.startswith("/dev/"):
        raise ValueError(f"bad format for device path: {text}")
    return path, value
