"""The helper of one visit: a fresh interpreter that looks at a container's files, and does what it is asked.

Started by `visit`, it gets requests over a socket (`engine.runtime.wire`), the first with the plan and perhaps the
pidfd of the container, and ends when the socket does. Everything is imported before it enters anything.
"""

from __future__ import annotations

import _socket
import os
import sys

from engine.copying import lookup, view
from engine.copying.gather import gather
from engine.copying.place import Rules, place
from engine.errors import StrataError
from engine.kernel import processes
from engine.layers.sink import Sink
from engine.runtime import wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn


def main(number: int) -> NoReturn:
    """Serve the visitor behind descriptor `number`; ends the process."""
    processes.set_dumpable(False)
    sys.path[:] = []  # nothing more is imported
    inbox = wire.Inbox(_socket.socket(fileno=number))
    helper = Helper()
    while not inbox.ended:
        for _, payload in inbox.receive():
            request = wire.value(payload)
            assert isinstance(request, dict)
            inbox.sock.sendall(helper.answer(request, inbox.take()))
    os._exit(0)


class Helper:
    """root: a descriptor of the container's, once it is open."""

    def __init__(self) -> None:
        self.root = -1

    def answer(self, request: dict[str, Any], descriptors: list[int]) -> bytes:
        """Do what is asked; the frame that says what came of it."""
        try:
            result = getattr(self, f"do_{request['op']}")(request, descriptors)
        except StrataError as error:
            return wire.value_frame(wire.ERROR, (type(error).__name__, str(error), 0))
        except OSError as error:
            return wire.value_frame(wire.ERROR, ("OSError", error.strerror or str(error), error.errno or 0))
        finally:
            for fd in descriptors:
                os.close(fd)
        return wire.value_frame(wire.RESULT, result)

    def do_open(self, request: dict[str, Any], descriptors: list[int]) -> bool:
        self.root = view.open_root(request["plan"], request["pid"], descriptors[0] if descriptors else -1)
        return True

    def do_look(self, request: dict[str, Any], descriptors: list[int]) -> object:
        return lookup.look(self.root, request["path"], follow=request["follow"]) or False

    def do_destination(self, request: dict[str, Any], descriptors: list[int]) -> object:
        return lookup.destination(self.root, request["path"])

    def do_gather(self, request: dict[str, Any], descriptors: list[int]) -> bool:
        fd = lookup.find(self.root, request["path"], follow=request["follow"])
        try:
            with open(descriptors[0], "wb", buffering=0, closefd=False) as out:
                gather(fd, request["name"], Sink(out))
        finally:
            os.close(fd)
        return True

    def do_place(self, request: dict[str, Any], descriptors: list[int]) -> tuple[int, list[str]]:
        warnings: list[str] = []
        directory = lookup.open_directory(self.root, request["path"])
        try:
            rules = Rules(request["owner"], True, (self.root, request["path"]))
            with open(descriptors[0], "rb", buffering=0, closefd=False) as stream:
                return place(stream, directory, rules, warnings.append), warnings
        finally:
            os.close(directory)
