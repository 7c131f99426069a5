"""Frames: the language between a client, the launcher and a monitor, over stream sockets.

A frame is its type (one byte), the length of its payload (four bytes, big-endian) and the payload. A connection
begins with one REQUEST (a marshalled dict with "op"); the monitor answers RESULT (a marshalled value) or ERROR
(a marshalled `(class name, message, exit status)`). After `start` with attach, `attach` and `exec` the connection
is a session: the client sends STDIN, CLOSE_STDIN, RESIZE, SIGNAL, DETACH; the monitor STDOUT, STDERR and at last
EXIT. marshal is right here: both ends are the same user, and the socket is open to nobody else.

Light: the launcher and the monitor load this.
"""

from __future__ import annotations

import _socket
import marshal
import os
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

REQUEST, RESULT, ERROR, STDIN, CLOSE_STDIN, STDOUT, STDERR, RESIZE, SIGNAL, DETACH, EXIT = range(1, 12)

HEADER = struct.Struct(">BI")
SIZE = struct.Struct(">HH")
"""RESIZE: rows, columns."""
NUMBER = struct.Struct(">I")
"""SIGNAL: the signal's number. EXIT: the exit status."""

MAX_PAYLOAD = 64 << 20
CHUNK = 65536
"""How much is read from a socket, pipe or terminal at a time, in bytes."""

_MARSHAL = 2  # no references between objects: the form depends on the value alone


class ProtocolError(OSError):
    """The other end sent something that is no frame."""


def frame(kind: int, payload: bytes = b"") -> bytes:
    """One frame, ready to send."""
    return HEADER.pack(kind, len(payload)) + payload


def marshalled(value: Any) -> bytes:
    """Plain data as a payload: dict, list, tuple, str, bytes, int, float, bool, None."""
    return marshal.dumps(value, _MARSHAL)


def value_frame(kind: int, value: object) -> bytes:
    """A frame with plain data for a payload."""
    return frame(kind, marshalled(value))


def value(payload: bytes) -> object:
    """The value of a `value_frame`'s payload; ProtocolError when it is none."""
    try:
        return marshal.loads(payload)
    except (ValueError, EOFError, TypeError) as error:
        raise ProtocolError(f"a frame's payload does not read: {error}") from error


class Frames:
    """Bytes in, frames out."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """The frames that `data` completes, as (type, payload); ProtocolError for an impossible length."""
        buffer = self._buffer
        buffer += data
        found = []
        start = 0
        while len(buffer) - start >= HEADER.size:
            kind, length = HEADER.unpack_from(buffer, start)
            if length > MAX_PAYLOAD:
                raise ProtocolError(f"a frame of {length} bytes")
            end = start + HEADER.size + length
            if len(buffer) < end:
                break
            found.append((kind, bytes(buffer[start + HEADER.size : end])))
            start = end
        del buffer[:start]
        return found


def read_frame(sock: _socket.socket) -> tuple[int, bytes] | None:
    """Block for exactly one frame and read nothing behind it; None at the end of the stream."""
    header = _exactly(sock, HEADER.size)
    if header is None:
        return None
    kind, length = HEADER.unpack(header)
    if length > MAX_PAYLOAD:
        raise ProtocolError(f"a frame of {length} bytes")
    payload = _exactly(sock, length)
    return None if payload is None else (kind, payload)


def _exactly(sock: _socket.socket, count: int) -> bytes | None:
    """Exactly this many bytes, or None when the stream ends before."""
    data = b""
    while len(data) < count:
        part = sock.recv(count - len(data))
        if not part:
            return None
        data = data + part if data else part
    return data


def send_descriptors(sock: _socket.socket, data: bytes, descriptors: Sequence[int]) -> None:
    """Send bytes with open descriptors (SCM_RIGHTS); the receiver gets its own copies."""
    packed = struct.pack(f"{len(descriptors)}i", *descriptors)
    sent = sock.sendmsg([data], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, packed)])
    if sent < len(data):
        sock.sendall(data[sent:])


def receive_descriptors(sock: _socket.socket, size: int, most: int = 8) -> tuple[bytes, list[int]]:
    """Up to `size` bytes and the descriptors sent with them (close-on-exec); (b"", []) at the end of the stream."""
    data, ancillary, _flags, _address = sock.recvmsg(size, _socket.CMSG_SPACE(4 * most), _socket.MSG_CMSG_CLOEXEC)
    found: list[int] = []
    for level, kind, packed in ancillary:
        if level == _socket.SOL_SOCKET and kind == _socket.SCM_RIGHTS:
            found += struct.unpack(f"{len(packed) // 4}i", packed[: len(packed) // 4 * 4])
    return data, found


class Inbox:
    """Frames that come with open descriptors, from one socket.

    ended: nothing more will come.
    """

    __slots__ = ("_frames", "descriptors", "ended", "sock")

    def __init__(self, sock: _socket.socket) -> None:
        self.sock = sock
        self._frames = Frames()
        self.descriptors: list[int] = []
        self.ended = False

    def receive(self) -> list[tuple[int, bytes]]:
        """The frames that are there; blocks if none is and the socket does."""
        try:
            data, descriptors = receive_descriptors(self.sock, CHUNK)
        except BlockingIOError:
            return []
        except ConnectionResetError:
            data, descriptors = b"", []
        self.descriptors += descriptors
        self.ended = not data
        return self._frames.feed(data)

    def take(self) -> list[int]:
        """The descriptors that have come since the last time, in order; they are the caller's."""
        taken, self.descriptors = self.descriptors, []
        return taken


def listen(directory_fd: int, name: str, backlog: int = 64) -> _socket.socket:
    """A listening socket `name` (mode 0600) in a directory, however long its path is (AF_UNIX takes 108)."""
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    mask = os.umask(0o177)
    try:
        sock.bind(f"/proc/self/fd/{directory_fd}/{name}")
    finally:
        os.umask(mask)
    sock.listen(backlog)
    return sock


def connect(path: str) -> _socket.socket:
    """A connection to the socket at `path`, however long that is; an OSError of open(2) or connect(2)."""
    directory = os.open(os.path.dirname(path) or ".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    try:
        sock.connect(f"/proc/self/fd/{directory}/{os.path.basename(path)}")
    except OSError:
        sock.close()
        raise
    finally:
        os.close(directory)
    return sock
