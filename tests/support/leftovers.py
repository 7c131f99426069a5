"""What containers could leave behind, as snapshots to compare: mounts, cgroups, links, processes, files."""

from __future__ import annotations

import ctypes
import os
import time
from dataclasses import dataclass, fields
from pathlib import Path

from engine.cgroups.names import parent_name

PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Sets of texts that name what is there now and belongs to one root (links: to this network namespace)."""

    mounts: frozenset[str]
    cgroups: frozenset[str]
    links: frozenset[str]
    processes: frozenset[str]
    descriptors: frozenset[str]
    files: frozenset[str]

    def left_behind(self, before: Snapshot) -> list[str]:
        """One line for each thing that is there now and was not before."""
        return [
            f"{field.name}: {thing}"
            for field in fields(self)
            for thing in sorted(getattr(self, field.name) - getattr(before, field.name))
        ]


def adopt_orphans(yes: bool) -> None:
    """Whether this process becomes the parent of orphans among its descendants, so that none can hide (prctl(2))."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, int(yes), 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def take(root: str) -> Snapshot:
    """What is there now."""
    mountinfo = Path("/proc/self/mountinfo").read_text().splitlines()
    return Snapshot(
        mounts=frozenset(line for line in mountinfo if root in line),
        cgroups=frozenset(_cgroups(parent_name(root))),
        links=frozenset(os.listdir("/sys/class/net")),
        processes=frozenset(_descendants()),
        descriptors=frozenset(_descriptors()),
        files=frozenset(os.path.join(where, name) for where, dirs, names in os.walk(root) for name in (*dirs, *names)),
    )


def settle(root: str, before: Snapshot, seconds: float = 10) -> list[str]:
    """What is left behind once nothing goes away any more; waits at most `seconds` for processes to end."""
    end = time.monotonic() + seconds
    while (left := take(root).left_behind(before)) and time.monotonic() < end:
        time.sleep(0.05)
    return left


def _cgroups(parent: str) -> list[str]:
    found = []
    for where, directories, _ in os.walk("/sys/fs/cgroup"):
        found += [os.path.join(where, name) for name in directories if name == parent or f"/{parent}/" in f"{where}/"]
    return found


def _descendants() -> list[str]:
    """pid and command line of every living process below this one; its dead orphans are buried on the way."""
    parents: dict[int, int] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                state, parent = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[:2]
            except (FileNotFoundError, ProcessLookupError):
                continue
            if state == "Z":
                if int(parent) == os.getpid():
                    os.waitpid(int(name), os.WNOHANG)
                continue
            parents[int(name)] = int(parent)
    below = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in below} - below:
        below |= more
    return [f"{pid} {_command_line(pid)}" for pid in sorted(below - {os.getpid()})]


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return "(just ended)"


def _descriptors() -> list[str]:
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            found.append(f"{name} {os.readlink(f'/proc/self/fd/{name}')}")
        except FileNotFoundError:
            continue  # the listing's own descriptor
    return found
