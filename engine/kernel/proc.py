"""Naming a process for sure, and signalling it: pidfds, and pids with their start times.

A pid alone proves nothing, since the kernel gives it out again: keep a pidfd, or the pid with its start time.
Light, and without the C library. Sources: pidfd_open(2), pidfd_send_signal(2), proc(5).
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # the C part of `signal`, which brings `enum` along
import os
import time

from engine.kernel.steps import fail, record

SIGKILL = 9
SIGTERM = 15
SIGCHLD = 17
SIGCONT = 18
SIGSTOP = 19


ENDING = (2, 3, SIGKILL, SIGTERM)
"""Signals by which a person asks a process to end: INT, QUIT, KILL, TERM."""


def pidfd_open(pid: int) -> int:
    """A descriptor that stands for this process and never for another; ProcessLookupError when there is none."""
    start = time.monotonic_ns()
    try:
        pidfd = os.pidfd_open(pid)
    except OSError as error:
        record("pidfd_open", (pid, 0), -1, error.errno or 0, start)
        fail("pidfd_open", (pid, 0), error.errno or 0)
    record("pidfd_open", (pid, 0), pidfd, 0, start)
    return pidfd


def pidfd_send_signal(pidfd: int, signal: int) -> None:
    """Send a signal to the process of a pidfd; ProcessLookupError when it has ended and was waited for."""
    start = time.monotonic_ns()
    try:
        _signal.pidfd_send_signal(pidfd, signal)
    except OSError as error:
        record("pidfd_send_signal", (pidfd, signal, None, 0), -1, error.errno or 0, start)
        fail("pidfd_send_signal", (pidfd, signal, None, 0), error.errno or 0)
    record("pidfd_send_signal", (pidfd, signal, None, 0), 0, 0, start)


def start_time(pid: int) -> int | None:
    """When a process began, in clock ticks since boot (field 22 of /proc/<pid>/stat); None when there is none.

    A process that has ended but was not waited for (a zombie) still has one.
    """
    fields = _stat(pid)
    return int(fields[19]) if fields else None


def is_same(pid: int, start: int) -> bool:
    """Whether the process with this pid and start time still runs; a zombie does not."""
    fields = _stat(pid)
    return bool(fields) and int(fields[19]) == start and fields[0] not in (b"Z", b"X")


def boot_id() -> str:
    """What names this run of the machine: pids and start times mean something in it only. "" without procfs."""
    try:
        fd = os.open("/proc/sys/kernel/random/boot_id", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return os.read(fd, 64).decode().strip()
    finally:
        os.close(fd)


def _stat(pid: int) -> list[bytes]:
    """The fields of /proc/<pid>/stat from the third (the state) on; the second, the name, may hold anything."""
    try:
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, ProcessLookupError):
        return []
    try:
        return os.read(fd, 4096).rpartition(b")")[2].split()
    except ProcessLookupError:
        return []
    finally:
        os.close(fd)


_mapped = -1


def mapped() -> int:
    """How many numbers of groups this process's user namespace has: 0 where it is the machine's own, which has all.

    Read once: ask before entering another one. Source: user_namespaces(7).
    """
    global _mapped
    if _mapped < 0:
        fd = os.open("/proc/self/gid_map", os.O_RDONLY | os.O_CLOEXEC)
        try:
            rows = [line.split() for line in os.read(fd, 1 << 16).splitlines()]
        finally:
            os.close(fd)
        whole = len(rows) == 1 and rows[0] == [b"0", b"0", b"4294967295"]
        _mapped = 0 if whole else sum(int(row[2]) for row in rows)
    return _mapped
