"""docker's daemon as a place for images: its API over the Unix socket (Docker Engine API, "Export an image", "Import
images"). Archives stream: there is no copy of ours but what `load` stages."""

from __future__ import annotations

import http.client
import io
import json
import os
import socket

from engine.errors import InvalidInput, NotFound, StrataError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

SOCKET = "/var/run/docker.sock"
TIMEOUT = 600  # seconds without a byte: it answers a load only when all is unpacked
MAX_ANSWER = 1 << 20


class Daemon:
    """A connection to the daemon that DOCKER_HOST names, or else this machine's. NotFound when none is there."""

    def __init__(self) -> None:
        host = os.environ.get("DOCKER_HOST") or f"unix://{_socket()}"
        if not host.startswith("unix://"):
            raise InvalidInput(f"DOCKER_HOST={host}: only a daemon on this machine can be spoken to, unix://PATH")
        path = host.removeprefix("unix://")
        line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        line.settimeout(TIMEOUT)
        try:
            line.connect(path)
        except OSError as error:
            line.close()
            raise NotFound(
                f"cannot connect to the docker daemon at unix://{path}: {error.strerror or error}; is it running?"
            ) from None
        self._connection = http.client.HTTPConnection("localhost")
        self._connection.sock = line

    def __enter__(self) -> Daemon:
        return self

    def __exit__(self, *error: object) -> None:
        self._connection.close()

    def archive(self, name: str) -> BinaryIO:
        """An image as a docker-archive. NotFound when the daemon has none of this name."""
        from urllib.parse import quote

        self._connection.request("GET", f"/images/{quote(name, safe='/:@')}/get")
        answer = self._connection.getresponse()
        if answer.status != 200:
            raise _error(answer, f"docker did not give {name}")
        return io.BufferedReader(_Body(answer), 1 << 17)

    def load(self, write: Callable[[BinaryIO], None]) -> None:
        """Give the daemon the archive that `write` writes. StrataError with the daemon's words when it refuses."""
        connection = self._connection
        connection.putrequest("POST", "/images/load?quiet=1")
        connection.putheader("Content-Type", "application/x-tar")
        connection.putheader("Transfer-Encoding", "chunked")
        connection.endheaders()
        try:
            write(_Chunks(connection))  # type: ignore[arg-type]
            connection.send(b"0\r\n\r\n")  # only now: an archive that breaks off must not look whole
        except (BrokenPipeError, ConnectionResetError):
            pass  # it has read enough: its answer says why
        try:
            answer = connection.getresponse()
            if answer.status != 200:
                raise _error(answer, "docker did not take the image")
            said = answer.read(MAX_ANSWER)
        except (http.client.HTTPException, OSError) as error:
            raise StrataError(f"docker did not take the image: the connection broke: {error}") from None
        for line in said.splitlines():
            found = _object(line)
            if "error" in found:  # the status was sent before the daemon began to unpack
                raise StrataError(f"docker did not take the image: {found['error']}")


class _Body(io.RawIOBase):
    """An answer's body; what breaks it off is an error that a person understands."""

    def __init__(self, answer: http.client.HTTPResponse) -> None:
        self._answer = answer

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        try:
            return self._answer.readinto(buffer)
        except (http.client.HTTPException, OSError) as error:
            raise StrataError(f"docker's daemon broke off: {error}") from None


class _Chunks:
    """What is written goes out as chunks of a request's body (RFC 9112, 7.1)."""

    def __init__(self, connection: http.client.HTTPConnection) -> None:
        self._connection = connection

    def write(self, data: bytes) -> int:
        if data:
            self._connection.send(b"%x\r\n" % len(data))
            self._connection.send(data)
            self._connection.send(b"\r\n")
        return len(data)


def _socket() -> str:
    """The daemon's usual place, or a rootless one's."""
    own = os.path.join(os.environ.get("XDG_RUNTIME_DIR") or "/nowhere", "docker.sock")
    return own if not os.path.exists(SOCKET) and os.path.exists(own) else SOCKET


def _error(answer: http.client.HTTPResponse, what: str) -> StrataError:
    said = _object(answer.read(MAX_ANSWER)).get("message") or f"it answered {answer.status}"
    return (NotFound if answer.status == 404 else StrataError)(f"{what}: {said}")


def _object(data: bytes) -> dict[str, object]:
    try:
        found = json.loads(data)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
