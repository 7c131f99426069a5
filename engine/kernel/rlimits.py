"""Resource limits of a process: prlimit(2), and how soon it is killed when memory runs out.

Light: the monitor, init and join load this.

Limits are (name, soft, hard) with the names of `ulimit` in docker; -1 stands for RLIM_INFINITY.
"""

from __future__ import annotations

import errno
import os
import struct
import time

from engine.kernel import clib as ctypes
from engine.kernel.syscalls import LIBC, call, record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

RESOURCES = {
    "cpu": 0,
    "fsize": 1,
    "data": 2,
    "stack": 3,
    "core": 4,
    "rss": 5,
    "nproc": 6,
    "nofile": 7,
    "memlock": 8,
    "as": 9,
    "locks": 10,
    "sigpending": 11,
    "msgqueue": 12,
    "nice": 13,
    "rtprio": 14,
    "rttime": 15,
}
"""RLIMIT_* by name, from include/uapi/asm-generic/resource.h."""

_NONE = 2**64 - 1


def get(pid: int, name: str) -> tuple[int, int]:
    """(soft, hard) of a process, 0 = this one."""
    found = ctypes.create_string_buffer(16)
    call("prlimit", LIBC.prlimit, pid, RESOURCES[name], None, found, show=(pid, f"RLIMIT_{name.upper()}", "get"))
    soft, hard = struct.unpack("=QQ", found.raw)
    return -1 if soft == _NONE else soft, -1 if hard == _NONE else hard


def set(pid: int, name: str, soft: int, hard: int) -> None:
    """Set both. PermissionError for a hard limit above the present one, without CAP_SYS_RESOURCE."""
    new = ctypes.create_string_buffer(struct.pack("=QQ", soft % (1 << 64), hard % (1 << 64)), 16)
    show = (pid, f"RLIMIT_{name.upper()}", f"{soft}:{hard}")
    call("prlimit", LIBC.prlimit, pid, RESOURCES[name], new, None, show=show)


def make_room(pid: int, limits: Sequence[tuple[str, int, int]]) -> None:
    """Raise hard limits that are too low, and nothing else: what a process must still do on its way in is not
    hindered. PermissionError says which may not be raised."""
    for name, _, hard in limits:
        soft, now = get(pid, name)
        if now == -1 or (hard != -1 and hard <= now):
            continue
        try:
            set(pid, name, soft, hard)
        except PermissionError:
            shown = "unlimited" if hard == -1 else hard
            raise PermissionError(
                errno.EPERM,
                f"ulimit {name}: {shown} is above this machine's hard limit of {now}, which cannot be raised",
            ) from None


def apply(limits: Sequence[tuple[str, int, int]]) -> None:
    """Give this process its limits, after `make_room`."""
    for name, soft, hard in limits:
        set(0, name, soft, hard)


def prefer(pid: int | str, score: int) -> None:
    """Set a process's oom_score_adj, -1000 … 1000. pid: a number, or "self". PermissionError with what it takes."""
    path = f"/proc/{pid}/oom_score_adj"
    start = time.monotonic_ns()
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, str(score).encode())
    except PermissionError as error:
        text = f"oom_score_adj {score}: permission denied: a process without CAP_SYS_RESOURCE cannot lower it"
        raise PermissionError(errno.EACCES, text) from error
    finally:
        os.close(fd)
    record("write", (path, score), len(str(score)), 0, start)
