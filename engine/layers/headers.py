"""Tar headers, both ways: 512-byte blocks, their numbers and names, and pax records.

Formats: POSIX.1-2017 pax (ustar and extended headers), GNU tar's and old V7's. Where archives of those disagree, this
reads as Go's archive/tar does, because docker, podman and containerd read layers with that: an archive must not mean
one thing here and another there.
"""

from __future__ import annotations

import struct

from engine.errors import InvalidInput

BLOCK = 512
ZEROS = bytes(BLOCK)

# The most that a header's own data (pax records, a GNU long name) may take: Go's limit.
MAX_HEADER_DATA = 1 << 20

KINDS = {b"0": "f", b"\0": "f", b"7": "f", b"S": "f", b"1": "h", b"2": "l", b"3": "c", b"4": "b", b"5": "d", b"6": "p"}
"""Type flag → kind as in Entry, and "h" for a hard link."""

# What a timestamp is cut to: what ext4 keeps, from 1901 to 2446.
EARLIEST, LATEST = -(1 << 31), (1 << 34) - (1 << 31) - 1

_FIELDS = struct.Struct("100s 8s 8s 8s 12s 12s 8s c 100s 8s 32s 32s 8s 8s 155s 12s")
_USTAR = b"ustar\x0000"
_USTAR_MAGIC = b"ustar\0"


class Header:
    """One header block as it stands, before pax records change it. name, link: bytes; mtime_ns; kind "" = no member."""

    __slots__ = ("gid", "kind", "link", "mode", "mtime_ns", "name", "rdev", "size", "typeflag", "uid")

    def __init__(self, block: bytes, numbers: dict[bytes, int]) -> None:
        """Read a block. numbers: what number fields were read as before, added to. InvalidInput when it is damaged."""
        (name, mode, uid, gid, size, mtime, check, typeflag, link, magic, _, _, major, minor, prefix, _) = (
            _FIELDS.unpack(block)
        )
        # The checksum counts its own field as eight spaces.
        stored = check.strip(b" \0").partition(b"\0")[0]
        if not _is_octal(stored) or sum(block) - sum(check) + 256 != int(stored, 8):
            _check_signed(block, stored)
        self.name: bytes = name.partition(b"\0")[0]
        if magic[:6] == _USTAR_MAGIC and prefix[0]:
            # star keeps times in the end of the prefix.
            long = prefix[:131] if block[508:] == b"tar\0" else prefix
            self.name = long.partition(b"\0")[0] + b"/" + self.name
        self.mode = number(mode, numbers) & 0o7777
        self.uid = number(uid, numbers)
        self.gid = number(gid, numbers)
        self.size = number(size, numbers)
        self.mtime_ns = seconds_in_range(number(mtime, numbers)) * 1_000_000_000
        self.typeflag: bytes = typeflag
        self.kind = KINDS.get(typeflag, "")
        if typeflag == b"\0" and self.name.endswith(b"/"):
            self.kind = "d"  # V7 had no type for a directory
        self.link: bytes = link.partition(b"\0")[0] if link[0] else b""
        self.rdev = (number(major, numbers), number(minor, numbers)) if self.kind in ("c", "b") else (0, 0)


def number(field: bytes, known: dict[bytes, int]) -> int:
    """A number field: octal digits, or base 256 (GNU) when the first bit is set. InvalidInput otherwise."""
    found = known.get(field)
    if found is not None:
        return found
    if field[0] & 0x80:
        # Two's complement in all bits but the first.
        value = int.from_bytes(field, "big") & ((1 << (8 * len(field) - 1)) - 1)
        if field[0] & 0x40:
            value -= 1 << (8 * len(field) - 1)
    else:
        digits = field.strip(b" \0").partition(b"\0")[0]
        if digits and not _is_octal(digits):
            raise InvalidInput(f"damaged archive: {field!r} where a header has an octal number")
        value = int(digits or b"0", 8)
    if len(known) > 10_000:
        known.clear()
    known[field] = value
    return value


