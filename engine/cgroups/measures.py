"""What a group's processes use, beyond what `Group` says of memory and processor time. None: no tree here measures it.

Sources: Documentation/admin-guide/cgroup-v1/{blkio-controller,memory,pids}.rst, cgroup-v2.rst, accounting/psi.rst.
"""

from __future__ import annotations

import os

import engine.cgroups.files as files
from engine.cgroups.limits import place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.cgroups.groups import Group

_BLKIO = ("blkio.throttle.io_service_bytes_recursive", "blkio.throttle.io_service_bytes")
_UNLIMITED = 1 << 60
"""Bytes above which v1 means "no limit": it shows the largest number of whole pages."""


def memory_limit(group: Group) -> int | None:
    """Bytes; None also when there is no limit."""
    path = place(group, "memory")
    text = files.read(path).strip() if path else "max"
    return int(text) if text.isdecimal() and int(text) < _UNLIMITED else None


def tasks(group: Group) -> int | None:
    """Processes and threads."""
    path = place(group, "pids")
    return int(files.read(os.path.dirname(path) + "/pids.current")) if path else None


def block_io(group: Group) -> tuple[int, int] | None:
    """Bytes read from and written to block devices so far."""
    if group.v1("blkio"):
        for name in _BLKIO:
            path = f"{group.v1('blkio')}/{name}"
            if os.path.exists(path):
                fields = [line.split() for line in files.read(path).splitlines()]
                return _sum(fields, "Read"), _sum(fields, "Write")
        return None
    path = f"{group.v2}/io.stat"
    if not group.v2 or not os.path.exists(path):
        return None
    pairs = [word.split("=") for line in files.read(path).splitlines() for word in line.split()[1:]]
    return _total(pairs, "rbytes"), _total(pairs, "wbytes")


def _sum(fields: list[list[str]], kind: str) -> int:
    """Of v1's lines "8:0 Read 4096"."""
    return sum(int(words[2]) for words in fields if len(words) == 3 and words[1] == kind)


def _total(pairs: list[list[str]], key: str) -> int:
    return sum(int(pair[1]) for pair in pairs if len(pair) == 2 and pair[0] == key)


def pressure(group: Group) -> dict[str, float]:
    """ "cpu", "memory", "io" → percent of the last 10 seconds in which some process waited for it.

    Empty where the kernel does not tell: before 4.20, without CONFIG_PSI, or on v1 alone.
    """
    found: dict[str, float] = {}
    for kind in ("cpu", "memory", "io"):
        try:
            line = files.read(f"{group.v2}/{kind}.pressure").partition("\n")[0] if group.v2 else ""
        except OSError:  # not there, or (EOPNOTSUPP) switched off
            continue
        for word in line.split():
            if word.startswith("avg10="):
                found[kind] = float(word[6:])
    return found
