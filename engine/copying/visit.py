"""A visit to a container's files: the command's side of a helper process. Never forks (the explorer is threaded)."""

from __future__ import annotations

import _socket
import os
import sys

from engine import errors
from engine.runtime import wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self

    from engine.runtime.plan import Plan

_FD = 3
_CODE = "import sys; sys.path.append({house!r}); from engine.copying.helper import main; main({fd})"


class HelperDied(errors.StrataError):
    """The process that looked at the container's files ended in the middle of its work."""


class Visit:
    """Owns the helper. A context manager: leaving it ends the helper, and with it what was mounted for it."""

    def __init__(self, plan: Plan, pid: int = 0, pidfd: int = -1) -> None:
        """The helper is at the container's root already. pid, pidfd: of the container's first process, if it runs; the
        pidfd stays the caller's. OSError, StrataError."""
        house = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        argv = [sys.executable, "-I", "-S", "-X", "utf8", "-c", _CODE.format(house=house, fd=_FD)]
        self._socket, theirs = _socket.socketpair()
        try:
            self._pid = os.posix_spawn(
                sys.executable,
                argv,
                {},
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDWR, 0),
                    (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_RDWR, 0),
                    (os.POSIX_SPAWN_DUP2, theirs.fileno(), _FD),
                ],
                setpgroup=0,  # a terminal's ctrl-c is for us; the helper ends when we do
                setsigmask=[],
                setsigdef=range(1, 32),
            )
        except BaseException:
            self._socket.close()
            raise
        finally:
            theirs.close()
        try:
            self._ask({"op": "open", "plan": plan.wire(), "pid": pid}, *([pidfd] if pidfd >= 0 else []))
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """End the helper, and wait until it has ended."""
        self._socket.close()
        os.waitpid(self._pid, 0)

    def look(self, path: bytes, *, follow: bool = False) -> dict[str, Any] | None:
        """`lookup.look`."""
        found = self._ask({"op": "look", "path": path, "follow": follow})
        return found or None

    def destination(self, path: bytes) -> dict[str, Any]:
        """`lookup.destination`."""
        found: dict[str, Any] = self._ask({"op": "destination", "path": path})
        return found

    def begin_gather(self, path: bytes, name: bytes, out: int, *, follow: bool = False) -> None:
        """Have what is at a path written to a descriptor as a tar stream (`gather.gather`); `finish` tells the end."""
        self._send({"op": "gather", "path": path, "name": name, "follow": follow}, out)

    def begin_place(self, path: bytes, stream: int, owner: tuple[int, int] | None) -> None:
        """Have a tar stream from a descriptor placed in a directory (`place.place`); `finish` gives (bytes read, what
        was left out)."""
        self._send({"op": "place", "path": path, "owner": owner}, stream)

    def finish(self) -> Any:
        """Wait for what was begun."""
        found = wire.read_frame(self._socket)
        if found is None:
            raise HelperDied("the process that copies ended in the middle of it: see above, or try again")
        kind, payload = found
        answer = wire.value(payload)
        if kind != wire.ERROR:
            return answer
        assert isinstance(answer, tuple)
        name, message, number = answer
        if name == "OSError":
            raise OSError(number, message)
        raise getattr(errors, name, errors.StrataError)(message)

    def _ask(self, request: dict[str, Any], *descriptors: int) -> Any:
        self._send(request, *descriptors)
        return self.finish()

    def _send(self, request: dict[str, Any], *descriptors: int) -> None:
        frame = wire.value_frame(wire.REQUEST, request)
        try:
            if descriptors:
                wire.send_descriptors(self._socket, frame, descriptors)
            else:
                self._socket.sendall(frame)
        except (BrokenPipeError, ConnectionResetError):
            raise HelperDied("the process that copies ended before its work: try again") from None
