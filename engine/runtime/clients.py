"""One connection to the monitor: frames in, frames out, never blocking."""

from __future__ import annotations

import _socket

from engine.runtime import wire
from engine.runtime.loop import HUP, IN, OUT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.runtime.loop import Loop
    from engine.runtime.tasks import Task

FULL = 1 << 20
"""Bytes a client may leave unread before the process it is attached to has to wait for it, as docker's."""


class Client:
    """Owns a connection. task: the process it is attached to, if any; stdin: whether it may write to it;
    once: whether losing it ends that process's standard input."""

    __slots__ = (
        *("_closing", "_frames", "_held", "_loop", "_on_frame", "_on_lost", "_out", "_sock"),
        *("once", "stdin", "task"),
    )

    def __init__(
        self,
        loop: Loop,
        sock: _socket.socket,
        on_frame: Callable[[Client, int, bytes], None],
        on_lost: Callable[[Client], None],
    ) -> None:
        sock.setblocking(False)
        self._loop = loop
        self._sock = sock
        self._on_frame = on_frame
        self._on_lost = on_lost
        self._frames = wire.Frames()
        self._out = bytearray()
        self._held = False
        self._closing = False
        self.task: Task | None = None
        self.stdin = False
        self.once = False
        self._watch()

    @property
    def open(self) -> bool:
        return self._sock.fileno() >= 0

    @property
    def full(self) -> bool:
        """Whether so much is unread that it should get no more for now."""
        return len(self._out) > FULL

    def send(self, kind: int, payload: bytes = b"") -> None:
        """Send a frame, keeping what the connection does not take now."""
        self._out += wire.frame(kind, payload)
        self._flush()

    def reply(self, value: object) -> None:
        """Answer a request; never with None, which a client takes for a lost connection."""
        self.send(wire.RESULT, wire.marshalled(value))

    def refuse(self, kind: str, message: str, status: int = 1) -> None:
        """Answer a request with an error of `engine.errors`, and close."""
        self.send(wire.ERROR, wire.marshalled((kind, message, status)))
        self.finish()

    def finish(self) -> None:
        """Close as soon as everything is sent."""
        self._closing = True
        if not self._out:
            self.close()

    def close(self) -> None:
        """Close now."""
        if self.open:
            self._loop.forget(self._sock.fileno())
            self._sock.close()
            self._out.clear()
            self._on_lost(self)

    def hold(self) -> None:
        """Read no more from it until `release`."""
        self._held = True
        self._watch()

    def release(self) -> None:
        self._held = False
        self._watch()

    def _watch(self) -> None:
        if self.open:
            events = (0 if self._held or self._closing else IN) | (OUT if self._out else 0)
            self._loop.watch(self._sock.fileno(), events, self._ready)

    def _ready(self, events: int) -> None:
        if events & OUT:
            self._flush()
        if self.open and events & ~OUT:
            self._receive(gone=bool(events & HUP))

    def _receive(self, gone: bool) -> None:
        """Take what came. gone: the other end is closed, so take all that is left, even while held."""
        while self.open:
            try:
                data = self._sock.recv(wire.CHUNK)
            except BlockingIOError:
                return
            except ConnectionResetError:
                data = b""
            if not data:
                self.close()
                return
            try:
                frames = self._frames.feed(data)
            except wire.ProtocolError:
                self.close()
                return
            for kind, payload in frames:
                self._on_frame(self, kind, payload)
            if not gone:
                return

    def _flush(self) -> None:
        was_full = self.full
        try:
            while self._out:
                sent = self._sock.send(self._out[: wire.CHUNK])
                del self._out[:sent]
        except BlockingIOError:
            pass
        except (BrokenPipeError, ConnectionResetError):
            self.close()
            return
        if self._closing and not self._out:
            self.close()
            return
        self._watch()
        if was_full and not self.full and self.task is not None:
            self.task.balance()
