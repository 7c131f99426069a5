"""Plain bytes out of what may be compressed: told by its first bytes, never by a name or a media type.

gzip by isal (Intel's igzip: 2.3 times zlib's speed), zstd by zstandard, xz and bzip2 by the standard library; each is
imported when it is met. eStargz and zstd:chunked are gzip and zstd of many parts, and read as such.
"""

from __future__ import annotations

import io
from typing import cast

from engine.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, BinaryIO, Protocol

    class Inflater(Protocol):
        """Whatever gives inflated bytes."""

        def readinto(self, buffer: Any, /) -> int | None: ...

    class Decompressor(Protocol):
        """What `lzma` and `bz2` have in common."""

        @property
        def eof(self) -> bool: ...
        @property
        def needs_input(self) -> bool: ...
        @property
        def unused_data(self) -> bytes: ...

        def decompress(self, data: bytes, max_length: int) -> bytes: ...


MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"\xfd7zXZ\x00": "xz", b"BZh": "bzip2"}
SKIPPABLE = (b"\x2a\x4d\x18", range(0x50, 0x60))  # a zstd frame that holds no data may come first (RFC 8878, 3.1.2)
HEAD = 6
BUFFER = 1 << 17
FIRST = 1 << 20
# gzip can make a thousand bytes of one. Above this size that much is a bomb, not a layer (CVE-2024-3727 and its kind).
BOMB_SIZE = 16 << 30
BOMB_RATIO = 200
MEMORY = 160 << 20  # bytes for a window: xz -9 asks for 65 MiB, zstd --long=27 for 128


def compression_of(head: bytes) -> str:
    """ "gzip", "zstd", "xz", "bzip2", or "" for anything else, by the first six bytes."""
    if head[1:4] == SKIPPABLE[0] and head[0] in SKIPPABLE[1]:
        return "zstd"
    return next((name for magic, name in MAGIC.items() if head.startswith(magic)), "")


def plain(stream: BinaryIO, what: str) -> tuple[BinaryIO, str]:
    """(a buffered stream of the plain bytes, how `stream` was compressed: `compression_of`). `what` names it in errors.

    The stream may be a pipe. InvalidInput while reading when the compressed data is damaged, a bomb, or ends early.
    """
    head = stream.read(FIRST)
    while len(head) < HEAD and (more := stream.read(FIRST)):
        head += more
    ahead = _Ahead(head, stream)
    name = compression_of(head[:HEAD])
    if not name:
        return cast("BinaryIO", ahead), ""  # `read` is all that plain bytes are asked for
    rest = _Rest(ahead)  # type: ignore[arg-type]
    buffered = io.BufferedReader(rest, BUFFER)
    inflater: Inflater
    if name == "gzip":
        from isal import igzip

        inflater = igzip.IGzipFile(fileobj=buffered, mode="rb")  # type: ignore[no-untyped-call]
    elif name == "zstd":
        import zstandard

        opener = zstandard.ZstdDecompressor(max_window_size=1 << 27)
        inflater = opener.stream_reader(buffered, read_size=BUFFER, read_across_frames=True)
    else:
        inflater = _Steps(name, buffered)
    return io.BufferedReader(_Inflated(inflater, rest, what, name), BUFFER), name


class _Ahead:
    """A stream whose first bytes were read already. Big reads go through as they are: no copy on the way."""

    def __init__(self, head: bytes, stream: BinaryIO) -> None:
        self._head = head
        self._stream = stream

    def read(self, size: int = -1, /) -> bytes:
        if self._head:
            data, self._head = (self._head, b"") if size < 0 else (self._head[:size], self._head[size:])
            return data + self._stream.read() if size < 0 else data
        return self._stream.read(size)


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


class _Steps(io.RawIOBase):
    """xz or bzip2, of one or more streams one after the other, with bounded memory."""

    def __init__(self, name: str, source: io.BufferedReader[Any]) -> None:
        self._name = name
        self._source = source
        self._data = b""
        self._now: Decompressor | None = None

    def readable(self) -> bool:
        return True

    def _new(self) -> Decompressor:
        if self._name == "xz":
            import lzma

            return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MEMORY)
        import bz2

        return bz2.BZ2Decompressor()

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        while True:
            if self._now is None:
                self._data = (self._data or self._source.read1(BUFFER)).lstrip(b"\0")  # padding between xz's streams
                if not self._data:
                    if self._source.peek(1):
                        continue
                    return 0
                self._now = self._new()
            if not self._data and self._now.needs_input:
                self._data = self._source.read1(BUFFER)
                if not self._data:
                    raise EOFError
            out = self._now.decompress(self._data, len(buffer))
            self._data = b""
            if self._now.eof:
                self._data = self._now.unused_data
                self._now = None
            if out:
                buffer[: len(out)] = out
                return len(out)


class _Inflated(io.RawIOBase):
    """The inflated bytes, with the errors of a damaged file turned into one that says which file."""

    def __init__(self, inflater: Inflater, rest: _Rest, what: str, name: str) -> None:
        self._inflater = inflater
        self._rest = rest
        self._given = 0
        self._what = what
        self._name = name

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        try:
            count = self._inflater.readinto(buffer) or 0
        except EOFError:
            raise InvalidInput(f"{self._what} ends in the middle of its {self._name} data")
        except InvalidInput:
            raise
        except OSError as error:
            if error.errno is not None:
                raise  # the disk's or the pipe's own error; those of damaged data have none
            raise InvalidInput(f"{self._what} is damaged: {error}")
        except Exception as error:
            if type(error).__name__ not in ("error", "IsalError", "ZstdError", "LZMAError"):
                raise
            raise InvalidInput(f"{self._what} is damaged: {error}")
        self._given += count
        if self._given > BOMB_SIZE and self._given > BOMB_RATIO * self._rest.taken:
            raise InvalidInput(
                f"{self._what} is a bomb: {self._rest.taken} bytes of {self._name} inflate to {self._given} and more"
            )
        return count
