"""control.sock: what clients ask of a running container's monitor, and the sessions they hold."""

from __future__ import annotations

import _socket
import errno
import os

from engine.kernel import proc
from engine.runtime import execs, wire
from engine.runtime.clients import Client
from engine.runtime.loop import IN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from engine.runtime.container import Container
    from engine.runtime.tasks import Task


class Control:
    """Owns the listening socket and every connection. waiters: who waits for the end; True: for the removal, too."""

    __slots__ = ("_container", "_listener", "_operations", "clients", "waiters")

    def __init__(self, container: Container, listener: _socket.socket) -> None:
        listener.setblocking(False)
        self._container = container
        self._listener = listener
        self.clients: list[Client] = []
        self.waiters: dict[bool, list[Client]] = {False: [], True: []}
        self._operations: dict[str, Callable[[Client, dict[str, Any]], None]] = {
            "attach": self._attach,
            "exec": self._exec,
            "signal": self._signal,
            "pause": self._pause,
            "resume": self._resume,
            "resize": self._resize,
            "wait": self._wait,
            "update": self._update,
            "info": self._info,
        }
        container.loop.watch(listener.fileno(), IN, self._accept)

    def fileno(self) -> int:
        """The listening socket's descriptor."""
        return self._listener.fileno()

    def adopt(self, sock: _socket.socket) -> Client:
        """Serve a connection."""
        client = Client(self._container.loop, sock, self._frame, self._lost)
        self.clients.append(client)
        return client

    def close(self) -> None:
        """Accept nobody any more; who has asked for nothing is told by the end of the connection."""
        self._container.loop.forget(self._listener.fileno())
        self._listener.close()
        for client in list(self.clients):
            if client.task is None and not any(client in waiting for waiting in self.waiters.values()):
                client.finish()

    def answer(self, removed: bool, status: int) -> None:
        """Tell those who wait (removed: for the removal) that it is so."""
        waiting, self.waiters[removed] = self.waiters[removed], []
        for client in waiting:
            client.reply(status)
            client.finish()

    def _accept(self, events: int) -> None:
        try:
            number, _ = self._listener._accept()  # type: ignore[attr-defined]
        except OSError:  # it went away again, or (EMFILE) has to wait until another one leaves
            return
        self.adopt(_socket.socket(fileno=number))

    def _lost(self, client: Client) -> None:
        if client in self.clients:
            self.clients.remove(client)
        for waiting in self.waiters.values():
            if client in waiting:
                waiting.remove(client)
        if client.task is not None:
            client.task.detach(client)

    def _frame(self, client: Client, kind: int, payload: bytes) -> None:
        """One frame of a client: a request, or a part of its session. What belongs to neither ends the connection."""
        task = client.task
        if kind == wire.REQUEST and task is None:
            self._request(client, payload)
        elif task is None:
            client.close()
        elif kind == wire.STDIN:
            task.input(client, payload)
        elif kind == wire.CLOSE_STDIN:
            if client.stdin:
                task.close_input()
        elif kind == wire.RESIZE and len(payload) == wire.SIZE.size:
            self._resize_to(task, *wire.SIZE.unpack(payload))
        elif kind == wire.SIGNAL and len(payload) == wire.NUMBER.size:
            self._pass_signal(task, wire.NUMBER.unpack(payload)[0])
        elif kind == wire.DETACH:
            client.once = False
        else:
            client.close()

    def _request(self, client: Client, payload: bytes) -> None:
        try:
            request = wire.value(payload)
            assert isinstance(request, dict)
            operation = self._operations[request["op"]]
        except (wire.ProtocolError, AssertionError, KeyError):
            client.refuse("InvalidInput", "the monitor does not know this request")
            return
        try:
            operation(client, request)
        except OSError as error:
            client.refuse("StrataError", error.strerror or str(error))
        except (KeyError, TypeError, ValueError) as error:
            client.refuse("InvalidInput", f"the monitor cannot read this request: {error!r}")

    # Operations. Each answers its client exactly once, now or later.

    def _attach(self, client: Client, request: dict[str, Any]) -> None:
        task = self._container.init
        if self._container.status == "restarting":
            client.refuse("Conflict", "You cannot attach to a restarting container, wait until it is running")
            return
        client.reply(True)
        self._container.tell("attach")
        task.attach(client, request["stdin"], once=False)
        if any(request["size"]):
            task.resize(*request["size"])

    def _exec(self, client: Client, request: dict[str, Any]) -> None:
        if self._container.paused:
            name = self._container.plan["name"]
            client.refuse("Conflict", f"Container {name} is paused, unpause the container before exec")
            return
        if self._refuse_restarting(client):
            return
        execs.Entry(self._container, client, request)

    def _signal(self, client: Client, request: dict[str, Any]) -> None:
        container = self._container
        if request["keep"]:  # before the signal: what it ends may end at once
            container.plan["auto_remove"] = False
        try:
            container.init.signal(request["number"])
        except ProcessLookupError:
            pass  # it has ended: the next event says so
        except OSError as error:
            if error.errno == errno.EINVAL:
                client.refuse("InvalidInput", f"invalid signal: {request['number']}")
                return
            raise
        container.tell("kill", signal=str(request["number"]))
        if container.paused and request["number"] == proc.SIGKILL:
            container.resume()  # nothing dies in a v1 freezer
        client.reply(True)
        client.finish()
        if request["stop"]:
            container.stop_wanted()

    def _pass_signal(self, task: Task, number: int) -> None:
        """A signal from a session: one that cannot be delivered is no reason to end the session."""
        container = self._container
        try:
            task.signal(number)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ESRCH):
                raise
            return
        if task is container.init:
            container.tell("kill", signal=str(number))
            if number in proc.ENDING:
                container.stop_wanted()

    def _refuse_restarting(self, client: Client) -> bool:
        """Refuse what needs processes, while there are none."""
        if self._container.status != "restarting":
            return False
        name = self._container.plan["name"]
        client.refuse("Conflict", f"Container {name} is restarting, wait until the container is running")
        return True

    def _pause(self, client: Client, request: dict[str, Any]) -> None:
        name = self._container.plan["name"]
        if self._container.paused:
            client.refuse("Conflict", f"container {name} is already paused")
            return
        if self._refuse_restarting(client):
            return
        self._container.pause()
        client.reply(True)
        client.finish()

    def _resume(self, client: Client, request: dict[str, Any]) -> None:
        if not self._container.paused:
            client.refuse("Conflict", f"container {self._container.plan['name']} is not paused")
            return
        self._container.resume()
        client.reply(True)
        client.finish()

    def _resize_to(self, task: Task, rows: int, columns: int) -> None:
        task.resize(rows, columns)
        if task is self._container.init:
            self._container.tell("resize", height=str(rows), width=str(columns))

    def _resize(self, client: Client, request: dict[str, Any]) -> None:
        self._resize_to(self._container.init, *request["size"])
        client.reply(True)
        client.finish()

    def _wait(self, client: Client, request: dict[str, Any]) -> None:
        self.waiters[bool(request["removed"])].append(client)

    def _update(self, client: Client, request: dict[str, Any]) -> None:
        """What a command has changed in config.json, as far as it is known here."""
        plan = self._container.plan
        if request["restart"] is not None:
            plan["restart"] = request["restart"]
        if request["name"]:
            plan["name"] = request["name"]
            plan["about"] = {**plan["about"], "name": request["name"]}
        client.reply(True)
        client.finish()

    def _info(self, client: Client, request: dict[str, Any]) -> None:
        container = self._container
        client.reply(
            {
                "pid": container.init.pid,
                "monitor_pid": os.getpid(),
                "status": container.status,
                "started": container.init.started,
                "attached": len(container.init.clients),
                "waiting": sum(map(len, self.waiters.values())),
                "execs": [
                    {
                        "id": task.id,
                        "pid": task.pid,
                        "argv": task.argv,
                        "user": task.user,
                        "tty": task.tty,
                        "started": task.started,
                    }
                    for task in container.execs
                ],
            }
        )
        client.finish()
