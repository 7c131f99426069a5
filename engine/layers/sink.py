"""Bytes on their way out: small pieces gathered into large writes, files copied by the kernel where it can.

What leaves may be a file, a pipe, a socket or any object with `write`. copy_file_range(2) shares blocks on file systems
that can, sendfile(2) moves pages into pipes and sockets; where the kernel refuses both, the bytes go through memory, a
mebibyte at a time.
"""

from __future__ import annotations

import errno
import io
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

CHUNK = 1 << 20
GATHER = 1 << 18  # bytes of small pieces that make a write
MOST = 1 << 30  # bytes that the kernel is asked to copy at once

# How a kernel or a file system says that this way of copying is not for these two files: other file systems, a file
# opened with O_APPEND (EBADF, EINVAL), a device.
_NOT_SO = (errno.EINVAL, errno.ENOSYS, errno.EXDEV, errno.EOPNOTSUPP, errno.EBADF, errno.EPERM, errno.ETXTBSY)


class Sink:
    """Writes to `out`, in order; `flush` must be called at the end. OSError as `out` raises it."""

    __slots__ = ("_fd", "_out", "_parts", "_pending", "_ways")

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._fd = _descriptor(out)
        self._parts: list[bytes] = []
        self._pending = 0
        self._ways: list[Callable[[int, int, int], int]] = [self._through_memory]
        if self._fd >= 0:
            self._ways += [self._send, self._copy_range]  # tried from the last

    def write(self, data: bytes) -> None:
        """Write all of it, perhaps later."""
        self._parts.append(data)
        self._pending += len(data)
        if self._pending >= GATHER:
            self.flush()

    def flush(self) -> None:
        """Write what was gathered."""
        data = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts.clear()
        self._pending = 0
        if data:
            self._write(data)

    def copy(self, fd: int, offset: int, length: int) -> int:
        """Copy so many bytes of a file from an offset on; returns how many it had, fewer when the file ends before."""
        self.flush()
        done = 0
        while done < length:
            moved = self._move(fd, offset + done, min(length - done, MOST))
            if not moved:
                break
            done += moved
        return done

    def _move(self, fd: int, offset: int, length: int) -> int:
        while True:
            try:
                return self._ways[-1](fd, offset, length)
            except OSError as error:
                if error.errno not in _NOT_SO or len(self._ways) == 1:
                    raise
                self._ways.pop()

    def _copy_range(self, fd: int, offset: int, length: int) -> int:
        return os.copy_file_range(fd, self._fd, length, offset_src=offset)

    def _send(self, fd: int, offset: int, length: int) -> int:
        return os.sendfile(self._fd, fd, offset, length)

    def _through_memory(self, fd: int, offset: int, length: int) -> int:
        data = os.pread(fd, min(length, CHUNK), offset)
        if data:
            self._write(data)
        return len(data)

    def _write(self, data: bytes) -> None:
        if self._fd < 0:
            self._out.write(data)
            return
        view = memoryview(data)
        while view:
            view = view[os.write(self._fd, view) :]


def _descriptor(out: BinaryIO) -> int:
    """The descriptor that `out` writes to, with nothing left in its buffer; -1 when it is more than a buffer (a
    compressor has a `fileno` too, of the file that its output goes to)."""
    raw = out.raw if isinstance(out, io.BufferedWriter) else out
    if not isinstance(raw, io.FileIO):
        return -1
    out.flush()
    return raw.fileno()
