"""A worker process: takes in one layer after another, so that an image's layers are unpacked side by side.

Started by `workers.py` as a fresh interpreter (the explorer has threads and must never fork). It speaks JSON messages
over a SOCK_SEQPACKET socket, descriptors beside them:

    ← {"order": …, "source": "file" | "pipe", …} + [blob, source]
    → {"progress": n}   → {"root": …} ← {"root": …}   → {"taken": …} or {"error": …}
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import sys

from engine.archive.intake import Order, Pipe, Root, Slice, WrongDigest, take_in
from engine.errors import InvalidInput
from engine.kernel.processes import set_parent_death_signal
from engine.layers.unpack import Limits
from engine.store.root import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from engine.store.blobs import Readable

MESSAGE = 1 << 17  # bytes; attributes of a root directory are the only part without a fixed size, and below 64 KiB


class Gone(BaseException):
    """Whom we work for is not there any more."""


class Line:
    """The socket to whom we work for; the `Talk` of `take_in`."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line

    def receive(self) -> tuple[dict[str, Any], list[int]]:
        data, fds, _, _ = socket.recv_fds(self._line, MESSAGE, 4)
        if not data:
            raise Gone
        return json.loads(data), fds

    def send(self, message: dict[str, Any]) -> None:
        try:
            self._line.sendall(json.dumps(message).encode())
        except (BrokenPipeError, ConnectionResetError):
            raise Gone

    def progress(self, count: int) -> None:
        self.send({"progress": count})

    def root(self, own: Root | None) -> Root | None:
        self.send({"root": dump_root(own)})
        return load_root(self.receive()[0]["root"])


def main(fd: int, root: str) -> None:
    """Work until the other end of the socket is closed."""
    gc.disable()  # entries are many and never in cycles: looking for some costs a tenth of the time
    set_parent_death_signal(signal.SIGKILL)  # of the thread that started us, which waits for the image
    line = Line(socket.socket(fileno=fd))
    store = Store(root)
    try:
        while True:
            message, fds = line.receive()
            try:
                line.send(_work(store, line, message, fds))
            finally:
                for held in fds:
                    os.close(held)
    except Gone:
        pass


def _work(store: Store, line: Line, message: dict[str, Any], fds: list[int]) -> dict[str, Any]:
    limits = message["order"].pop("limits")
    order = Order(**message["order"], limits=Limits(**limits) if limits else None)
    blob = fds[0] if message["blob"] else -1
    source: Readable = Slice(fds[-1], message["offset"], order.size) if message["file"] else Pipe(fds[-1])
    try:
        taken = take_in(store, source, order, blob, line)
    except WrongDigest as error:
        return {"error": "digest", "text": str(error)}
    except InvalidInput as error:
        return {"error": "invalid", "text": str(error)}
    except OSError as error:
        text = error.strerror or str(error)
        return {"error": "os", "errno": error.errno, "text": text, "file": _text(error.filename)}
    return {"taken": [taken.digest, taken.size, taken.compression]}


def dump_root(root: Root | None) -> list[Any] | None:
    """A root as JSON."""
    if root is None:
        return None
    xattrs = [[name, value.hex()] for name, value in root.xattrs]
    return [root.mode, root.uid, root.gid, root.mtime_ns, xattrs]


def load_root(found: list[Any] | None) -> Root | None:
    """`dump_root`, back."""
    if found is None:
        return None
    mode, uid, gid, mtime_ns, xattrs = found
    return Root(mode, uid, gid, mtime_ns, tuple((name, bytes.fromhex(value)) for name, value in xattrs))


def _text(name: object) -> str:
    return os.fsdecode(name) if isinstance(name, (str, bytes)) else ""


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
