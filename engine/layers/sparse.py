"""Maps of sparse files in archives: GNU tar's old format and its pax formats 0.0, 0.1 and 1.0 (GNU tar manual, D.2).

A map is a list of (offset, length) of the pieces that hold data, in order; between them are holes.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable

from engine.errors import InvalidInput
from engine.layers.headers import BLOCK, MAX_HEADER_DATA, number, pax_number

Map = list[tuple[int, int]]

_PIECE = 24  # bytes of an old GNU entry: two fields of 12
_END = b"\0"


def old_gnu(block: bytes, next_block: Callable[[], bytes]) -> tuple[Map, int]:
    """The map and the whole size of a member of type "S": four pieces in its header, 21 in each block after it."""
    size = number(block[483:495], {})
    found: Map = []
    area, more = block[386:482], block[482]
    while True:
        for at in range(0, len(area) - len(area) % _PIECE, _PIECE):
            if area[at : at + 1] == _END:
                break
            found.append((number(area[at : at + 12], {}), number(area[at + 12 : at + _PIECE], {})))
        if not more:
            return found, size
        if len(found) * _PIECE > MAX_HEADER_DATA:
            raise InvalidInput("the archive has a sparse file in too many pieces")
        extension = next_block()
        area, more = extension[:504], extension[504]


def pax_0(numbers: list[bytes]) -> Map:
    """The map of formats 0.0 and 0.1: offsets and lengths in turn."""
    if len(numbers) % 2:
        raise InvalidInput("damaged archive: a sparse map with an odd count of numbers")
    values = [pax_number(value) for value in numbers]
    return list(zip(values[::2], values[1::2], strict=True))


def pax_1(read: Callable[[], bytes]) -> tuple[Map, int]:
    """The map of format 1.0, which stands before the data: decimal lines, the count first, padded to whole blocks.

    read: gives the next block of the member. Returns the map and how many bytes it took.
    """
    text = b""
    taken = 0
    lines: list[bytes] = []
    wanted = 1
    while len(lines) < wanted:
        block = read()
        taken += len(block)
        if taken > MAX_HEADER_DATA:
            raise InvalidInput("the archive has a sparse file in too many pieces")
        *complete, text = (text + block).split(b"\n")
        lines += complete
        if lines:
            wanted = 1 + 2 * pax_number(lines[0])
    return pax_0(lines[1:wanted]), taken


def check(pieces: Map, size: int, stored: int) -> None:
    """InvalidInput unless pieces are in order, inside a file of this size, and as long together as what is stored."""
    end = 0
    for offset, length in pieces:
        if offset < end or length < 0 or offset + length > size:
            raise InvalidInput("damaged archive: a sparse map whose pieces overlap or lie outside the file")
        end = offset + length
    if sum(length for _, length in pieces) != stored:
        raise InvalidInput("damaged archive: a sparse map that does not fit the data stored")


def of_file(fd: int, size: int) -> Map | None:
    """The map of a file on disk (lseek SEEK_DATA, SEEK_HOLE); None when it has no hole."""
    pieces: Map = []
    at = 0
    while at < size:
        try:
            start = os.lseek(fd, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:  # nothing but a hole up to the end
                raise
            break
        at = min(os.lseek(fd, start, os.SEEK_HOLE), size)
        if at > start:
            pieces.append((start, at - start))
    return None if pieces == [(0, size)] or not size else pieces


def dump_1(pieces: Map) -> bytes:
    """A map in format 1.0, padded to whole blocks."""
    text = b"%d\n" % len(pieces) + b"".join(b"%d\n%d\n" % piece for piece in pieces)
    return text + bytes(-len(text) % BLOCK)


def worth_a_digest(size: int, stored: int) -> bool:
    """Whether to work out the digest of a sparse file, which needs its zeros too: not of terabytes of nothing."""
    return size <= 16 * stored + (64 << 20)


def hash_zeros(sha: hashlib._Hash, count: int) -> None:
    """Add so many zeros to a digest."""
    zeros = bytes(min(count, 1 << 20))
    while count > 0:
        sha.update(zeros[:count])
        count -= len(zeros)
