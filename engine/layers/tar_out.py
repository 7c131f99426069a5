"""Tar members as we write them: ustar headers, with a pax header before them for whatever does not fit.

The same bytes for the same member every time, no names of users and groups: they would depend on who packs.
"""

from __future__ import annotations

from zlib import adler32

from engine.errors import InvalidInput
from engine.layers.entry import encode
from engine.layers.headers import BLOCK, fits, header_block, pax_data

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

END = bytes(2 * BLOCK)
FLAGS = {"f": b"0", "l": b"2", "c": b"3", "b": b"4", "d": b"5", "p": b"6"}
"""Kind of an entry → type flag of its member; a hard link's is b"1"."""

_NAME = 100  # bytes of a name or a link's target in a plain header
_SMALL = 1 << 21  # numbers below it fit the 7 octal digits of an owner
_LARGE = 1 << 33  # and those below it the 11 of a size or a time
_SECOND = 1_000_000_000
_TAIL = b"ustar\x0000" + bytes(64) + b"0000000\x000000000\0" + bytes(167)
_PADS = [bytes(count) for count in range(BLOCK)]


def padding(size: int) -> bytes:
    """The zeros that fill a member's data up to whole blocks."""
    return _PADS[-size % BLOCK]


def header(
    name: bytes,
    flag: bytes,
    mode: int,
    uid: int = 0,
    gid: int = 0,
    size: int = 0,
    mtime_ns: int = 0,
    link: bytes = b"",
    rdev: tuple[int, int] = (0, 0),
    xattrs: Sequence[tuple[str, bytes]] = (),
    real_size: int = -1,
) -> bytes:
    """What stands before a member's data: its header, and a pax header where one is needed.

    size: bytes of data in the archive; real_size: of a sparse file (format 1.0, its map first in the data), its whole
    size, else -1. InvalidInput for an attribute that a pax record cannot hold.
    """
    seconds, fraction = divmod(mtime_ns, _SECOND)
    plain = len(name) <= _NAME and len(link) <= _NAME and 0 <= uid < _SMALL and 0 <= gid < _SMALL and real_size < 0
    plain = plain and 0 <= size < _LARGE and 0 <= seconds < _LARGE and name.isascii() and link.isascii()
    if plain and not fraction and not xattrs:
        return _block(name, flag, mode, uid, gid, size, seconds, link, rdev)
    records = _records(name, uid, gid, size, mtime_ns, link, xattrs, real_size)
    block = _block(name, flag, mode, uid, gid, size, seconds, link, rdev)
    data = pax_data(sorted(records))
    directory, slash, last = name.rstrip(b"/").rpartition(b"/")
    place = directory + slash + b"PaxHeaders.0/" + last
    return b"".join((_block(place, b"x", 0o644, 0, 0, len(data), 0), data, padding(len(data)), block))


def _block(
    name: bytes,
    flag: bytes,
    mode: int,
    uid: int,
    gid: int,
    size: int,
    seconds: int,
    link: bytes = b"",
    rdev: tuple[int, int] = (0, 0),
) -> bytes:
    """`header_block`, in a third of its time for nearly every member."""
    small = 0 <= uid < _SMALL and 0 <= gid < _SMALL and 0 <= size < _LARGE and 0 <= seconds < _LARGE
    if not small or rdev != (0, 0) or not name.isascii() or not link.isascii():
        return header_block(name, flag, mode=mode, uid=uid, gid=gid, size=size, mtime=seconds, link=link, rdev=rdev)
    name, link = name[:_NAME].ljust(_NAME, b"\0"), link[:_NAME].ljust(_NAME, b"\0")
    head = b"%b%07o\0%07o\0%07o\0%011o\0%011o\0" % (name, mode, uid, gid, size, seconds)
    tail = flag + link + _TAIL
    # adler32 begins with the sum of the bytes plus one, modulo 65521: exact, as all of these are below 128. The
    # checksum counts its own field as eight spaces.
    return b"%b%06o\0 %b" % (head, (adler32(tail, adler32(head)) & 0xFFFF) + 255, tail)


def _records(
    name: bytes,
    uid: int,
    gid: int,
    size: int,
    mtime_ns: int,
    link: bytes,
    xattrs: Sequence[tuple[str, bytes]],
    real_size: int,
) -> list[tuple[bytes, bytes]]:
    """The pax records that a member needs."""
    records = [(b"SCHILY.xattr." + encode(attribute), value) for attribute, value in xattrs]
    if any(b"=" in key for key, _ in records):
        raise InvalidInput("an archive cannot hold an attribute with '=' in its name")
    if real_size >= 0:
        records += [(b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"), (b"GNU.sparse.name", name)]
        records.append((b"GNU.sparse.realsize", b"%d" % real_size))
    for key, text in ((b"path", name), (b"linkpath", link)):
        if len(text) > _NAME or not text.isascii():
            records.append((key, text))
    if any(not _is_utf8(text) for text in (name, link)):
        records.append((b"hdrcharset", b"BINARY"))
    if mtime_ns % _SECOND or not fits(mtime_ns // _SECOND, 11):
        records.append((b"mtime", _decimal(mtime_ns)))
    for key, value, digits in ((b"uid", uid, 7), (b"gid", gid, 7), (b"size", size, 11)):
        if not fits(value, digits):
            records.append((key, b"%d" % value))
    return records


def _decimal(nanoseconds: int) -> bytes:
    """Seconds with nine decimals, without those that are zero."""
    whole, rest = divmod(abs(nanoseconds), _SECOND)
    text = b"%d.%09d" % (whole, rest)
    return (b"-" if nanoseconds < 0 else b"") + text.rstrip(b"0").rstrip(b".")


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
