"""A session's streams on this process's own: both ways at once, the terminal raw, signals passed on, detach keys.

One thread, one poll: the session, standard input, and a pipe that signals write to. Output goes out with plain
write(2), so a slow reader slows the container down, as a pipe would.
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]  # `signal` without its enumerations, which cost 3 ms
import os
import select
import sys

from app.cli.terminal import RawTerminal, terminal_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Self

    from engine.runtime.client import Session

CHUNK = 65536
ENOUGH = 1 << 20  # bytes on their way to the container at which we stop reading standard input
DETACH = b"\x10\x11"  # ctrl-p ctrl-q

# Not passed on: what cannot be caught, what tells this process about itself (its children, its pipes, that its terminal
# wants it to stop), and what means it has gone wrong.
NOT_PROXIED = {
    *(signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD, signal.SIGPIPE, signal.SIGURG),
    *(signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU),
    *(signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGTRAP, signal.SIGSYS),
}


class SignalPipe:
    """Signals as bytes in a pipe while it is open; the handlers of before come back at the end."""

    def __init__(self, numbers: set[int]) -> None:
        self._numbers = numbers

    def __enter__(self) -> Self:
        self.fd, self._in = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._former = signal.set_wakeup_fd(self._in, warn_on_full_buffer=False)
        self._handlers = {number: signal.signal(number, _nothing) for number in self._numbers}
        return self

    def __exit__(self, *exc: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._former)
        os.close(self.fd)
        os.close(self._in)

    def read(self) -> bytes:
        """The numbers of the signals that came, one byte each."""
        try:
            return os.read(self.fd, 4096)
        except BlockingIOError:
            return b""


def _nothing(number: int, frame: object) -> None:
    """A handler that lets the wake-up descriptor tell."""


class DetachKeys:
    """Looks for the keys that leave a session; the first ones wait until it is clear whether the rest follows."""

    def __init__(self, keys: bytes = DETACH) -> None:
        self._keys = keys
        self._seen = 0

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """(what to pass on, whether the keys were complete; then the rest is dropped)."""
        passed = bytearray()
        for byte in data:
            if self._keys and byte == self._keys[self._seen]:
                self._seen += 1
                if self._seen == len(self._keys):
                    return bytes(passed), True
                continue
            passed += self._keys[: self._seen]
            self._seen = 0
            if self._keys and byte == self._keys[0]:
                self._seen = 1
            else:
                passed.append(byte)
        return bytes(passed), False


BOTH = ("stdout", "stderr")
ENDS = {signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT}
"""What ends a session at a raw terminal, by way of putting that back: the keys for these are the container's."""


def connect(
    session: Session,
    *,
    stdin: bool,
    tty: bool,
    proxy: bool = True,
    keys: bytes = DETACH,
    outputs: Sequence[str] = BOTH,
) -> int | None:
    """Copy until the process ends: its exit status; or until the detach keys: None.

    stdin: pass standard input on, and its end. tty: the process has a terminal: ours becomes raw, if it is one, and its
    size follows. proxy: pass signals on, when there is no terminal to make them. outputs: which of its streams are
    ours; without any, the end of standard input is the end: None. BrokenPipeError when our standard output is closed.
    The session is closed in the end; a process that has not ended goes on.
    """
    raw = tty and stdin and os.isatty(0)
    signals: set[int] = {signal.SIGWINCH} if tty else set()
    if raw:
        signals |= {*ENDS, signal.SIGTSTP, signal.SIGCONT}
    elif proxy and not tty:
        signals = signal.valid_signals() - NOT_PROXIED
    sys.stdout.flush()
    try:
        with SignalPipe({int(number) for number in signals}) as pipe:
            if not raw:
                return _Copier(session, pipe, stdin, tty, outputs).run()
            with RawTerminal() as terminal:
                return _Copier(session, pipe, stdin, tty, outputs, terminal, DetachKeys(keys)).run()
    finally:
        session.close()


class _Copier:
    """One session being copied both ways. terminal, keys: when ours is raw."""

    def __init__(
        self,
        session: Session,
        pipe: SignalPipe,
        stdin: bool,
        tty: bool,
        outputs: Sequence[str],
        terminal: RawTerminal | None = None,
        keys: DetachKeys | None = None,
    ) -> None:
        self.session, self.pipe, self.stdin, self.tty = session, pipe, stdin, tty
        self.outputs, self.terminal, self.keys = outputs, terminal, keys

    def run(self) -> int | None:
        if self.tty:
            self._resize()
        poll = select.poll()
        poll.register(self.pipe.fd, select.POLLIN)
        reading = False
        while self.outputs or self.stdin or self.session.unsent:
            poll.register(self.session.fileno(), select.POLLIN | (select.POLLOUT if self.session.unsent else 0))
            if reading is not (self.stdin and self.session.unsent < ENOUGH):
                reading = not reading
                if reading:
                    poll.register(0, select.POLLIN)
                else:
                    poll.unregister(0)
            for fd, event in poll.poll():
                if fd == self.pipe.fd:
                    self._signals()
                elif fd == 0 and not self._input():
                    return None
                elif fd == self.session.fileno():
                    if event & select.POLLOUT:
                        self._to_process(self.session.flush)
                    if event & ~select.POLLOUT and self._output():
                        return self.session.exit_code
        return None

    def _output(self) -> bool:
        """Write what the process wrote; whether it has ended."""
        for stream, data in self.session.receive():
            if stream == "exit":
                return True
            if stream in self.outputs:
                write_all(2 if stream == "stderr" else 1, data)
        return False

    def _input(self) -> bool:
        """Pass on what came from standard input, or its end; False when the detach keys were pressed."""
        try:
            data = os.read(0, CHUNK)
        except OSError:  # hung up, or never open: it ends
            data = b""
        if not data and self.terminal is not None:  # a raw terminal has no end of input: it is gone
            raise SystemExit(128 + signal.SIGHUP)
        if not data:
            self.stdin = False
            self._to_process(self.session.close_stdin)
            return True
        detach = False
        if self.keys is not None:
            data, detach = self.keys.feed(data)
        if data:
            self._to_process(lambda: self.session.write(data))
        return not detach

    def _signals(self) -> None:
        for number in self.pipe.read():
            if not self.tty:
                self._to_process(lambda number=number: self.session.signal(number))  # type: ignore[misc]
            elif number == signal.SIGWINCH:
                self._resize()
            elif number == signal.SIGTSTP:
                self._stop()
            elif number == signal.SIGCONT:
                self._go_on()
            else:
                raise SystemExit(128 + number)  # by way of the terminal's attributes being put back

    def _stop(self) -> None:
        """Stop as anybody would whom a shell's job control tells so, and leave the shell its terminal."""
        assert self.terminal is not None
        self.terminal.leave()
        ours = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        signal.raise_signal(signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, ours)
        self._go_on()

    def _go_on(self) -> None:
        """After a stop: the shell has had the terminal meanwhile."""
        assert self.terminal is not None
        self.terminal.enter()
        self._resize()

    def _resize(self) -> None:
        rows, columns = terminal_size()
        if rows and columns:
            self._to_process(lambda: self.session.resize(rows, columns))

    def _to_process(self, send: Callable[[], None]) -> None:
        try:
            send()
        except BrokenPipeError:
            pass  # the monitor is gone; what it said last, or that it said nothing, is for `receive` to find


def write_all(fd: int, data: bytes | bytearray) -> None:
    """Write all of it, waiting where the descriptor does not block. BrokenPipeError when nobody reads."""
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(fd, rest) :]
        except BlockingIOError:
            poll = select.poll()
            poll.register(fd, select.POLLOUT)
            poll.poll()
