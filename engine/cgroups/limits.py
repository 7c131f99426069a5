"""What a group may use: docker's choices (`engine.settings.Limits`) as writes to the files of whatever trees there are.

v2 numbers are made from docker's, which are v1's, as runc does (github.com/opencontainers/cgroups, utils.go). Sources:
Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/{memory,cpusets,pids,blkio-controller}.rst, scheduler/sched-bwc.rst.
"""

from __future__ import annotations

import errno
import os
import stat

import engine.cgroups.files as files
from engine.settings import Limits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from engine.cgroups.groups import Group

PERIOD = 100_000
"""Microseconds: the kernel's cpu period, in which --cpus is reckoned."""

_FILES = {
    "memory": ("memory.limit_in_bytes", "memory.max"),
    "memory_swap": ("memory.memsw.limit_in_bytes", "memory.swap.max"),
    "memory_reservation": ("memory.soft_limit_in_bytes", "memory.low"),
    "memory_swappiness": ("memory.swappiness",),
    "oom_kill_disable": ("memory.oom_control",),
    "nano_cpus": ("cpu.cfs_quota_us", "cpu.max"),
    "cpu_quota": ("cpu.cfs_quota_us", "cpu.max"),
    "cpu_period": ("cpu.cfs_period_us", "cpu.max"),
    "cpu_shares": ("cpu.shares", "cpu.weight"),
    "cpuset_cpus": ("cpuset.cpus",),
    "cpuset_mems": ("cpuset.mems",),
    "pids": ("pids.max",),
    "blkio_weight": ("blkio.bfq.weight", "blkio.weight", "io.bfq.weight", "io.weight"),
    "blkio_weight_device": ("blkio.bfq.weight_device", "blkio.weight_device", "io.bfq.weight", "io.weight"),
    "device_read_bps": ("blkio.throttle.read_bps_device", "io.max"),
    "device_write_bps": ("blkio.throttle.write_bps_device", "io.max"),
    "device_read_iops": ("blkio.throttle.read_iops_device", "io.max"),
    "device_write_iops": ("blkio.throttle.write_iops_device", "io.max"),
}
"""Field → the files that may set it, v1's first; the first one that a group has does."""

_IO_MAX = {
    "device_read_bps": "rbps",
    "device_write_bps": "wbps",
    "device_read_iops": "riops",
    "device_write_iops": "wiops",
}

Write = tuple[str, str]
"""(path, value)."""


def place(group: Group, field: str) -> str:
    """The file of this group that sets a field of Limits, or "" when no tree here can."""
    for name in _FILES[field]:
        for directory in (group.v1(name.partition(".")[0]), group.v2):
            if directory and os.path.exists(f"{directory}/{name}"):
                return f"{directory}/{name}"
    return ""


def possible(group: Group) -> frozenset[str]:
    """The fields of Limits that this group's trees can set."""
    return frozenset(field for field in _FILES if place(group, field))


def cpus_and_memory_nodes(group: Group) -> tuple[str, str]:
    """What the group may use at most: lists such as "0-3"; "" where no cpuset tree tells."""
    found = ["", ""]
    for at, name in enumerate(("cpus", "mems")):
        for path in (f"{group.v1('cpuset')}/cpuset.effective_{name}", f"{group.v2}/cpuset.{name}.effective"):
            if os.path.exists(path):
                found[at] = files.read(path).strip()
                break
    return found[0], found[1]


def hold(group: Group, limits: Limits) -> None:
    """Set them all. OSError ENODEV when one cannot be set here, else the kernel's with the file and the value."""
    for path, value in writes(group, limits):
        files.write(path, value)


def change(group: Group, limits: Limits) -> Callable[[], None]:
    """Set them in a group at work: all of them or, when the kernel refuses one, none. For what `update` can change.

    Gives what undoes it.
    """
    done: list[Write] = []

    def undo() -> None:
        for path, before in reversed(done):
            files.write(path, before)

    try:
        for path, value in writes(group, limits):
            before = files.read(path).partition("\n")[0]
            files.write(path, value)
            done.append((path, before))
    except OSError:
        undo()
        raise
    return undo


def writes(group: Group, limits: Limits) -> list[Write]:
    """What to write, in an order in which the kernel takes it. Block devices are looked up by their paths."""
    found = [*_memory(group, limits), *_cpu(group, limits)]
    for field in ("cpuset_cpus", "cpuset_mems"):
        if getattr(limits, field):
            found.append((_needed(group, field), getattr(limits, field)))
    if limits.pids:
        found.append((_needed(group, "pids"), str(limits.pids) if limits.pids > 0 else "max"))
    return [*found, *_block_io(group, limits)]


