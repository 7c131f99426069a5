"""A container that runs, as its monitor sees it: streams, clients, execs, pause, the state file, the end."""

from __future__ import annotations

import _socket
import gc
import os

from engine import cgroups
from engine.kernel import namespaces, proc, processes
from engine.kernel.syscalls import LIBC
from engine.runtime import entering, journal, orphans, removal
from engine.runtime.control import Control
from engine.runtime.execs import exit_frame
from engine.runtime.handshake import whence, words
from engine.runtime.loop import Loop
from engine.runtime.records import Log, encode, now, put, stage
from engine.runtime.rest import Rest
from engine.runtime.revival import Revival
from engine.runtime.tasks import Task

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

    from engine.runtime.health import Health

_SETTLE_SECONDS = 0.1
"""After this time a container is one that stays, and its monitor makes itself small."""

_ENGINE_FAILED = 128
"""docker's exit code of a container that could not be started for another reason than its command."""

_GONE = {"pid": 0, "pid_start": 0, "monitor_pid": 0, "monitor_start": 0}


def _settle() -> None:
    """Give memory back that the start needed; what is left will stay."""
    gc.collect()
    gc.freeze()
    LIBC.malloc_trim(0)


class Container:
    """Owns a container from the birth of its first process on: its group, processes, records."""

    __slots__ = (
        *("_boot", "_control", "_directory", "_ended", "_entered", "_finished", "_log", "_rest", "_revival"),
        *("execs", "group", "health", "init", "loop", "null", "paused", "plan", "stopped_by_user"),
    )

    def __init__(
        self,
        plan: dict[str, Any],
        directory: int,
        group: cgroups.Group,
        pid: int,
        pidfd: int,
        listener: _socket.socket | None = None,
    ) -> None:
        """Get ready while the process works on its root: log, control socket, the state as it will be.

        plan: what `starter` keeps of it; directory: the container's, open; listener: the control socket, of one that
        runs already. OSError when one of them cannot be made.
        """
        self.plan = plan
        self._directory = directory
        self.group = group
        self.loop = Loop()
        self.init = Task(self.loop, pid, pidfd, self._init_ended)
        self.execs: list[Task] = []
        self.null = -1
        self.paused = False
        self.stopped_by_user = False
        self._entered = False
        self._finished = False
        self._ended: dict[str, Any] = {}
        self.health: Health | None = None
        self._boot = proc.boot_id()
        driver, most, files = plan["log"]
        self._log = Log(directory, "log.json", most, files, driver != "none")
        self._revival = Revival(self)
        self.init.started = now()
        self.init.log = self._log
        self._rest = Rest(self)
        self._control = Control(self, listener or removal.listen(directory))
        if listener is None:
            self._stage_state("running")

    # Serve.

    def begin(self, connection: _socket.socket, attach: bool, streams: list[int], descriptors: list[int]) -> None:
        """Its program runs: write that down, answer the caller, take up the streams.

        attach: the caller's connection becomes a session. streams: stdout, stderr, perhaps stdin. descriptors: the null
        device, and a terminal's two ends if it has one.
        """
        put(self._directory, "state.json")
        if attach:
            self.tell("attach")
        self.tell("start")
        client = self._control.adopt(connection)
        client.reply({"pid": self.init.pid})
        if attach:
            self.init.attach(client, stdin=self.plan["open_stdin"], once=not self.plan["tty"])
        else:
            client.finish()
        self._take_up(streams, descriptors)

    def _take_up(self, streams: list[int], descriptors: list[int]) -> None:
        self.null, *terminal = descriptors
        if terminal:
            self.init.begin({}, -1, *terminal)
        else:
            self.init.begin({"stdout": streams[0], "stderr": streams[1]}, *streams[2:])
        if self.plan["health"]:
            from engine.runtime.health import Health

            self.health = Health(self, self._directory)
        self.loop.later(_SETTLE_SECONDS, _settle)

    def look_after(self) -> None:
        """Until everything about the container is said and done."""
        try:
            self._rest.begin()
            while not self._finished or self._control.clients:
                self.loop.turn()
        except BaseException as error:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        """An error of the monitor itself: nobody would look after the container any more, so it ends."""
        reason = f"the monitor failed: {whence(error)}"
        try:
            self.init.signal(proc.SIGKILL)  # and its pid namespace with it, where there is no group
        except OSError:
            pass  # it has ended
        try:
            self.group.kill()
            self.group.remove()
        except OSError as another:
            reason += f"; and then: {words(another)}"
        if not self._finished:
            removal.forget_socket(self._directory)
            self._write_state("exited", exit_code=255, error=reason, finished=now(), **_GONE)
            self.tell("die", exitCode="255")

    def keep(self) -> dict[str, Any] | None:
        """All that is known of it here, as plain data and descriptors, for `take_back`; None while something goes on.

        awaited: the descriptors on which something may happen.
        """
        init, listener = self.init.keep(), self._control.fileno()
        if init is None or self._finished or self._revival.pending or self.health is not None or self.loop.timed:
            return None
        awaited = {listener, init["pidfd"], *init["outputs"].values(), *([init["master"]] if self.init.tty else [])}
        if self.execs or self._control.clients or self.loop.watched() != awaited:
            return None
        return {
            "plan": self.plan,
            "directory": self._directory,
            "listener": listener,
            "awaited": sorted(awaited),
            "hierarchy": (self.group.hierarchy.mounts, self.group.hierarchy.unified),
            "null": self.null,
            "init": init,
            "log": self._log.keep(),
            "revival": self._revival.keep(),
            "paused": self.paused,
            "stopped_by_user": self.stopped_by_user,
            "entered": self._entered,
        }

    def take_back(self, kept: dict[str, Any], rest: Rest) -> None:
        """Go on where `keep` left off, in another interpreter."""
        self._rest = rest
        self.null = kept["null"]
        self.paused, self.stopped_by_user, self._entered = kept["paused"], kept["stopped_by_user"], kept["entered"]
        self._log.take_back(kept["log"])
        self._revival.take_back(kept["revival"])
        init = kept["init"]
        self.init.started = init["started"]
        self.init.begin(init["outputs"], init["stdin"], init["master"], init["slave"])

    def clone_inside(self, door: int, run: Callable[[], NoReturn]) -> tuple[int, int]:
        """A child in the container's pid namespace: its pid and pidfd. door: of its group, or -1; run: what it does."""
        if not self._entered:
            if not entering.can_return():
                return entering.clone_by_another(self.init.pidfd, door, run)
            namespaces.setns(self.init.pidfd, namespaces.CLONE_NEWPID)
            self._entered = True
        pid, pidfd = processes.clone3(0, cgroup_fd=door)
        if pid == 0:
            run()
        return pid, pidfd

    def leave_pid_namespace(self) -> None:
        """From now on children are born in the monitor's own pid namespace: the container's has ended."""
        if self._entered:
            entering.go_back()
            self._entered = False

    @property
    def status(self) -> str:
        """As in state.json: "running", "paused" or "restarting"."""
        return "paused" if self.paused else "restarting" if self._revival.pending else "running"

    def stop_wanted(self) -> None:
        """The user wants it stopped: its next end is the last one; if it waits to be started anew, that is now."""
        self.stopped_by_user = True
        if self._revival.pending:
            self._revival.cancel()

    def tell(self, action: str, **attributes: str) -> None:
        """Note an event of this container in the store's journal."""
        journal.tell(self.plan["root"], "container", action, self.plan["id"], {**self.plan["about"], **attributes})

    def pause(self) -> None:
        """Freeze the container's processes; OSError ETIMEDOUT when one does not stand still."""
        self.group.freeze()
        self.paused = True
        if self.health is not None:
            self.health.hold()
        self._write_state("paused")
        self.tell("pause")

    def resume(self) -> None:
        """Let them go on."""
        self.group.thaw()
        self.paused = False
        if self.health is not None:
            self.health.go_on()
        self._write_state("running")
        self.tell("unpause")

    def health_changed(self) -> None:
        """Its health check has come to another result."""
        assert self.health is not None
        try:
            self._write_state(self.status)
        except OSError:
            pass  # a full disk; health.json may be right
        self.tell(f"health_status: {self.health.status}")

    def exec_ended(self, task: Task) -> None:
        """A process that exec brought in has ended and its output is passed on."""
        self.execs.remove(task)
        self.tell("exec_die", execID=task.id, exitCode=str(task.status))
        self._say_exit(task)

    # The end, or a new beginning.

    def _init_ended(self, task: Task) -> None:
        """The first process has ended, and with its pid namespace every other; its output is passed on."""
        assert task.status is not None
        if "pid" not in self.plan["namespaces"]:
            self.group.kill()  # no namespace of its own ends with it
        self._log.flush()
        self.paused = False
        if self.health is not None:
            self.health.end()
        oom_killed = bool(self.group.oom_kills())
        self.group.remove()
        os.close(self.null)
        if oom_killed:
            self.tell("oom")
        self.tell("die", exitCode=str(task.status), execDuration=str(int(self._revival.ran())))
        self._ended = {
            "exit_code": task.status,
            "error": self._log.failure,
            "oom_killed": oom_killed,
            "finished": now(),
        }
        if not self._revival.wanted(task.status):
            self._finish()
            return
        self._revival.begin()
        try:
            self._write_state("restarting", **self._ended, pid=0, pid_start=0)
        except OSError as error:  # a full disk: it is said to run for a while longer
            self._log.failure = f"its state was not written: {words(error)}"
        self._control.answer(False, task.status)
        self._say_exit(task)

    def runs_again(self, pid: int, pidfd: int, streams: list[int], descriptors: list[int]) -> None:
        """It was started anew and its program runs. streams, descriptors: as for `begin`."""
        self.group = self._own_group()
        self.init = Task(self.loop, pid, pidfd, self._init_ended)
        self.init.started = now()
        self.init.log = self._log
        self._take_up(streams, descriptors)
        try:
            self._write_state("running")
        except OSError as error:  # nobody could reach it: it ends, and is tried again later
            self._log.failure = f"its state was not written: {words(error)}"
            self.init.signal(proc.SIGKILL)
        self.tell("start")

    def _own_group(self) -> cgroups.Group:
        parent, name = self.plan["cgroup"]
        return cgroups.open_group(parent, name, self.group.hierarchy)

    def stay_ended(self, failure: tuple[str, int] | None) -> None:
        """It will not be started anew: the user has stopped it, or (failure: why, docker's status) it cannot be."""
        orphans.bury(self._own_group())
        if failure is not None:
            status = failure[1] if failure[1] in (126, 127) else _ENGINE_FAILED
            self._ended.update(exit_code=status, error=f"it could not be started anew: {failure[0]}")
        self._finish()

    def _finish(self) -> None:
        self._log.finish()
        self._control.close()
        removal.forget_socket(self._directory)
        self._write_state("exited", **self._ended, **_GONE)
        self._finished = True
        self._control.answer(False, self._ended["exit_code"])
        if self.plan["auto_remove"]:
            self._remove()
        else:
            self._take_leave()

    def _remove(self) -> None:
        """Remove what `--rm` promised; a command that holds the container's lock is waited for."""
        names = removal.take_away(self.plan, self._directory)
        if names is None:
            self.loop.later(0.02, self._remove)
        else:
            self.tell("destroy")
            self._take_leave()  # it is gone; to free the space may take long
            removal.delete(self.plan["root"], names)

    def _take_leave(self) -> None:
        self._control.answer(True, self._ended["exit_code"])
        self._say_exit(self.init)

    def _say_exit(self, task: Task) -> None:
        for client in list(task.clients):
            assert task.status is not None
            client.once = False
            client.send(*exit_frame(task.status))
            client.finish()

    # Records.

    def _write_state(self, status: str, **changes: object) -> None:
        """Replace state.json: `engine.store.container.ContainerState`."""
        self._stage_state(status, **changes)
        put(self._directory, "state.json")

    def _stage_state(self, status: str, **changes: object) -> None:
        state = {
            "status": status,
            "pid": self.init.pid,
            "pid_start": proc.start_time(self.init.pid) or 0,
            "monitor_pid": os.getpid(),
            "monitor_start": proc.start_time(os.getpid()) or 0,
            "exit_code": 0,
            "error": "",
            "oom_killed": False,
            "started": self.init.started,
            "finished": "",
            "stopped_by_user": self.stopped_by_user,
            "restarts": self._revival.count,
            "boot": self._boot,
            "health": self.health.status if self.health else "starting" if self.plan["health"] else "",
        }
        state.update(changes)
        stage(self._directory, "state.json", encode(state).encode())