def _check_signed(block: bytes, stored: bytes) -> None:
    """Some old tars summed signed bytes; no tar has any other sum."""
    plain = block[:148] + b" " * 8 + block[156:]
    total = sum(byte - 256 if byte > 127 else byte for byte in plain)
    if not _is_octal(stored) or total != int(stored, 8):
        raise InvalidInput("damaged archive: a header's checksum is wrong (or this is no tar archive)")


def _is_octal(digits: bytes) -> bool:
    return digits.isdigit() and b"8" not in digits and b"9" not in digits


def seconds_in_range(seconds: int) -> int:
    """A time that file systems can keep; one outside is cut to the nearest."""
    return min(max(seconds, EARLIEST), LATEST)


def pax_records(data: bytes) -> list[tuple[bytes, bytes]]:
    """The records "LENGTH KEY=VALUE\\n" of a pax header, in order. InvalidInput when malformed."""
    records: list[tuple[bytes, bytes]] = []
    at = 0
    while at < len(data):
        space = data.find(b" ", at, at + 20)
        length = data[at:space] if space > 0 else b""
        end = at + int(length) if length.isdigit() else 0
        key, equals, value = data[space + 1 : end - 1].partition(b"=")
        if not space + 1 < end <= len(data) or data[end - 1 : end] != b"\n" or not equals or not key or b"\0" in key:
            raise InvalidInput("damaged archive: a malformed pax record")
        records.append((key, value))
        at = end
    return records


def pax_number(value: bytes) -> int:
    """A whole number of a pax record, at least 0."""
    if not value.isdigit() or len(value) > 20:
        raise InvalidInput(f"damaged archive: {value!r} where a pax record has a number")
    return int(value)


def pax_time(value: bytes) -> int:
    """A time of a pax record, seconds with any number of decimals, in nanoseconds; further decimals are dropped."""
    whole, _, fraction = value.removeprefix(b"-").partition(b".")
    if not whole.isdigit() or len(whole) > 20 or (fraction and not fraction.isdigit()):
        raise InvalidInput(f"damaged archive: {value!r} where a pax record has a time")
    nanoseconds = int(whole) * 1_000_000_000 + int((fraction[:9]).ljust(9, b"0"))
    if value.startswith(b"-"):
        nanoseconds = -nanoseconds
    return min(max(nanoseconds, EARLIEST * 1_000_000_000), LATEST * 1_000_000_000 + 999_999_999)


def pax_data(records: list[tuple[bytes, bytes]]) -> bytes:
    """Records as the data of a pax header, in the order given."""
    out = []
    for key, value in records:
        # The length counts its own digits.
        rest = len(key) + len(value) + 3
        length = rest + len(str(rest))
        length = rest + len(str(length))
        out.append(b"%d %s=%s\n" % (length, key, value))
    return b"".join(out)


def header_block(
    name: bytes,
    typeflag: bytes,
    *,
    mode: int = 0,
    uid: int = 0,
    gid: int = 0,
    size: int = 0,
    mtime: int = 0,
    link: bytes = b"",
    rdev: tuple[int, int] = (0, 0),
) -> bytes:
    """A ustar header block. What does not fit its field must be in a pax header before it: names are cut to 100 bytes,
    numbers too large are written as 0. No user or group names: they would depend on who packs."""
    fields = (
        name[:100],
        b"%07o\0" % mode,
        _octal(uid, 7) + b"\0",
        _octal(gid, 7) + b"\0",
        _octal(size, 11) + b"\0",
        _octal(mtime, 11) + b"\0",
        b" " * 8,
        typeflag,
        link[:100],
        _USTAR,
        b"",
        b"",
        _octal(rdev[0], 7) + b"\0",
        _octal(rdev[1], 7) + b"\0",
        b"",
        b"",
    )
    block = _FIELDS.pack(*fields)
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def fits(value: int, digits: int) -> bool:
    """Whether a number can be written in an octal field of so many digits."""
    return 0 <= value < 1 << (3 * digits)


def _octal(value: int, digits: int) -> bytes:
    return b"%0*o" % (digits, value if fits(value, digits) else 0)
