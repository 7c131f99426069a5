"""Plain bytes out of what may be gzip: told by its first bytes, never by a name or a media type.

isal (Intel's igzip) inflates at 2.3 times zlib's speed; it is imported only when something is gzip.
"""

from __future__ import annotations

import io

from engine.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

GZIP = b"\x1f\x8b"
OTHERS = {b"\x28\xb5\x2f\xfd": "zstd", b"\xfd7zXZ\x00": "xz", b"BZh": "bzip2"}
HEAD = 6
BUFFER = 1 << 17
# gzip can make a thousand bytes of one. Above this size that much is a bomb, not a layer (CVE-2024-3727 and its kind).
BOMB_SIZE = 16 << 30
BOMB_RATIO = 200


def plain(stream: BinaryIO, what: str) -> tuple[BinaryIO, bool]:
    """(a buffered stream of the plain bytes, whether `stream` was gzip). `what` names it in errors.

    The stream may be a pipe. InvalidInput at once for a compression that is not supported, and while reading when the
    gzip data is damaged or ends early.
    """
    rest = _Rest(stream)
    buffered = io.BufferedReader(rest, BUFFER)
    head = buffered.peek(HEAD)[:HEAD]
    if head.startswith(GZIP):
        from isal import igzip

        inflater = igzip.IGzipFile(fileobj=buffered, mode="rb")  # type: ignore[no-untyped-call]
        inflated = _Inflated(inflater, rest, what)
        return io.BufferedReader(inflated, BUFFER), True
    for magic, name in OTHERS.items():
        if head.startswith(magic):
            raise InvalidInput(f"{what} is compressed with {name}; unpack it with {name} first, or write it with gzip")
    return buffered, False


class _Rest(io.RawIOBase):
    """Any object with `read` as a raw stream: a member of an archive, a pipe, a file."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.taken = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        self.taken += len(data)
        return len(data)


class _Inflated(io.RawIOBase):
    """The inflated bytes, with the errors of a damaged file turned into one that says which file."""

    def __init__(self, inflater: io.BufferedIOBase, rest: _Rest, what: str) -> None:
        self._inflater = inflater
        self._rest = rest
        self._given = 0
        self._what = what

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        from isal import isal_zlib

        try:
            count = self._inflater.readinto(buffer)
        except EOFError:
            raise InvalidInput(f"{self._what} ends in the middle of its gzip data")
        except (isal_zlib.error, OSError) as error:  # type: ignore[misc]
            if isinstance(error, OSError) and error.errno is not None:
                raise  # the disk's or the pipe's own error; BadGzipFile has none
            raise InvalidInput(f"{self._what} is damaged: {error}")
        self._given += count
        if self._given > BOMB_SIZE and self._given > BOMB_RATIO * self._rest.taken:
            raise InvalidInput(
                f"{self._what} is a bomb: {self._rest.taken} bytes of gzip inflate to {self._given} and more"
            )
        return count
