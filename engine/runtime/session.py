"""A session: the streams of one process in a container, as a client holds them.

Writing never blocks and reading also sends, so that a client that copies both ways in one thread cannot
deadlock with a container that copies both ways: see `Session.unsent`.
"""

from __future__ import annotations

import _socket
import _thread
import errno
import select

from engine.errors import StrataError
from engine.runtime import wire

_NAMES = {wire.STDOUT: "stdout", wire.STDERR: "stderr", wire.EXIT: "exit"}


class MonitorLost(StrataError):
    """The monitor ended (or was killed) before it told how the process ended; its container ends with it."""

    exit_status = 125

    def __init__(self) -> None:
        super().__init__("the connection to the container's monitor was lost: see `strata ps -a`")


class Session:
    """Owns the connection of one attached process.

    pid: the process's number outside (0 when not known); exit_code: its exit status, None until `read` met it.
    A copying loop in one thread polls `fileno()` for reading, and also for writing while `unsent`; it calls
    `receive` when readable, `flush` when writable, and takes more input only while `unsent` is small.
    """

    __slots__ = ("_closed", "_flushing", "_frames", "_lock", "_out", "_ready", "_socket", "exit_code", "pid")

    def __init__(self, sock: _socket.socket) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._lock = _thread.RLock()  # a signal handler may write in the middle of a write of its own thread
        self._frames = wire.Frames()
        self._ready: list[tuple[str, bytes]] = []
        self._out = bytearray()
        self._flushing = False
        self._closed = False
        self.exit_code: int | None = None
        self.pid = 0

    def fileno(self) -> int:
        """The connection's descriptor, for poll or an event loop; -1 when closed."""
        return self._socket.fileno()

    @property
    def unsent(self) -> int:
        """Bytes written that the monitor has not taken yet (it stops taking when the process does not read)."""
        return len(self._out)

    def read(self) -> tuple[str, bytes]:
        """Block for the next piece: ("stdout" | "stderr", bytes), or ("exit", b"") and `exit_code` is set.

        A terminal's output is all "stdout". Sends what is unsent meanwhile. MonitorLost when the connection breaks.
        """
        while not self._ready:
            if self.exit_code is not None:
                return ("exit", b"")
            poll = select.poll()
            poll.register(self._socket.fileno(), select.POLLIN | (select.POLLOUT if self._out else 0))
            event = poll.poll()[0][1]
            if event & select.POLLOUT:
                self.flush()
            if event & ~select.POLLOUT:
                self._receive()
        return self._ready.pop(0)

    def receive(self) -> list[tuple[str, bytes]]:
        """The pieces that are there, as `read` gives them, without blocking; call it when `fileno()` is readable."""
        self._receive()
        ready, self._ready = self._ready, []
        return ready

    def _receive(self) -> None:
        try:
            data = self._socket.recv(wire.CHUNK)
        except BlockingIOError:
            return
        except ConnectionResetError:
            data = b""
        if not data:
            if self.exit_code is None:
                raise MonitorLost
            return
        for kind, payload in self._frames.feed(data):
            if kind == wire.EXIT:
                self.exit_code = wire.NUMBER.unpack(payload)[0]
                payload = b""
            self._ready.append((_NAMES[kind], payload))

    def write(self, data: bytes) -> None:
        """Send to the process's standard input or terminal; what the monitor does not take now stays `unsent`.

        BrokenPipeError when the monitor is gone.
        """
        for start in range(0, len(data), wire.CHUNK):
            self._send(wire.frame(wire.STDIN, data[start : start + wire.CHUNK]))

    def close_stdin(self) -> None:
        """End the process's standard input after what was written; a terminal's stays open."""
        self._send(wire.frame(wire.CLOSE_STDIN))

    def resize(self, rows: int, columns: int) -> None:
        """Tell the process's terminal its new size."""
        self._send(wire.frame(wire.RESIZE, wire.SIZE.pack(min(rows, 65535), min(columns, 65535))))

    def signal(self, number: int) -> None:
        """Send a signal to the process (a container's first one, or the one that `exec` made)."""
        self._send(wire.frame(wire.SIGNAL, wire.NUMBER.pack(number)))

    def _send(self, data: bytes) -> None:
        with self._lock:
            self._out += data
        self.flush()

    def flush(self) -> None:
        """Send as much of what is unsent as the monitor takes now."""
        with self._lock:
            if self._flushing:  # we are a signal handler in the middle of the loop below, which goes on with ours
                return
            self._flushing = True
            try:
                while self._out:
                    sent = self._socket.send(bytes(self._out[: wire.CHUNK]))
                    del self._out[:sent]
            except BlockingIOError:
                pass
            except ConnectionResetError as error:
                raise BrokenPipeError(errno.EPIPE, "the container's monitor is gone") from error
            finally:
                self._flushing = False

    def wait(self) -> int:
        """Block until the process ends, dropping its output; its exit status. MonitorLost as in `read`."""
        while self.read()[0] != "exit":
            pass
        assert self.exit_code is not None
        return self.exit_code

    def close(self) -> None:
        """Detach: the process goes on, its standard input stays open."""
        if self._closed:
            return
        self._closed = True
        if self.exit_code is None:
            try:
                self._send(wire.frame(wire.DETACH))
            except BrokenPipeError:
                pass  # nothing to detach from
        self._socket.close()
