"""A process that the monitor looks after: the container's first one, or one that `exec` brought in.

Its output goes to the log, if there is one, and to every attached client; input comes from clients. A client that
does not read stops the process's output once a mebibyte waits for it, as docker does: what a person pipes through
`strata run` is complete. A client that is gone stops nothing.
"""

from __future__ import annotations

import errno
import os

from engine.kernel import proc, processes, terminals
from engine.runtime import wire
from engine.runtime.loop import IN, OUT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from engine.runtime.clients import Client
    from engine.runtime.loop import Loop
    from engine.runtime.records import Log

INPUT_LIMIT = 65536
"""Bytes of input that wait for the process before its clients' input is held back."""

DRAIN_READS = 64
"""Reads of 64 KiB that empty any pipe (at most 1 MiB) after the process has ended; who still writes is cut off."""

TERMINAL_SECONDS = 0.05
"""How long a terminal may take to pass on the last output: the kernel does that in a work queue."""

_KINDS = {"stdout": wire.STDOUT, "stderr": wire.STDERR}


class Source:
    """Owns the reading end of one output: a pipe, or a terminal's master."""

    __slots__ = ("_task", "fd", "stream")

    def __init__(self, task: Task, fd: int, stream: str) -> None:
        os.set_blocking(fd, False)
        self._task = task
        self.fd = fd
        self.stream = stream

    def ready(self, events: int) -> None:
        """Something came."""
        self.read()

    def read(self) -> bool:
        """Pass on one piece; whether there may be more now. Closes at the end of the stream."""
        try:
            data = os.read(self.fd, wire.CHUNK)
        except BlockingIOError:
            return False
        except OSError:  # EIO: nobody has the terminal open any more
            data = b""
        if not data:
            self.close()
            return False
        self._task.output(self.stream, data)
        return True

    def close(self) -> None:
        if self.fd >= 0:
            self._task.loop.forget(self.fd)
            os.close(self.fd)
            self.fd = -1


class Inlet:
    """Owns the writing end of standard input: a pipe, or a terminal's master."""

    __slots__ = ("_closing", "_fd", "_task", "_waiting")

    def __init__(self, task: Task, fd: int) -> None:
        os.set_blocking(fd, False)
        self._task = task
        self._fd = fd
        self._waiting = bytearray()
        self._closing = False

    @property
    def full(self) -> bool:
        return len(self._waiting) > INPUT_LIMIT

    @property
    def fd(self) -> int:
        """The descriptor, -1 when it is closed."""
        return self._fd

    @property
    def busy(self) -> bool:
        """Whether something waits to be passed on."""
        return bool(self._waiting)

    def write(self, data: bytes) -> None:
        """Pass input on, keeping what the process does not take now; dropped when it has closed its end."""
        if self._fd >= 0 and not self._closing:
            self._waiting += data
            self._flush()

    def finish(self) -> None:
        """Close as soon as everything is passed on."""
        self._closing = True
        self._flush()

    def close(self) -> None:
        if self._fd >= 0:
            self._task.loop.forget(self._fd)
            os.close(self._fd)
            self._fd = -1
            self._waiting.clear()

    def _flush(self, events: int = 0) -> None:
        was_full = self.full
        try:
            while self._waiting and self._fd >= 0:
                written = os.write(self._fd, self._waiting[: wire.CHUNK])
                del self._waiting[:written]
        except BlockingIOError:
            self._task.loop.watch(self._fd, OUT, self._flush)
        except OSError:  # EPIPE, EIO: nobody will read it
            self.close()
        else:
            if self._fd >= 0:
                self._task.loop.forget(self._fd)
            if self._closing:
                self.close()
        if was_full and not self.full:
            self._task.release_input()


