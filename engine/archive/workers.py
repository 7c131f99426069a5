"""Workers: fresh interpreters that unpack layers beside this process, and the talk with one of them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from dataclasses import asdict

from engine import errors
from engine.archive.intake import CHUNK, Taken, WrongDigest
from engine.archive.worker import MESSAGE, dump_root, load_root
from engine.errors import InvalidInput, StrataError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from engine.archive.intake import Order, Talk
    from engine.store.blobs import Readable
    from engine.store.root import Store

PIPE = 1 << 20  # bytes, what an ordinary user may ask for too (/proc/sys/fs/pipe-max-size)
START = """import sys
sys.path[:] = sys.argv[3:]
from engine.archive.worker import main
main(int(sys.argv[1]), sys.argv[2])"""


class WorkerDied(StrataError):
    """A worker process ended in the middle of its work: killed, or out of memory."""


class Worker:
    """One worker process. A lock's descriptor goes with it, so that nobody cleans up under it."""

    def __init__(self, store: Store, lock: int) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        house = os.path.dirname(os.path.dirname(os.path.abspath(errors.__file__)))
        # Without site: its .pth hooks cost more than all that a worker imports.
        argv = [sys.executable, "-S", "-c", START, str(theirs.fileno()), store.root, house, *sys.path]
        with theirs:
            self._process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(), lock),
                process_group=0,  # a terminal's ctrl-c is for us, who end it; it has nothing to say about that
            )
        self._line = ours

    def take_in(self, order: Order, blob: int, source: int, offset: int, *, file: bool, talk: Talk) -> Taken:
        """`intake.take_in` over there. source: descriptor of a file, or of a pipe's end; blob: -1 for none."""
        words = {"order": asdict(order), "blob": blob >= 0, "file": file, "offset": offset}
        try:
            socket.send_fds(self._line, [_json(words)], [fd for fd in (blob, source) if fd >= 0])
            while True:
                message = _read(self._line.recv(MESSAGE))
                if "progress" in message:
                    talk.progress(message["progress"])
                elif "root" in message:
                    answer = talk.root(load_root(message["root"]))
                    self._line.sendall(_json({"root": dump_root(answer)}))
                elif "taken" in message:
                    return Taken(*message["taken"])
                elif message.get("error") == "digest":
                    raise WrongDigest(message["text"])
                elif message.get("error") == "invalid":
                    raise InvalidInput(message["text"])
                elif message.get("error") == "os":
                    raise OSError(message["errno"], message["text"], message["file"] or None)
                else:
                    raise WorkerDied(f"{order.what}: the process that unpacked it died; try again")
        except (BrokenPipeError, ConnectionResetError):
            raise WorkerDied(f"{order.what}: the process that unpacked it died; try again")

    def close(self, *, kill: bool = False) -> None:
        """End the process, in the middle of its work if `kill`."""
        if kill:
            self._process.kill()
        self._line.close()
        self._process.wait()


class Feeder:
    """A thread that pours what `open` gives into a pipe; `error` is what went wrong, if anything did."""

    def __init__(self, open: Callable[[int], Readable], offset: int) -> None:
        self.error: BaseException | None = None
        self.end, self._into = os.pipe2(os.O_CLOEXEC)
        try:
            import fcntl

            fcntl.fcntl(self._into, fcntl.F_SETPIPE_SZ, PIPE)
        except OSError:
            pass  # this user has many pipes already: the usual 64 KiB do
        self._thread = threading.Thread(target=self._pour, args=(open, offset), daemon=True)
        self._thread.start()

    def _pour(self, open: Callable[[int], Readable], offset: int) -> None:
        try:
            stream = open(offset)
            try:
                while data := stream.read(CHUNK):
                    view = memoryview(data)
                    while view:
                        view = view[os.write(self._into, view) :]
            finally:
                close = getattr(stream, "close", None)
                if close is not None:
                    close()
        except BrokenPipeError:
            pass  # the worker has given up, and says why
        except BaseException as error:
            self.error = error
        finally:
            os.close(self._into)

    def stop(self) -> None:
        """Close our end; returns when the thread has seen it, or goes on without it when it waits for a network."""
        os.close(self.end)
        self._thread.join(1)


def _json(value: object) -> bytes:
    import json

    return json.dumps(value).encode()


def _read(data: bytes) -> dict[str, Any]:
    import json

    return json.loads(data) if data else {}
