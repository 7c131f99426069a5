"""What a process on its way into a container tells those who look after it, over close-on-exec socket pairs.

To the starter (init) or the monitor (join): DESCRIPTORS brings open files (the null device, a terminal's ends); STEPS a
piece of the trace, the last one just before exec; FAILED what stood in the way. The end of the stream after STEPS and
without FAILED means that exec succeeded: the kernel closed the socket. The end without STEPS means that the process
was killed on its way.

From the starter to the monitor: AIM, what is to be started, with the client's connection and the container's directory;
BORN, the first process is there but does not run yet, with its pidfd and streams; then RUNS, with what DESCRIPTORS
brought, or FAILED.
"""

from __future__ import annotations

import _socket
import os

from engine import trace
from engine.errors import InvalidInput
from engine.runtime import wire
from engine.runtime.become import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

DESCRIPTORS, STEPS, FAILED, AIM, BORN, RUNS = range(1, 7)

_PIECE = 16
"""Steps in a frame: the monitor unpacks and writes one frame at a time, and never needs memory for all of them."""


def await_word(sock: _socket.socket) -> None:
    """Wait until the monitor has done its part (`Handshake.give_word`)."""
    if not sock.recv(1):
        raise Refused("the monitor is gone", 125)


def give(sock: _socket.socket, descriptors: Sequence[int]) -> None:
    """Hand open files to the monitor."""
    wire.send_descriptors(sock, wire.frame(DESCRIPTORS), descriptors)


def send_steps(sock: _socket.socket) -> None:
    """Close the trace and send it: at least once, as the last thing before exec."""
    steps = [(s.call, s.args, s.result, s.errno, s.at, s.duration, s.shell) for s in trace.end()]
    pieces = [wire.value_frame(STEPS, steps[start : start + _PIECE]) for start in range(0, max(len(steps), 1), _PIECE)]
    sock.sendall(b"".join(pieces))


def send_failure(sock: _socket.socket, error: BaseException) -> None:
    """Say why there will be no exec."""
    status = error.status if isinstance(error, Refused) else 125
    if trace.active():
        send_steps(sock)
    sock.sendall(wire.value_frame(FAILED, (words(error), status)))


def words(error: BaseException) -> str:
    """An error for a person: its text (engine.kernel's has the call in it), and where from if nobody expected it."""
    if isinstance(error, OSError) and error.filename is None and error.strerror:
        return error.strerror
    if isinstance(error, (Refused, InvalidInput, OSError)):
        return str(error)
    return whence(error)


def whence(error: BaseException) -> str:
    """An error that nobody expected: what, and the file and line it came from. (traceback would be an import.)"""
    place, tb = "", error.__traceback__
    while tb is not None:
        place, tb = f"{tb.tb_frame.f_code.co_filename.rpartition('/')[2]}:{tb.tb_lineno}", tb.tb_next
    return f"{type(error).__name__}: {error} ({place})"


def last_words(error: BaseException) -> None:
    """Leave an error where the launcher's client looks when no answer comes (`Launcher`): on standard error."""
    os.write(2, f"{whence(error)}\n".encode("utf-8", "replace"))


class Handshake:
    """The other end. descriptors: those that came; failure: (text, status) if it failed; ended: no more will come."""

    __slots__ = ("_inbox", "_stepped", "_steps", "failure")

    def __init__(self, sock: _socket.socket) -> None:
        self._inbox = wire.Inbox(sock)
        self._steps: list[bytes] = []
        self._stepped = False
        self.failure: tuple[str, int] | None = None

    @property
    def sock(self) -> _socket.socket:
        return self._inbox.sock

    @property
    def descriptors(self) -> list[int]:
        return self._inbox.descriptors

    @property
    def ended(self) -> bool:
        return self._inbox.ended

    def give_word(self) -> None:
        """Let the process go on from `await_word`; that it is gone already is for `receive` to find."""
        try:
            self.sock.send(b"g")
        except (BrokenPipeError, ConnectionResetError):
            pass

    def receive(self) -> None:
        """Take what is there; blocks if nothing is and the socket does."""
        for kind, payload in self._inbox.receive():
            if kind == STEPS:
                self._steps.append(payload)
                self._stepped = True
            elif kind == FAILED:
                self.failure = read_failure(payload)
        if self.ended and not self._stepped and self.failure is None:
            self.failure = ("the process was killed before its program ran", 125)

    def take_steps(self) -> Iterator[list[tuple[Any, ...]]]:
        """The trace that came since the last time, a piece at a time: (call, args, result, errno, at, ns, shell)."""
        while self._steps:
            steps = wire.value(self._steps.pop(0))
            assert isinstance(steps, list)
            yield steps


def read_failure(payload: bytes) -> tuple[str, int]:
    """A FAILED frame's (text, docker's exit status)."""
    failure = wire.value(payload)
    assert isinstance(failure, tuple)
    return failure
