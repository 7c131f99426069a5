"""The monitor's event loop: descriptors and deadlines, one thread, callbacks that never block."""

from __future__ import annotations

import select
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

IN, OUT, HUP, ERR = select.EPOLLIN, select.EPOLLOUT, select.EPOLLHUP, select.EPOLLERR


class Loop:
    """Owns an epoll. A callback gets the events; it must bear one that came too early (EAGAIN)."""

    __slots__ = ("_epoll", "_events", "_last", "_timers", "_watchers")

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._watchers: dict[int, Callable[[int], None]] = {}
        self._events: dict[int, int] = {}
        self._timers: list[tuple[float, Callable[[], None]]] = []
        self._last = time.monotonic()

    def watch(self, fd: int, events: int, callback: Callable[[int], None]) -> None:
        """Call back when these events come on a descriptor (EPOLLHUP and EPOLLERR always do); replaces a watch."""
        if fd not in self._watchers:
            self._epoll.register(fd, events)
        elif self._events[fd] != events:
            self._epoll.modify(fd, events)
        self._watchers[fd] = callback
        self._events[fd] = events

    def forget(self, fd: int) -> None:
        """Stop watching, before the descriptor is closed; fine when it is not watched."""
        if self._watchers.pop(fd, None):
            del self._events[fd]
            self._epoll.unregister(fd)

    def later(self, seconds: float, callback: Callable[[], None]) -> tuple[float, Callable[[], None]]:
        """Call back once, after this time; returns what `cancel` takes."""
        timer = (time.monotonic() + seconds, callback)
        self._timers.append(timer)
        self._timers.sort(key=_when)
        return timer

    def cancel(self, timer: tuple[float, Callable[[], None]]) -> None:
        """Do not call back; fine when that was done already."""
        if timer in self._timers:
            self._timers.remove(timer)

    def idle(self) -> float:
        """Seconds since the last event on a descriptor."""
        return time.monotonic() - self._last

    def watched(self) -> set[int]:
        """The descriptors that are watched."""
        return set(self._watchers)

    @property
    def timed(self) -> bool:
        """Whether a deadline is waited for."""
        return bool(self._timers)

    def turn(self) -> None:
        """Wait for one batch of events or the next deadline, and call back."""
        timeout = -1.0
        if self._timers:
            timeout = max(0.0, self._timers[0][0] - time.monotonic())
        found = self._epoll.poll(timeout)
        if found:
            self._last = time.monotonic()
        for fd, events in found:
            callback = self._watchers.get(fd)
            if callback is not None:
                callback(events)
        while self._timers and self._timers[0][0] <= time.monotonic():
            self._timers.pop(0)[1]()


def _when(timer: tuple[float, Callable[[], None]]) -> float:
    return timer[0]
