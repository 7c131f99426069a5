"""logs: what a container wrote, from the json-file log that its monitor keeps."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

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

    follow: go on as more is written, until the container does not run (or `until` is past). NoSuchContainer.
    """
    container_id = context.store.containers.resolve(ref)
    return _read(context, container_id, follow, tail, since and _sortable(since), until and _sortable(until))


def _read(
    context: Context, container_id: str, follow: bool, tail: int | None, since: str | None, until: str | None
) -> Iterator[LogLine]:
    path = context.store.containers.path(container_id, "log.json")
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:  # it never started
        return
    try:
        start = 0 if tail is None else _last_lines(fd, tail)
        for record in _records(context, container_id, fd, path, start, follow):
            moment = _sortable(record.time)
            if until is not None and moment > until:
                return
            if since is None or moment >= since:
                yield record
    finally:
        os.close(fd)


def _records(context: Context, container_id: str, fd: int, path: str, start: int, follow: bool) -> Iterator[LogLine]:
    os.lseek(fd, start, os.SEEK_SET)
    rest = b""
    waiter = _Waiter(context, container_id, path) if follow else None
    try:
        while True:
            ended = waiter is None or waiter.ended()  # asked before reading: what came before the end is read for sure
            while block := os.read(fd, BLOCK):
                *lines, rest = (rest + block).split(b"\n")
                for line in lines:
                    yield _parse(line)
            if ended:
                return
            assert waiter is not None
            waiter.wait()
    finally:
        if waiter is not None:
            waiter.close()


class _Waiter:
    """Wakes when the log grows or the container's monitor ends."""

    def __init__(self, context: Context, container_id: str, path: str) -> None:
        from engine.kernel.proc import is_same, pidfd_open
        from engine.kernel.watches import watch_writes

        self._writes = watch_writes(path)
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


def _last_lines(fd: int, count: int) -> int:
    """Where the last `count` whole lines of a file begin, found from its end."""
    end = os.lseek(fd, 0, os.SEEK_END)
    if count <= 0:
        return end
    at, seen = end, 0
    while at > 0:
        size = min(BLOCK, at)
        at -= size
        block = os.pread(fd, size, at)
        where = len(block)
        while (where := block.rfind(b"\n", 0, where)) >= 0:
            seen += 1
            if seen > count:  # this newline ends the line before the ones that were asked for
                return at + where + 1
    return 0


def _sortable(time: str) -> str:
    """An RFC 3339 time in UTC with its nanoseconds filled up, so that texts sort as times do."""
    from engine.oci.times import nanoseconds, rfc3339

    if not time.endswith("Z"):
        time = rfc3339(nanoseconds(time))
    whole, _, fraction = time[:-1].partition(".")
    return f"{whole}.{fraction:<09}"
