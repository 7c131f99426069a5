"""The members of a tar archive, read once from front to end, from a pipe as well as from a file.

    for member in members(stream):
        if member.kind == "f":
            data = member.stream.read()

A member's data is there until the next member is asked for; what was not read is skipped. Formats: `headers`.
Global pax headers are skipped, as docker does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, NoReturn

from engine.errors import InvalidInput
from engine.layers import sparse
from engine.layers.entry import decode
from engine.layers.headers import (
    BLOCK,
    MAX_HEADER_DATA,
    ZEROS,
    Header,
    pax_number,
    pax_records,
    pax_time,
)

if TYPE_CHECKING:
    from typing import BinaryIO

CHUNK = 1 << 20

_XATTR = b"SCHILY.xattr."


class Member:
    """One member. raw: its name as in the archive, unchecked bytes; raw_target: a link's target.

    kind: as in Entry ("f", "d", "l", "c", "b", "p"), and "h" for a hard link. size: bytes of a file's content, holes
    included; stored: bytes of it in the archive; pieces: the map of a sparse file, else None.
    mode, uid, gid, mtime_ns, rdev, xattrs: as Entry's, but nothing is checked except the mode.
    """

    __slots__ = (
        "_archive",
        "gid",
        "kind",
        "mode",
        "mtime_ns",
        "pieces",
        "raw",
        "raw_target",
        "rdev",
        "size",
        "stored",
        "uid",
        "xattrs",
    )

    def __init__(self, archive: Archive, header: Header) -> None:
        self._archive = archive
        self.raw = header.name
        self.raw_target = header.link
        self.kind = header.kind
        self.mode = header.mode
        self.uid = header.uid
        self.gid = header.gid
        # Go's reader: only files have data, whatever the header of another kind says.
        self.size = self.stored = header.size if header.kind == "f" else 0
        self.mtime_ns = header.mtime_ns
        self.rdev = header.rdev
        self.pieces: sparse.Map | None = None
        self.xattrs: tuple[tuple[str, bytes], ...] = ()

    @property
    def name(self) -> str:
        """The name as text."""
        return decode(self.raw)

    @property
    def target(self) -> str:
        """A link's target as text."""
        return decode(self.raw_target)

    @property
    def stream(self) -> MemberStream:
        """A file's stored bytes, once (of a sparse file: its pieces one after the other)."""
        return MemberStream(self._archive)


