"""exec, the monitor's side: fork a process that joins the container, hear whether it got in, look after it."""

from __future__ import annotations

import _socket
import os

from engine.kernel import processes
from engine.runtime import join, wire
from engine.runtime.handshake import Handshake
from engine.runtime.loop import IN
from engine.runtime.records import now
from engine.runtime.tasks import Task

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from engine.runtime.clients import Client
    from engine.runtime.container import Container


class Entry:
    """One exec, from the request until its program runs or it is known why not."""

    __slots__ = ("_client", "_container", "_handshake", "_outputs", "_request", "_stdin", "id", "task")

    def __init__(self, container: Container, client: Client, request: dict[str, Any]) -> None:
        """Fork. request: argv, env, cwd, user, tty, stdin, detach, size of `Monitor.exec`.

        OSError when the kernel refuses; then nothing is left of it.
        """
        self._container = container
        self._client = client
        self._request = request
        self.id = os.urandom(32).hex()
        self._tell("exec_create")
        self._outputs: dict[str, int] = {}
        self._stdin = -1
        whole = self._complete(request)
        opened: list[int] = []
        ours, theirs = _socket.socketpair()
        try:
            streams = self._streams(opened)
            door = container.group.clone_fd()
            opened += [door] if door >= 0 else []
            init, group = container.init.pidfd, container.group
            pid, pidfd = container.clone_inside(door, lambda: join.run(whole, theirs, streams, init, group))
        except BaseException:
            ours.close()
            opened += [*self._outputs.values(), *([self._stdin] if self._stdin >= 0 else [])]
            raise
        finally:
            theirs.close()
            for fd in opened:
                os.close(fd)
        self.task = Task(container.loop, pid, pidfd, container.exec_ended)
        self.task.id = self.id
        self.task.argv = tuple(request["argv"])
        self.task.user = request["user"]
        self.task.started = now()
        ours.setblocking(False)
        self._handshake = Handshake(ours)
        container.loop.watch(ours.fileno(), IN, self._heard)

    def _tell(self, action: str) -> None:
        self._container.tell(f"{action}: {' '.join(self._request['argv'])}", execID=self.id)

    def _complete(self, request: dict[str, Any]) -> dict[str, Any]:
        """What the joining process works from: the request, with the container's own where nothing else is asked."""
        plan = self._container.plan
        terminal = ("TERM=xterm",) if request["tty"] else ()
        return {
            "argv": request["argv"],
            "env": (*terminal, *plan["env"], *request["env"]),
            "cwd": request["cwd"] or plan["cwd"],
            "user": request["user"] or plan["user"],
            "tty": request["tty"],
            "size": request["size"],
            **{name: plan[name] for name in ("capabilities", "no_new_privileges", "seccomp", "labels")},
            **{name: plan[name] for name in ("ids", "groups", "ulimits", "oom_score_adj")},
            **request.get("held", {}),
        }

    def _streams(self, opened: list[int]) -> tuple[int, int, int]:
        """The child's 0, 1 and 2; our ends are kept, its ends added to `opened`."""
        null = self._container.null
        if self._request["tty"]:
            return (-1, -1, -1)
        if self._request["detach"]:
            return (null, null, null)
        stdin = null
        if self._request["stdin"]:
            stdin, self._stdin = os.pipe()
            opened.append(stdin)
        ends = []
        for stream in ("stdout", "stderr"):
            self._outputs[stream], end = os.pipe()
            opened.append(end)
            ends.append(end)
        for end in opened if self._container.plan["ids"] else ():
            os.fchown(end, self._container.plan["ids"][0], self._container.plan["ids"][0])  # as in the starter
        return (stdin, ends[0], ends[1])

    def _heard(self, events: int) -> None:
        """Something came from the process that joins."""
        self._handshake.receive()
        if not self._handshake.ended:
            return
        self._container.loop.forget(self._handshake.sock.fileno())
        self._handshake.sock.close()
        if self._handshake.failure is not None:
            self._give_up(*self._handshake.failure)
        else:
            self._go_on()

    def _give_up(self, message: str, status: int) -> None:
        processes.wait(self.task.pidfd)  # it has said its last word, or was killed
        os.close(self.task.pidfd)
        for fd in (*self._outputs.values(), self._stdin, *self._handshake.descriptors):
            if fd >= 0:
                os.close(fd)
        self._client.refuse("StartFailed", message, status if status in (126, 127) else 126)

    def _go_on(self) -> None:
        """Its program runs."""
        task, request, client = self.task, self._request, self._client
        self._container.execs.append(task)
        self._tell("exec_start")
        client.reply({"pid": task.pid})
        if request["detach"]:
            client.finish()
        elif client.open:
            task.attach(client, stdin=request["stdin"], once=not request["tty"])
        master = self._handshake.descriptors[0] if self._handshake.descriptors else -1
        task.begin(self._outputs, self._stdin, master)


def exit_frame(status: int) -> tuple[int, bytes]:
    """The last frame of a session."""
    return wire.EXIT, wire.NUMBER.pack(status)
