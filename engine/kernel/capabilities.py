"""Capabilities: the five sets of a process, by number and by name. A set is an int with bit n for capability n.

Light: init and the monitor load this. Sources: capabilities(7), capget(2), prctl(2).
"""

from __future__ import annotations

import struct
import time

from engine.kernel import clib as ctypes
from engine.kernel.syscalls import LIBC, call, fail, record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_NAMES = (
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE"
    " NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT"
    " SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL"
    " SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF"
    " CHECKPOINT_RESTORE"
)
CAPS = {"CAP_" + name: number for number, name in enumerate(_NAMES.split())}
"""Number of each capability (include/uapi/linux/capability.h)."""

PR_SET_KEEPCAPS = 8
PR_CAPBSET_READ = 23
PR_CAPBSET_DROP = 24
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_CLEAR_ALL = 4

_VERSION_3 = 0x20080522
"""_LINUX_CAPABILITY_VERSION_3: 64-bit sets, as two 32-bit halves."""


def last_cap() -> int:
    """The highest capability this kernel knows; asked of the kernel itself, so it works where /proc does not."""
    number = max(CAPS.values())
    while _known(number + 1):
        number += 1
    while not _known(number):
        number -= 1
    return number


def _known(number: int) -> bool:
    return bool(LIBC.prctl(PR_CAPBSET_READ, ctypes.c_long(number), 0, 0, 0) >= 0)


def get() -> tuple[int, int, int]:
    """This process's effective, permitted and inheritable sets."""
    header, data = ctypes.create_string_buffer(struct.pack("=Ii", _VERSION_3, 0), 8), ctypes.create_string_buffer(24)
    call("capget", LIBC.capget, header, data, show=())
    low_e, low_p, low_i, high_e, high_p, high_i = struct.unpack("=6I", data.raw)
    return low_e | high_e << 32, low_p | high_p << 32, low_i | high_i << 32


def set(effective: int, permitted: int, inheritable: int) -> None:
    """capset(2): set the three sets of this process; PermissionError for what it does not hold itself."""
    sets = (effective, permitted, inheritable)
    data = struct.pack("=6I", *(bits & 0xFFFFFFFF for bits in sets), *(bits >> 32 for bits in sets))
    header = ctypes.create_string_buffer(struct.pack("=Ii", _VERSION_3, 0), 8)
    call("capset", LIBC.capset, header, ctypes.create_string_buffer(data, 24), show=[_Set(bits) for bits in sets])


def bounding() -> int:
    """The bounding set: what an exec may ever give."""
    return sum(1 << number for number in range(last_cap() + 1) if LIBC.prctl(PR_CAPBSET_READ, number, 0, 0, 0) == 1)


def drop_bounding(cap: int) -> None:
    """Take one capability out of the bounding set, for good; needs CAP_SETPCAP."""
    call("prctl", LIBC.prctl, PR_CAPBSET_DROP, cap, 0, 0, 0, show=("PR_CAPBSET_DROP", _Set(1 << cap)))


def limit_bounding(kept: int) -> None:
    """Take everything but this set out of the bounding set, for good; one step in the trace. Needs CAP_SETPCAP."""
    start = time.monotonic_ns()
    show = ("PR_CAPBSET_DROP", "all but", _Set(kept))
    for cap in range(last_cap() + 1):
        if not kept >> cap & 1 and LIBC.prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0:
            fail("prctl", ("PR_CAPBSET_DROP", cap), ctypes.get_errno())
    record("prctl", show, 0, 0, start)


def clear_ambient() -> None:
    """Empty the ambient set, so that no capability passes an exec by itself."""
    show = ("PR_CAP_AMBIENT", "PR_CAP_AMBIENT_CLEAR_ALL")
    call("prctl", LIBC.prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0, show=show)


def keep_caps(on: bool) -> None:
    """PR_SET_KEEPCAPS: whether the permitted set stays when the user id changes from 0; forgotten at exec."""
    call("prctl", LIBC.prctl, PR_SET_KEEPCAPS, int(on), 0, 0, 0, show=("PR_SET_KEEPCAPS", int(on)))


def mask(wanted: Iterable[str]) -> int:
    """The set of these names (`CAP_CHOWN` …); KeyError for one that does not exist."""
    bits = 0
    for name in wanted:
        bits |= 1 << CAPS[name]
    return bits


def names(mask: int) -> list[str]:
    """The names in a set, by number; one that has no name here as `CAP_41`."""
    known = {number: name for name, number in CAPS.items()}
    return [known.get(number, f"CAP_{number}") for number in range(mask.bit_length()) if mask >> number & 1]


class _Set:
    """A set as the trace and errors show it."""

    __slots__ = ("bits",)

    def __init__(self, bits: int) -> None:
        self.bits = bits

    def __repr__(self) -> str:
        return ",".join(names(self.bits)) or "none"
