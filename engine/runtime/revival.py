"""Starting a container anew: its restart policy, the back-off, and a starter that is spawned.

The monitor has forgotten the plan, and never loaded what a start needs. So it spawns a new interpreter, from the sealed
program that it runs from itself, which reads config.json, makes a plan as `start` does and carries it out like any
starter (`engine.commands.again`). The first process becomes a child of the monitor (CLONE_PARENT), which goes on as the
same one, with the same log, socket and clients; what the start needed is gone with the starter.
"""

from __future__ import annotations

import _socket
import os
import sys
import time

from engine.kernel import proc, processes
from engine.runtime import wire
from engine.runtime.handshake import AIM, BORN, FAILED, RUNS, read_failure, words
from engine.runtime.loop import IN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.runtime.container import Container

FIRST_DELAY, LONGEST_DELAY = 0.1, 60.0
"""Seconds before a container is started anew: doubled each time (moby's restartmanager)."""

LASTING = 10.0
"""Seconds of running after which the delay begins anew."""

_FLAGS = ("-I", "-S", "-X", "utf8", "-X", "no_debug_ranges")
_CODE = "import sys; sys.path.append({path!r}); from engine.commands.again import main; main(3, *sys.argv[1:])"


class Revival:
    """Owns what happens between an end and the next start. count: how often it was started anew; pending: an end has
    come, and the container does not run yet."""

    __slots__ = ("_container", "_delay", "_inbox", "_newborn", "_pid", "_since", "_turn", "count", "pending")

    def __init__(self, container: Container) -> None:
        self._container = container
        self._delay = 0.0
        self._inbox: wire.Inbox | None = None
        self._pid = 0
        self._turn = 0
        self.count = 0
        self.pending = False
        self._newborn: tuple[int, list[int]] | None = None
        self._since = time.monotonic()

    def ran(self) -> float:
        """Seconds since its program began to run."""
        return time.monotonic() - self._since

    def keep(self) -> tuple[int, float, float]:
        """What is known of earlier starts, for `take_back`."""
        return self.count, self._delay, self._since

    def take_back(self, kept: tuple[int, float, float]) -> None:
        """Go on where another one left off."""
        self.count, self._delay, self._since = kept

    def wanted(self, status: int) -> bool:
        """Whether an end with this status is to be followed by a start; chooses the delay."""
        if self.ran() >= LASTING:
            self._delay = 0.0
        self._delay = min(self._delay * 2, LONGEST_DELAY) or FIRST_DELAY
        policy, most = self._container.plan["restart"]
        if self._container.stopped_by_user:
            return False
        if policy == "on-failure":
            return status != 0 and (not most or self.count < most)
        return policy in ("always", "unless-stopped")

    def begin(self) -> None:
        """Start it anew after the delay."""
        self.pending = True
        self.count += 1
        self._turn += 1
        turn = self._turn
        self._container.loop.later(self._delay, lambda: self._spawn(turn))

    def cancel(self) -> None:
        """The user wants it stopped: no start any more; one that is under way is undone."""
        self._fail(None)

    def _spawn(self, turn: int) -> None:
        if not self.pending or turn != self._turn:
            return
        ours, theirs = _socket.socketpair()
        house = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        plan = self._container.plan
        argv = [sys.orig_argv[0], *_FLAGS, "-c", _CODE.format(path=house), plan["root"], plan["id"]]
        try:
            self._container.leave_pid_namespace()
            self._pid = os.posix_spawn(
                "/proc/self/exe",
                argv,
                {},
                file_actions=[(os.POSIX_SPAWN_DUP2, theirs.fileno(), 3)],
                setsigmask=[],
                setsigdef=range(1, 32),
            )
        except OSError as error:
            ours.close()
            self._fail((words(error), 125))
            return
        finally:
            theirs.close()
        ours.setblocking(False)
        self._inbox = wire.Inbox(ours)
        self._container.loop.watch(ours.fileno(), IN, self._heard)

    def _heard(self, events: int) -> None:
        """What the starter says: as to a monitor in its beginning (`monitor.main`)."""
        inbox, container = self._inbox, self._container
        assert inbox is not None
        failure: tuple[str, int] | None = ("the starter was killed before the container ran", 125)
        heard = False
        for kind, payload in inbox.receive():
            if kind == AIM:
                for directory in inbox.take():
                    os.close(directory)
                aim = wire.value(payload)
                assert isinstance(aim, dict)
                container.plan = aim["plan"]
            elif kind == BORN:
                pid = wire.value(payload)
                assert isinstance(pid, int)
                self._newborn = (pid, inbox.take())
            elif kind in (RUNS, FAILED):
                failure = None if kind == RUNS else read_failure(payload)
                heard = True
        if not heard and not inbox.ended:
            return
        if failure is not None or self._newborn is None:
            self._fail(failure)
            return
        descriptors = inbox.take()
        pid, (pidfd, *streams) = self._newborn
        self._newborn = None
        self._end_starter()
        self.pending = False
        self._since = time.monotonic()
        container.runs_again(pid, pidfd, streams, descriptors)

    def _fail(self, failure: tuple[str, int] | None) -> None:
        """No start comes of it, what there is of one is undone: the container has ended for good."""
        if self._pid:
            os.kill(self._pid, proc.SIGKILL)  # our child, not waited for: the number is its own
        self._end_starter()
        self.pending = False
        self._container.stay_ended(failure)
        if self._newborn is not None:
            pidfd = self._newborn[1][0]
            processes.wait(pidfd)  # killed with its group
            for descriptor in self._newborn[1]:
                os.close(descriptor)
            self._newborn = None

    def _end_starter(self) -> None:
        """Let go of the starter, which has ended or is just about to."""
        if self._inbox is not None:
            self._container.loop.forget(self._inbox.sock.fileno())
            self._inbox.sock.close()
            for descriptor in self._inbox.take():
                os.close(descriptor)
            self._inbox = None
        if self._pid:
            os.waitpid(self._pid, 0)
            self._pid = 0
