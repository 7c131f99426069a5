"""events: what happened to containers and images, from the journal that commands and monitors write."""

from __future__ import annotations

import os

from engine import jsons
from engine.commands.filters import check, has_labels, passes
from engine.runtime.journal import NAME, OLD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from engine.commands.context import Context

BLOCK = 65536
FILTERS = ("container", "event", "image", "label", "scope", "type", "daemon", "network", "plugin", "volume")
BY_PREFIX = ("health_status", "exec_create", "exec_start")
"""Events whose names go on after a colon: a filter may leave that out."""


def events(
    context: Context,
    *,
    since: str | None = None,
    until: str | None = None,
    filters: Mapping[str, Sequence[str]] | None = None,
    follow: bool = True,
) -> Iterator[dict[str, Any]]:
    """Events, oldest first, each docker's object: Type, Action, Actor {ID, Attributes}, scope, time, timeNano.

    since, until: RFC 3339; without since only what comes from now on. follow: wait for more, until `until` or for ever.
    InvalidInput for a filter that does not exist.
    """
    from engine.oci.times import nanoseconds

    filters = filters or {}
    check(filters, FILTERS)
    journal = _Journal(context.root, whole=since is not None)
    first, last = since and nanoseconds(since), until and nanoseconds(until)
    return _chosen(journal, first or 0, last or None, filters, follow)


def _chosen(
    journal: _Journal, since: int, until: int | None, filters: Mapping[str, Sequence[str]], follow: bool
) -> Iterator[dict[str, Any]]:
    import time

    with journal:
        while True:
            late = (
                until is not None and time.time_ns() > until
            )  # asked before reading: what was told till then is there
            for event in journal.read():
                if until is not None and event["timeNano"] > until:
                    return
                if event["timeNano"] >= since and _passes(event, filters):
                    yield event
            if late or not follow:
                return
            journal.wait(None if until is None else max(until - time.time_ns(), 0) / 1e9)


class _Journal:
    """Owns a reader of the journal that goes on in the new file when the old one was put aside."""

    def __init__(self, root: str, *, whole: bool) -> None:
        """whole: from its beginning, as far as it was kept; else from now on."""
        from engine.kernel.watches import watch_directory

        self._root = root
        self._watch = watch_directory(root)
        self._rest = b""
        self._waiting: list[int] = []
        self._open(OLD)
        self._open(NAME, os.O_CREAT)  # to hold it before it is put aside
        if not whole:
            for fd in self._waiting:
                os.lseek(fd, 0, os.SEEK_END)

    def __enter__(self) -> _Journal:
        return self

    def __exit__(self, *exc: object) -> None:
        for fd in (self._watch, *self._waiting):
            os.close(fd)

    def _open(self, name: str, flags: int = 0) -> None:
        try:
            self._waiting.append(os.open(f"{self._root}/{name}", os.O_RDONLY | os.O_CLOEXEC | flags, 0o600))
        except FileNotFoundError:
            pass

    def read(self) -> Iterator[dict[str, Any]]:
        """The events that are there and were not read before."""
        while True:
            while self._waiting:
                yield from self._lines(self._waiting[0])
                if len(self._waiting) == 1 and not self._put_aside():
                    return
                yield from self._lines(self._waiting[0])  # who had it open may have written meanwhile
                os.close(self._waiting.pop(0))
                self._rest = b""
            self._open(NAME)
            if not self._waiting:
                return

    def _put_aside(self) -> bool:
        """Whether the file that is read is the journal no more."""
        try:
            return not os.path.samestat(os.fstat(self._waiting[0]), os.stat(f"{self._root}/{NAME}"))
        except FileNotFoundError:
            return True

    def _lines(self, fd: int) -> Iterator[dict[str, Any]]:
        while block := os.read(fd, BLOCK):
            *lines, self._rest = (self._rest + block).split(b"\n")
            for line in lines:
                event = _event(line)
                if event is not None:
                    yield event

    def wait(self, seconds: float | None) -> None:
        """Until something was written, or so long."""
        import select

        from engine.kernel.watches import drain

        poll = select.poll()
        poll.register(self._watch, select.POLLIN)
        poll.poll(None if seconds is None else int(seconds * 1000) + 1)
        drain(self._watch)


def _event(line: bytes) -> dict[str, Any] | None:
    """One line; of one that a full disk tore, with another behind it, the other; None for what is none."""
    try:
        event = jsons.loads(line[max(line.rfind(b'{"Type": '), 0) :])
        return event if {"Type", "Action", "Actor", "timeNano"} <= event.keys() else None
    except (ValueError, AttributeError):
        return None


def _passes(event: dict[str, Any], filters: Mapping[str, Sequence[str]]) -> bool:
    """docker's filters (moby, daemon/events/filter.go): of a key any value, of several keys each."""
    kind, action, actor = event["Type"], event["Action"], event["Actor"]["ID"]
    attributes = event["Actor"]["Attributes"]
    names = (actor, attributes.get("image", "")) if kind == "container" else (actor, attributes.get("name", ""))
    return (
        passes(filters.get("type"), kind.__eq__)
        and passes(filters.get("scope"), event.get("scope", "local").__eq__)
        and passes(filters.get("event"), lambda value: action == value or _longer(action, value))
        and passes(
            filters.get("container"),
            lambda value: kind == "container" and (actor.startswith(value) or attributes.get("name") == value),
        )
        and passes(filters.get("image"), lambda value: value in names or value in map(_without_tag, names))
        and has_labels(filters.get("label"), attributes)
        and not any(filters.get(other) for other in ("daemon", "network", "plugin", "volume"))
    )


def _longer(action: str, value: str) -> bool:
    return value in BY_PREFIX and action.startswith(value)


def _without_tag(name: str) -> str:
    """ "demo:latest" without its tag."""
    path, colon, tag = name.rpartition(":")
    return path if colon and "/" not in tag else name