def _memory(group: Group, limits: Limits) -> Iterable[Write]:
    found: list[Write] = []
    if limits.memory:
        found.append((_needed(group, "memory"), str(limits.memory)))
    swap = place(group, "memory_swap")
    if limits.memory_swap > 0 and not swap:
        _needed(group, "memory_swap")
    if limits.memory_swap and swap.endswith("memory.swap.max"):  # swap alone: v1 counts memory and swap together
        value = "max" if limits.memory_swap < 0 else str(max(limits.memory_swap - limits.memory, 0))
        found.insert(0, (swap, value))
    elif limits.memory_swap and swap:
        # The kernel wants memory <= memory and swap after each write: what has to make room for the other goes first.
        both = (swap, str(limits.memory_swap))
        found.insert(0 if limits.memory > int(files.read(swap)) else len(found), both)
    if limits.memory_reservation:
        found.append((_needed(group, "memory_reservation"), str(limits.memory_reservation)))
    if limits.memory_swappiness >= 0:
        found.append((_needed(group, "memory_swappiness"), str(limits.memory_swappiness)))
    if limits.oom_kill_disable:
        found.append((_needed(group, "oom_kill_disable"), "1"))
    return found


def _cpu(group: Group, limits: Limits) -> Iterable[Write]:
    if limits.cpu_shares:
        path = _needed(group, "cpu_shares")
        shares = weight_of_shares(limits.cpu_shares) if path.endswith("weight") else limits.cpu_shares
        yield path, str(shares)
    quota, period = limits.cpu_quota, limits.cpu_period
    if limits.nano_cpus:
        quota, period = limits.nano_cpus * PERIOD // 10**9, PERIOD
    if not (quota or period):
        return
    path = _needed(group, "cpu_quota")
    if path.endswith("cpu.max"):
        yield path, f"{quota if quota > 0 else 'max'} {period or PERIOD}"
        return
    if period:
        yield _needed(group, "cpu_period"), str(period)
    if quota:
        yield path, str(quota)


def _block_io(group: Group, limits: Limits) -> Iterable[Write]:
    found: list[Write] = []
    if limits.blkio_weight:
        path = _needed(group, "blkio_weight")
        found.append((path, str(_weight(path, limits.blkio_weight))))
    for device in limits.blkio_weight_device:
        path = _needed(group, "blkio_weight_device")
        numbers, weight = _device(device)
        found.append((path, f"{numbers} {_weight(path, weight)}"))
    for field, key in _IO_MAX.items():
        for device in getattr(limits, field):
            path = _needed(group, field)
            numbers, rate = _device(device)
            if path.endswith("io.max"):
                found.append((path, f"{numbers} {key}={rate or 'max'}"))
            else:
                found.append((path, f"{numbers} {rate}"))
    return found


def _needed(group: Group, field: str) -> str:
    path = place(group, field)
    if not path:
        name = field.replace("_", " ")
        raise OSError(errno.ENODEV, f"no cgroup tree of this machine can hold the container's limit of {name}")
    return path


def _device(text: str) -> tuple[str, int]:
    """ "PATH:NUMBER" as ("major:minor", number). OSError ENOTBLK when the path is no block device."""
    path, _, value = text.rpartition(":")
    found = os.stat(path)
    if not stat.S_ISBLK(found.st_mode):
        raise OSError(errno.ENOTBLK, f"{path}: {os.strerror(errno.ENOTBLK)}")
    return f"{os.major(found.st_rdev)}:{os.minor(found.st_rdev)}", int(value)


def _weight(path: str, weight: int) -> int:
    """docker's 10–1000, which is bfq's too, for this file: io.weight has 1–10000."""
    return 1 + (weight - 10) * 9999 // 990 if path.endswith("/io.weight") and weight else weight


def weight_of_shares(shares: int) -> int:
    """cpu.weight for v1's cpu.shares: 2 → 1, 1024 (the default) → 100, 262144 → 10000, on a curve through these."""
    from math import ceil, log2

    if shares <= 2:
        return 1
    if shares >= 262144:
        return 10000
    power = log2(shares)
    return ceil(10 ** ((power * power + 125 * power) / 612 - 7 / 34))