class Task:
    """Owns a process (its pidfd) and its streams. status: None until it has ended and its output is passed on."""

    __slots__ = (
        *("_held", "_inlet", "_master", "_on_end", "_over", "_result", "_slave", "_sources"),
        *("argv", "clients", "id", "log", "loop", "pid", "pidfd", "started", "status", "user"),
    )

    def __init__(self, loop: Loop, pid: int, pidfd: int, on_end: Callable[[Task], None]) -> None:
        self.loop = loop
        self.pid = pid
        self.pidfd = pidfd
        self.id = ""
        self.argv: tuple[str, ...] = ()
        self.user = ""
        self.started = ""
        self.clients: list[Client] = []
        self.log: Log | None = None
        self.status: int | None = None
        self._result = 0
        self._over = False
        self._on_end = on_end
        self._sources: list[Source] = []
        self._inlet: Inlet | None = None
        self._master = self._slave = -1
        self._held = False

    def begin(self, outputs: dict[str, int], stdin: int = -1, master: int = -1, slave: int = -1) -> None:
        """Watch the process and its streams. outputs: pipes to read, by stream; or master: a terminal's.

        slave: the terminal's other end, kept open so that a process may close it and open it again.
        """
        if master >= 0:
            self._master, self._slave = master, slave
            outputs, stdin = {"stdout": master}, os.dup(master)
        self._sources = [Source(self, fd, stream) for stream, fd in outputs.items()]
        if stdin >= 0:
            self._inlet = Inlet(self, stdin)
        self.loop.watch(self.pidfd, IN, self._ended)
        self._watch()

    @property
    def tty(self) -> bool:
        return self._master >= 0

    def keep(self) -> dict[str, Any] | None:
        """What another monitor would go on with (`begin`'s arguments among it); None while input or an end is on its
        way."""
        outputs = {source.stream: source.fd for source in self._sources if source.fd >= 0}
        inlet = self._inlet
        if self._over or (inlet is not None and inlet.busy) or (self.tty and not outputs):
            return None
        return {
            "pid": self.pid,
            "pidfd": self.pidfd,
            "started": self.started,
            "outputs": {} if self.tty else outputs,
            "stdin": -1 if self.tty or inlet is None else inlet.fd,
            "master": self._master,
            "slave": self._slave,
        }

    def signal(self, number: int) -> None:
        """Send a signal; ProcessLookupError when the process has ended, OSError EINVAL for no signal's number."""
        if self.status is not None:
            raise ProcessLookupError(errno.ESRCH, "the process has ended")
        proc.pidfd_send_signal(self.pidfd, number)

    def resize(self, rows: int, columns: int) -> None:
        """Set the size of its terminal, if it has one and still reads it."""
        if self.tty and self._sources[0].fd >= 0:
            terminals.set_size(self._master, rows, columns)

    # Clients.

    def attach(self, client: Client, stdin: bool, once: bool) -> None:
        """Give a client the output from now on; stdin: and take its input. once: losing it ends the input."""
        client.task = self
        client.stdin = stdin
        client.once = once and stdin
        self.clients.append(client)

    def detach(self, client: Client) -> None:
        """The client is gone."""
        if client in self.clients:
            self.clients.remove(client)
            client.task = None
            if client.once:
                self.close_input()
            self.balance()

    def input(self, client: Client, data: bytes) -> None:
        """What a client writes."""
        if client.stdin and self._inlet is not None:
            self._inlet.write(data)
            if self._inlet.full:
                client.hold()

    def close_input(self) -> None:
        """End standard input after what waits; a terminal's stays open."""
        if self._inlet is not None and not self.tty:
            self._inlet.finish()

    def release_input(self) -> None:
        for client in list(self.clients):
            client.release()

    def output(self, stream: str, data: bytes) -> None:
        """What the process wrote."""
        if self.log is not None:
            self.log.write(stream, data)
        for client in list(self.clients):
            client.send(_KINDS[stream], data)
        if not self._held and any(client.full for client in self.clients):
            self.balance()

    def balance(self) -> None:
        """Read output only while every client can take it."""
        self._held = not self._over and any(client.full for client in self.clients)
        self._watch()

    def _watch(self) -> None:
        for source in self._sources:
            if source.fd >= 0 and not self._held:
                self.loop.watch(source.fd, IN, source.ready)
            elif source.fd >= 0:
                self.loop.forget(source.fd)

    # The end.

    def _ended(self, events: int) -> None:
        status = processes.wait(self.pidfd, block=False)
        if status is None:
            return
        self.loop.forget(self.pidfd)
        self._result = status
        self._over = True
        if self._slave >= 0:
            os.close(self._slave)  # now the master says when everything was read
        self._drain()
        if self.tty and self._sources[0].fd >= 0:
            self.loop.later(TERMINAL_SECONDS, self._finish)
        else:
            self._finish()

    def _drain(self) -> None:
        """Pass on what the streams still hold; it goes to clients that are full, too: it is at most a pipe's worth."""
        for source in self._sources:
            for _ in range(DRAIN_READS):
                if source.fd < 0 or not source.read():
                    break

    def _finish(self) -> None:
        self._drain()
        for source in self._sources:
            source.close()
        if self._inlet is not None:
            self._inlet.close()
        os.close(self.pidfd)
        self.status = self._result
        self._on_end(self)
