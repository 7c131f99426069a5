"""logs: what a container wrote, from the json-file log that its monitor keeps."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from engine.errors import Conflict

if TYPE_CHECKING:
    from engine.commands.context import Context

BLOCK = 65536


class LogLine(NamedTuple):
    """One record of the log, usually a line with its newline. stream: "stdout" or "stderr"; time: RFC 3339."""

    stream: str
    time: str
    data: bytes


def logs(
    context: Context,
    ref: str,
    *,
    follow: bool = False,
    tail: int | None = None,
    since: str | None = None,
    until: str | None = None,
) -> Iterator[LogLine]:
    """The records, oldest first. tail: only the last so many; since, until: RFC 3339 times, both included.

    follow: go on as more is written, until the container does not run (or `until` is past). NoSuchContainer;
    Conflict when it has no log.
    """
    container_id = context.store.containers.resolve(ref)
    if context.store.containers.get(container_id).settings.log_driver == "none":
        raise Conflict("configured logging driver does not support reading")
    return _read(context, container_id, follow, tail, since and _sortable(since), until and _sortable(until))


def _read(
    context: Context, container_id: str, follow: bool, tail: int | None, since: str | None, until: str | None
) -> Iterator[LogLine]:
    files = _Files(context.store.containers.path(container_id))
    waiter = _Waiter(context, container_id) if follow else None
    try:
        files.skip(tail)
        while True:
            ended = waiter is None or waiter.ended()  # asked before reading: what came before the end is read for sure
            for line in files.lines(follow):
                record = _parse(line)
                moment = _sortable(record.time)
                if until is not None and moment > until:
                    return
                if since is None or moment >= since:
                    yield record
            if ended:
                return
            assert waiter is not None
            waiter.wait()
    finally:
        files.close()
        if waiter is not None:
            waiter.close()


class _Files:
    """Owns the open files of a log, oldest first, and goes on in the new one when the last was put aside."""

    def __init__(self, directory: str) -> None:
        self._path = os.path.join(directory, "log.json")
        self._fds: list[int] = []
        self._rest = b""
        number = 0
        while self._open(number):  # youngest first: one that is put aside meanwhile is met again, not missed
            number += 1
        self._fds.reverse()

    def _open(self, number: int) -> bool:
        """Open one behind the others, unless that is the same; False when it is not there."""
        try:
            fd = os.open(f"{self._path}.{number}" if number else self._path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:  # it never started, or there are no more
            return False
        if self._fds and os.path.sameopenfile(fd, self._fds[-1]):
            os.close(fd)
        else:
            self._fds.append(fd)
        return True

    def skip(self, tail: int | None) -> None:
        """Go to where the last so many lines begin; None: to the beginning."""
        if tail is None:
            return
        for at in reversed(range(len(self._fds))):
            start, found = _last_lines(self._fds[at], tail)
            os.lseek(self._fds[at], start, os.SEEK_SET)
            tail -= found

    def lines(self, follow: bool) -> Iterator[bytes]:
        """Whole lines that were not read before; follow: also of files that came since."""
        while True:
            while len(self._fds) > 1:
                yield from self._rest_of(self._fds[0])
                os.close(self._fds.pop(0))
                self._rest = b""
            if self._fds:
                yield from self._rest_of(self._fds[0])
            if not follow or not self._younger():
                return

    def _rest_of(self, fd: int) -> Iterator[bytes]:
        while block := os.read(fd, BLOCK):
            *lines, self._rest = (self._rest + block).split(b"\n")
            yield from lines

    def _younger(self) -> bool:
        """Open the files that came after the last one, oldest first; whether there are any."""
        if not self._fds:
            return self._open(0)
        last = os.fstat(self._fds[-1])
        found: list[int] = []
        number = 0
        while True:
            try:
                fd = os.open(f"{self._path}.{number}" if number else self._path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                break
            if os.path.samestat(os.fstat(fd), last):
                os.close(fd)
                break
            if found and os.path.sameopenfile(fd, found[-1]):
                os.close(fd)
            else:
                found.append(fd)
            number += 1
        self._fds += reversed(found)
        return bool(found)

    def close(self) -> None:
        for fd in self._fds:
            os.close(fd)


class _Waiter:
    """Wakes when the log grows or the container's monitor ends."""

    def __init__(self, context: Context, container_id: str) -> None:
        from engine.kernel.proc import is_same, pidfd_open
        from engine.kernel.watches import watch_directory

        self._writes = watch_directory(context.store.containers.path(container_id))
        self._monitor = -1
        state = context.store.containers.state(container_id)
        if state.running:
            try:
                self._monitor = pidfd_open(state.monitor_pid)
                if not is_same(state.monitor_pid, state.monitor_start):
                    os.close(self._monitor)
                    self._monitor = -1
            except ProcessLookupError:
                pass

    def ended(self) -> bool:
        """Whether nothing will be written any more: the monitor, the only writer, has ended."""
        import select

        if self._monitor < 0:
            return True
        poll = select.poll()
        poll.register(self._monitor, select.POLLIN)
        return bool(poll.poll(0))

    def wait(self) -> None:
        import select

        from engine.kernel.watches import drain

        poll = select.poll()
        poll.register(self._writes, select.POLLIN)
        poll.register(self._monitor, select.POLLIN)
        poll.poll()
        drain(self._writes)

    def close(self) -> None:
        for fd in (self._writes, self._monitor):
            if fd >= 0:
                os.close(fd)


def _parse(line: bytes) -> LogLine:
    record = json.loads(line)
    return LogLine(record["stream"], record["time"], record["log"].encode("utf-8", "surrogateescape"))


def _last_lines(fd: int, count: int) -> tuple[int, int]:
    """Where the last `count` whole lines of a file begin, found from its end; and how many there are from there."""
    end = os.lseek(fd, 0, os.SEEK_END)
    if count <= 0:
        return end, 0
    at, seen = end, 0
    while at > 0:
        size = min(BLOCK, at)
        at -= size
        block = os.pread(fd, size, at)
        where = len(block)
        while (where := block.rfind(b"\n", 0, where)) >= 0:
            seen += 1
            if seen > count:  # this newline ends the line before the ones that were asked for
                return at + where + 1, count
    return 0, seen


def _sortable(time: str) -> str:
    """An RFC 3339 time in UTC with its nanoseconds filled up, so that texts sort as times do."""
    from engine.oci.times import nanoseconds, rfc3339

    if not time.endswith("Z"):
        time = rfc3339(nanoseconds(time))
    whole, _, fraction = time[:-1].partition(".")
    return f"{whole}.{fraction:<09}"
