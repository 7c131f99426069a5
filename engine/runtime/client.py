"""The commands' side: `Launcher` starts containers, `Monitor` talks to one that runs, `Session` is one's streams.

Never forks (the explorer is threaded): the launcher is spawned with posix_spawn and forks for us. Everything
here may be used from several threads, one session's `read` from one thread at a time.
"""

from __future__ import annotations

import _socket
import _thread
import os

from engine import errors
from engine.runtime import wire
from engine.runtime.session import MonitorLost, Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType
    from typing import NoReturn, Self

    from engine.runtime.plan import Plan

__all__ = ["Launcher", "Monitor", "MonitorLost", "Session", "Started"]

_SOCKET_FD = 3
_FLAGS = ("-I", "-S", "-X", "utf8", "-X", "no_debug_ranges")
"""Isolated from environment and site-packages, every text UTF-8, code without column numbers (for the memory)."""
_CODE = "import sys; sys.path.append({path!r}); from engine.runtime.launcher import main; main({fd})"


class Started:
    """A container's first process runs. pid: its number outside; session: its streams, if they were asked for.

    No dataclass: a command loads this module to spawn the launcher, which then gets ready beside all other imports.
    """

    __slots__ = ("pid", "session")

    def __init__(self, pid: int, session: Session | None) -> None:
        self.pid = pid
        self.session = session


class Launcher:
    """A warm interpreter that starts containers; one can start many, several at once. Close it after use.

    A launcher that was killed is replaced at the next start. The containers it started do not depend on it.
    """

    __slots__ = ("_lock", "_pid", "_socket", "_words")

    def __init__(self) -> None:
        self._lock = _thread.allocate_lock()
        self._pid = 0
        self._socket: _socket.socket | None = None
        self._words = -1

    @classmethod
    def spawn(cls) -> Launcher:
        """Begin a launcher and return at once: it gets ready (about 20 ms) while the caller does other work.

        StartFailed (125) when this user may not start containers or the interpreter cannot be sealed.
        """
        launcher = cls()
        with launcher._lock:
            launcher._begin()
        return launcher

    def start(self, plan: Plan, attach: bool = False) -> Started:
        """Start a container as planned and wait until its program runs, or until it is known why not.

        attach: its streams come with the answer, complete from the first byte; standard input too when the plan
        keeps it open. StartFailed with docker's status (125, 126, 127) and what stood in the way.
        """
        ours, theirs = _socket.socketpair()
        try:
            try:
                self._hand_over(theirs)
            finally:
                theirs.close()
            request = {"op": "start", "attach": attach, "plan": plan.wire()}
            answer = _ask(ours, request)
            if answer is None:
                raise errors.StartFailed(f"the monitor ended before the container started{self._last_words()}", 125)
            assert isinstance(answer, dict)
            if attach:
                return Started(answer["pid"], Session(ours))
            ours.close()
            return Started(answer["pid"], None)
        except BaseException:
            ours.close()
            raise

    def close(self) -> None:
        """End the launcher and reap it. Containers and their monitors go on."""
        with self._lock:
            self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _hand_over(self, theirs: _socket.socket) -> None:
        """Give the launcher one end of a start's connection; a dead launcher is replaced once."""
        with self._lock:
            for attempt in (1, 2):
                if self._socket is None:
                    self._begin()
                assert self._socket is not None
                try:
                    wire.send_descriptors(self._socket, b"s", [theirs.fileno()])
                    return
                except OSError as error:
                    words = self._last_words()
                    self._end()
                    if attempt == 2:
                        raise errors.StartFailed(f"the launcher ended: {error.strerror}{words}", 125) from error

    def _begin(self) -> None:
        from engine.runtime import seal

        if os.geteuid() != 0:
            raise errors.StartFailed(
                "starting a container needs root, if only in a user namespace (engine.rootless): "
                "use the strata command, or try again with sudo",
                125,
            )
        self._words = os.memfd_create("strata-launcher-stderr", os.MFD_CLOEXEC)
        ours, theirs = _socket.socketpair()
        program = -1
        try:
            program = seal.sealed_interpreter()
            house = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
            argv = [seal.interpreter(), *_FLAGS, "-c", _CODE.format(path=house, fd=_SOCKET_FD)]
            actions = [
                (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDWR, 0),
                (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_RDWR, 0),
                (os.POSIX_SPAWN_DUP2, self._words, 2),
                (os.POSIX_SPAWN_DUP2, theirs.fileno(), _SOCKET_FD),
            ]
            self._pid = os.posix_spawn(
                f"/proc/self/fd/{program}",
                argv,
                {},
                file_actions=actions,
                setsid=True,
                setsigmask=[],
                setsigdef=range(1, 32),
            )
            self._socket = ours
        except OSError as error:
            ours.close()
            os.close(self._words)
            raise errors.StartFailed(f"the launcher does not start: {error}", 125) from error
        finally:
            theirs.close()
            if program >= 0:
                os.close(program)

    def _end(self) -> None:
        if self._socket is None:
            return
        self._socket.close()
        self._socket = None
        os.waitpid(self._pid, 0)
        os.close(self._words)

    def _last_words(self) -> str:
        """What the launcher and its monitors wrote on standard error, as the tail of a message."""
        text = os.pread(self._words, 4096, 0).decode("utf-8", "replace").strip()
        os.ftruncate(self._words, 0)
        os.lseek(self._words, 0, os.SEEK_SET)  # the writers have the same open file
        return f": {text}" if text else ""


