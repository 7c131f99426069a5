"""The monitor: one process a container, parent of its first process, from the start to the last word about its end.

It is forked by the launcher, keeps nothing of whoever asked for the start (session, descriptors, directory), and is
the only writer of the container's state.json while it lives. If it is killed, so is the container (init asks the
kernel for that), and whoever looks next sees a dead monitor's state. Here is how it comes to a container, or how it
undoes a start that failed; the container's life is in `container`.
"""

from __future__ import annotations

import _socket
import os

from engine import cgroups
from engine.kernel import proc, processes
from engine.kernel.clib import c_void_p
from engine.kernel.syscalls import LIBC
from engine.runtime import orphans, removal, wire
from engine.runtime.container import Container
from engine.runtime.handshake import AIM, BORN, FAILED, RUNS, last_words, read_failure, words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

_BOSS = 3
_SIG_IGN = 1
_DEAF_TO = (1, 2, 3, 15)
"""HUP, INT, QUIT, TERM: a closing session or a shutdown ends the container's processes, and then it the monitor."""


def main(number: int, starter: int, hierarchy: cgroups.Hierarchy | None) -> NoReturn:
    """Be the monitor of the container that the starter brings; ends the process.

    number: the socket to the starter, the only descriptor that stays open; starter: its pid, a child of ours.
    """
    try:
        _detach(number)
        inbox = wire.Inbox(_socket.socket(fileno=_BOSS))
        attempt: Attempt | None = None
        failure: tuple[str, int] | None = ("the starter was killed before the container ran", 125)
        heard = False
        while not heard and not inbox.ended:
            for kind, payload in inbox.receive():
                if kind == AIM:
                    attempt = Attempt(wire.value(payload), inbox.take(), hierarchy)
                elif kind == BORN and attempt is not None:
                    attempt.adopt(wire.value(payload), inbox.take())
                elif kind in (RUNS, FAILED):
                    failure = None if kind == RUNS else read_failure(payload)
                    heard = True
        if attempt is not None:
            inbox.sock.close()
            attempt.conclude(failure, inbox.take(), starter)
    except BaseException as error:
        last_words(error)
    finally:
        os._exit(0)


def _detach(number: int) -> None:
    """Become a process of its own, and let go of the launcher and whoever is behind it."""
    os.setsid()
    if number != _BOSS:
        os.dup2(number, _BOSS, inheritable=False)
    processes.close_range(_BOSS + 1)
    processes.set_name("strata-monitor")
    for signal in _DEAF_TO:
        LIBC.signal(signal, c_void_p(_SIG_IGN))


class Attempt:
    """Owns a start until it is known whether the container runs."""

    __slots__ = ("_attach", "_connection", "_container", "_directory", "_group", "_plan", "_streams", "_trouble")

    def __init__(self, aim: Any, descriptors: list[int], hierarchy: cgroups.Hierarchy | None) -> None:
        """aim: attach, plan, of `starter`; descriptors: the client's connection, the container's directory."""
        connection, self._directory = descriptors
        self._connection = _socket.socket(fileno=connection)
        self._attach: bool = aim["attach"]
        self._plan: dict[str, Any] = aim["plan"]
        self._group = cgroups.open_group(self._plan["cgroup"][0], self._plan["cgroup"][1], hierarchy)
        self._streams: list[int] = []
        self._container: Container | None = None
        self._trouble: tuple[str, int] | None = None

    def adopt(self, pid: Any, descriptors: list[int]) -> None:
        """The first process is there. descriptors: its pidfd; stdout, stderr, perhaps stdin."""
        pidfd, *self._streams = descriptors
        try:
            self._container = Container(self._plan, self._directory, self._group, pid, pidfd)
        except OSError as error:
            self._trouble = (words(error), 125)
            proc.pidfd_send_signal(pidfd, proc.SIGKILL)

    def conclude(self, failure: tuple[str, int] | None, descriptors: list[int], starter: int) -> None:
        """From the starter's verdict to the container's end. failure: its program does not run: why, docker's status.

        descriptors: the null device, and a terminal's two ends. starter: to be waited for.
        """
        failure = self._trouble or failure
        if failure is None and self._container is not None:
            os.dup2(1, 2)  # the launcher's 0 and 1 are /dev/null, its 2 is the client's, for last words
            self._container.begin(self._connection, self._attach, self._streams, descriptors)
            os.waitpid(starter, 0)
            self._container.look_after()
            return
        os.waitpid(starter, 0)  # it may be making cgroups still
        orphans.bury(self._group)
        _reap()
        removal.forget_socket(self._directory)
        assert failure is not None
        self._connection.sendall(wire.value_frame(wire.ERROR, ("StartFailed", *failure)))


def _reap() -> None:
    """Wait for every child; all have been killed."""
    while True:
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return