class MemberStream:
    """The data of an archive's current member, as far as it was not read yet."""

    __slots__ = ("_archive",)

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes (-1: all the rest); b"" at the end."""
        if size >= 0:
            return self._archive.read(size)
        return b"".join(iter(lambda: self._archive.read(CHUNK), b""))


class Archive:
    """A tar stream being read. length, diff_id: of everything read so far, exactly as it came.

    size: given for a file of so many bytes that can seek: what is not read is then skipped by seeking, for an archive
    whose members are only looked up; it has no diff id.
    """

    def __init__(self, stream: BinaryIO, *, size: int = -1) -> None:
        self.length = 0
        self._size = size
        self._stream = stream
        self._sha = hashlib.sha256()
        self._buffer = b""
        self._at = 0
        self._left = 0  # of the current member's data
        self._padding = 0
        self._numbers: dict[bytes, int] = {}

    @property
    def diff_id(self) -> str:
        """The digest of the stream so far, `sha256:` and 64 hex digits."""
        return "sha256:" + self._sha.hexdigest()

    def members(self) -> Iterator[Member]:
        """The members in order, up to the end marker. InvalidInput when the archive is damaged or cut off."""
        records: list[tuple[bytes, bytes]] | None = None
        name = link = None
        while (block := self._next_block()) is not None:
            header = Header(block, self._numbers)
            flag = header.typeflag
            if flag in (b"x", b"X"):
                records = pax_records(self._special(header.size))
            elif flag == b"g":
                self._special(header.size)
            elif flag == b"L":
                name = self._special(header.size).partition(b"\0")[0]
            elif flag == b"K":
                link = self._special(header.size).partition(b"\0")[0]
            else:
                if not header.kind:
                    raise InvalidInput(f"{decode(header.name)}: the archive has it as a type {flag!r}, unknown here")
                member = Member(self, header)
                if records is not None:
                    self._apply(member, records)
                if name is not None:
                    member.raw = name
                if link is not None:
                    member.raw_target = link
                if member.stored < 0:
                    raise InvalidInput(f"damaged archive: {member.name} has {member.stored} bytes")
                self._left = member.stored
                self._padding = -member.stored % BLOCK
                if flag == b"S":
                    member.pieces, member.size = sparse.old_gnu(block, self._block)
                elif records is not None:
                    self._apply_sparse(member, records)
                if member.pieces is not None:
                    sparse.check(member.pieces, member.size, member.stored)
                records = name = link = None
                yield member
                if self._size >= 0:
                    self._seek()
                while self._left:
                    self.read(CHUNK)
                self._skip_padding()
        if records is not None or name is not None or link is not None:
            self._truncated()

    @property
    def offset(self) -> int:
        """Where in the stream the next byte comes from: the current member's data, while none of it was read."""
        return self.length - (len(self._buffer) - self._at)

    def _seek(self) -> None:
        """Leave out what is left of the current member, as far as it is not in the buffer."""
        ahead = self._left + self._padding - (len(self._buffer) - self._at)
        if ahead <= 0:
            return
        if self.length + ahead > self._size:
            self.length = self._size
            self._truncated()
        self._stream.seek(ahead, 1)
        self.length += ahead
        self._buffer, self._at = b"", 0
        self._left = self._padding = 0

    def read(self, size: int) -> bytes:
        """Up to `size` bytes of the current member's data; b"" when there is none left."""
        size = min(size, self._left)
        if not size:
            return b""
        if self._at >= len(self._buffer) and not self._fill():
            self._truncated()
        data = self._buffer[self._at : self._at + size]
        self._at += len(data)
        self._left -= len(data)
        return data

    def drain(self, limit: int) -> None:
        """Read on from the end marker to the end of the stream. InvalidInput when that is more than `limit` bytes."""
        after = self.length - (len(self._buffer) - self._at)
        while self._fill():
            self._at = len(self._buffer)
            if self.length - after > limit:
                raise InvalidInput(f"the archive goes on for more than {limit} bytes after its end")

    def _fill(self) -> bool:
        """Get more of the stream into the buffer; False at its end."""
        chunk = self._stream.read(CHUNK)
        if not chunk:
            return False
        self._sha.update(chunk)
        self.length += len(chunk)
        self._buffer = self._buffer[self._at :] + chunk if self._at < len(self._buffer) else chunk
        self._at = 0
        return True

    def _block(self) -> bytes:
        """The next block, which must be there."""
        end = self._at + BLOCK
        while end > len(self._buffer):
            if not self._fill():
                self._truncated()
            end = self._at + BLOCK
        block = self._buffer[self._at : end]
        self._at = end
        return block

    def _next_block(self) -> bytes | None:
        """The next header, or None at the archive's end: two blocks of zeros, or (as Go) just the end of the stream."""
        if self._at >= len(self._buffer) and not self._fill():
            return None
        block = self._block()
        if block[0] or block != ZEROS:
            return block
        if self._at >= len(self._buffer) and not self._fill():
            return None
        if self._block() != ZEROS:
            raise InvalidInput("damaged archive: a block of zeros in the middle")
        return None

    def _special(self, size: int) -> bytes:
        """The data of a header that describes the next one."""
        if size < 0 or size > MAX_HEADER_DATA:
            raise InvalidInput(f"the archive has a header of {size} bytes, the limit is {MAX_HEADER_DATA}")
        self._left, self._padding = size, -size % BLOCK
        data = b""
        while self._left:
            data += self.read(self._left)
        self._skip_padding()
        return data

    def _skip_padding(self) -> None:
        while self._padding:
            if self._at >= len(self._buffer) and not self._fill():
                self._truncated()
            step = min(self._padding, len(self._buffer) - self._at)
            self._at += step
            self._padding -= step

    def _truncated(self) -> NoReturn:
        raise InvalidInput(f"the archive is truncated: it ends after {self.length} bytes in the middle of something")

    def _apply(self, member: Member, records: list[tuple[bytes, bytes]]) -> None:
        """What pax records say instead of the header. An empty value leaves the header's."""
        xattrs: dict[str, bytes] = {}
        for key, value in records:
            if key.startswith(_XATTR):
                xattrs[decode(key[len(_XATTR) :])] = value
            elif not value:
                continue
            elif key == b"path":
                member.raw = _text(value)
            elif key == b"linkpath":
                member.raw_target = _text(value)
            elif key == b"size":
                member.size = member.stored = pax_number(value) if member.kind == "f" else 0
            elif key == b"uid":
                member.uid = pax_number(value)
            elif key == b"gid":
                member.gid = pax_number(value)
            elif key == b"mtime":
                member.mtime_ns = pax_time(value)
        member.xattrs = tuple(sorted(xattrs.items()))

    def _apply_sparse(self, member: Member, records: list[tuple[bytes, bytes]]) -> None:
        """The map of a sparse file, if pax records say that it is one."""
        known = dict(records)
        if member.kind != "f":
            return
        size = known.get(b"GNU.sparse.realsize") or known.get(b"GNU.sparse.size")
        if known.get(b"GNU.sparse.major") == b"1" and known.get(b"GNU.sparse.minor") == b"0" and size:
            member.pieces, taken = sparse.pax_1(self._map_block)
            member.stored -= taken
        elif b"GNU.sparse.map" in known and size:
            numbers = known[b"GNU.sparse.map"]
            member.pieces = sparse.pax_0(numbers.split(b",") if numbers else [])
        elif b"GNU.sparse.numblocks" in known and size:
            keys = (b"GNU.sparse.offset", b"GNU.sparse.numbytes")
            member.pieces = sparse.pax_0([value for key, value in records if key in keys])
        if member.pieces is not None and size:
            member.size = pax_number(size)
            member.raw = _text(known.get(b"GNU.sparse.name") or member.raw)

    def _map_block(self) -> bytes:
        """The next block of the current member's data."""
        if self._left < BLOCK:
            raise InvalidInput("damaged archive: a sparse map that goes on past its file")
        self._left -= BLOCK
        return self._block()


def members(stream: BinaryIO) -> Iterator[Member]:
    """The members of a plain tar stream. InvalidInput when it is damaged, cut off or not tar."""
    return Archive(stream).members()


def _text(value: bytes) -> bytes:
    if b"\0" in value:
        raise InvalidInput("damaged archive: a NUL byte in a name")
    return value