class Monitor:
    """A running container's monitor, reached through its control socket; one connection a call.

    Every method raises NotRunning when nobody listens there, and what the monitor refuses as Conflict,
    InvalidInput or StartFailed.
    """

    __slots__ = ("name", "path")

    def __init__(self, path: str, name: str = "") -> None:
        """path: the container's `control.sock`; name: what errors call the container (default: its short id)."""
        self.path = path
        self.name = name or os.path.basename(os.path.dirname(os.path.abspath(path)))[:12]

    def attach(self, stdin: bool = True, size: tuple[int, int] = (0, 0)) -> Session:
        """Join the container's streams from now on. stdin: pass what is written on, if the container keeps it open."""
        return self._session({"op": "attach", "stdin": stdin, "size": size})[0]

    def exec(
        self,
        argv: Sequence[str],
        env: Sequence[str] = (),
        cwd: str = "",
        user: str = "",
        tty: bool = False,
        stdin: bool = False,
        detach: bool = False,
        size: tuple[int, int] = (0, 0),
        privileged: bool = False,
    ) -> Session:
        """Run one more process in the container and wait until its program runs.

        env: added to the container's own; cwd, user: "" = the container's. The session's `pid` is its number
        outside. detach: its streams lead nowhere, and the session that is returned is closed.
        privileged: every capability, no filter of system calls, no label.
        StartFailed with 126 or 127 when the command cannot run.
        """
        request: dict[str, object] = {
            "op": "exec",
            "argv": tuple(argv),
            "env": tuple(env),
            "cwd": cwd,
            "user": user,
            "tty": tty,
            "stdin": stdin,
            "detach": detach,
            "size": size,
        }
        if privileged:
            from engine.runtime.confinement import every_capability

            request["held"] = {"capabilities": every_capability(), "seccomp": (0, b""), "labels": ()}
        session, answer = self._session(request)
        assert isinstance(answer, dict)
        session.pid = answer["pid"]
        if detach:
            session.close()
        return session

    def signal(self, number: int, stop: bool = False, keep: bool = False) -> None:
        """Send a signal to the container's first process. stop: its end will count as asked for by the user;
        keep: one that removes itself will not, for this once."""
        self._call({"op": "signal", "number": int(number), "stop": stop, "keep": keep})

    def pause(self) -> None:
        """Freeze every process of the container (cgroup freezer: no signal). Conflict when it is frozen already."""
        self._call({"op": "pause"})

    def resume(self) -> None:
        """Let a frozen container go on. Conflict when it is not frozen."""
        self._call({"op": "resume"})

    def resize(self, rows: int, columns: int) -> None:
        """Tell the container's terminal its new size."""
        self._call({"op": "resize", "size": (rows, columns)})

    def update(self, restart: tuple[str, int] | None = None, name: str = "") -> None:
        """Tell it what was changed in config.json: the restart policy (name, most starts), the container's name."""
        self._call({"op": "update", "restart": restart, "name": name})

    def wait(self, removed: bool = False) -> int:
        """Block until the container ends and its state is written; its exit status. An end after which it is started
        anew counts, as for docker.

        removed: of a container that removes itself, wait until nothing is left of it.
        """
        answer = self._call({"op": "wait", "removed": removed})
        assert isinstance(answer, int)
        return answer

    def execs(self) -> list[dict[str, object]]:
        """The processes that `exec` put into the container and that still run: pid, argv, user, tty, started."""
        answer = self.info()["execs"]
        assert isinstance(answer, list)
        return answer

    def info(self) -> dict[str, object]:
        """What the monitor knows: pid, monitor_pid, status, started, attached and waiting (clients), execs."""
        answer = self._call({"op": "info"})
        assert isinstance(answer, dict)
        return answer

    def alive(self) -> bool:
        """Whether a monitor answers at the control socket."""
        try:
            self._call({"op": "info"})
        except errors.NotRunning:
            return False
        return True

    def _call(self, request: dict[str, object]) -> object:
        sock = self._connect()
        try:
            return self._answer(sock, request)
        finally:
            sock.close()

    def _session(self, request: dict[str, object]) -> tuple[Session, object]:
        sock = self._connect()
        try:
            answer = self._answer(sock, request)
            return Session(sock), answer
        except BaseException:
            sock.close()
            raise

    def _connect(self) -> _socket.socket:
        try:
            return wire.connect(self.path)
        except (FileNotFoundError, ConnectionRefusedError, ConnectionResetError) as error:
            raise errors.NotRunning(self.name) from error

    def _answer(self, sock: _socket.socket, request: dict[str, object]) -> object:
        """The answer to a request; a monitor that ends meanwhile is a container that does not run."""
        answer = _ask(sock, request)
        if answer is None:
            raise errors.NotRunning(self.name)
        return answer


def _ask(sock: _socket.socket, request: dict[str, object]) -> object:
    """Send a request and block for its answer; None when the connection ended before one came.

    A refusal is raised as the engine's error of that name.
    """
    try:
        sock.sendall(wire.value_frame(wire.REQUEST, request))
        found = wire.read_frame(sock)
    except (BrokenPipeError, ConnectionResetError):
        return None
    if found is None:
        return None
    kind, payload = found
    answer = wire.value(payload)
    if kind == wire.ERROR:
        _refuse(answer)
    if kind != wire.RESULT:
        raise wire.ProtocolError(f"frame {kind} instead of an answer")
    return answer


def _refuse(answer: object) -> NoReturn:
    """Raise what an ERROR frame names."""
    assert isinstance(answer, tuple)
    name, message, status = answer
    if name == "StartFailed":
        raise errors.StartFailed(message, status)
    kinds = {"Conflict": errors.Conflict, "InvalidInput": errors.InvalidInput}
    raise kinds.get(name, errors.StrataError)(message)
