"""Stacked layers → one flat archive of what is seen through them: no whiteouts, no markers, nothing that is hidden.

Nothing is mounted: the rules of the merge are those of `view`, worked out here for a whole stack at once, and each file
is read from the layer that gives it, by descriptors. A name that would be a whiteout in a layer's archive (`.wh.x`) is
an ordinary name here. Sockets are left out: tar has no form for them. Names of one file in one layer are hard links as
far as they are seen.
"""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.errors import BrokenStore, InvalidInput
from engine.layers import sparse
from engine.layers.entry import Entry, encode
from engine.layers.scan import open_below, open_root
from engine.layers.sink import Sink
from engine.layers.tar_out import END, FLAGS, header, padding

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import BinaryIO

SMALL = 1 << 15  # a file up to this size is gathered with its header; a hole in it is not worth a map
OPEN_DIRECTORIES = 128  # kept open; a stack has up to 500 layers, a process often no more than 1024 descriptors

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO)  # removed, or replaced by something else


@dataclass(frozen=True, slots=True)
class FlatLayer:
    """A layer to flatten: its directory, its entries in tree order, and whether it may change while it is read."""

    diff_path: str
    entries: Sequence[Entry]
    live: bool = False


def flatten(layers: Sequence[FlatLayer], out: BinaryIO, warn: Callable[[str], None] | None = None) -> None:
    """Write what is seen through the layers, bottom first, to `out` as a plain tar archive.

    What changes meanwhile in a live layer cannot hurt the archive: a file is filled with zeros or cut to the size that
    its header says, as GNU tar does, and `warn` is told; what was removed is left out. BrokenStore when a file of
    another layer is missing or short. OSError as the file systems or `out` raise it.
    """
    sink = Sink(out)
    flattening = _Flattening(layers, sink, warn or _silent)
    try:
        flattening.run(merged([layer.entries for layer in layers]))
    finally:
        flattening.close()
    sink.write(END)
    sink.flush()


def merged(tables: Sequence[Sequence[Entry]]) -> list[tuple[int, Entry]]:
    """What is seen through layers, bottom first, each its entries in tree order: (layer, entry) in tree order.

    The rules of `view.MergedView`, without its account of what hides what.
    """
    found: dict[str, tuple[int, Entry]] = {}
    ended: set[str] = set()  # directories below which no lower layer has a say
    for number in range(len(tables) - 1, -1, -1):
        if "" in ended:
            break
        merging = {""}  # directories of this layer that are part of the view
        for entry in tables[number]:
            path, kind = entry.path, entry.kind
            if path and path[: max(path.rfind("/"), 0)] not in merging:
                continue
            above = found.get(path)
            if above is None:
                found[path] = (number, entry)
            elif above[1].kind != "d" or path in ended:
                continue
            if kind == "d":
                merging.add(path)
                if entry.opaque:
                    ended.add(path)
            elif above is not None:
                ended.add(path)
    rows = [(path.replace("/", "\0"), row) for path, row in found.items() if row[1].kind != "w"]
    rows.sort()
    return [row for _, row in rows]


class _Flattening:
    """One archive being written."""

    def __init__(self, layers: Sequence[FlatLayer], sink: Sink, warn: Callable[[str], None]) -> None:
        self.layers = layers
        self.sink = sink
        self.warn = warn
        self.directories: dict[tuple[int, str], int] = {}

    def close(self) -> None:
        for fd in self.directories.values():
            os.close(fd)
        self.directories.clear()

    def run(self, rows: list[tuple[int, Entry]]) -> None:
        # Files with several names: (layer, the first of them) → the one that is in the archive.
        first: dict[tuple[int, str], bytes] = {}
        several = {(number, entry.link) for number, entry in rows if entry.link}
        for number, entry in rows:
            kind = entry.kind
            if kind == "s":
                continue
            raw = encode(entry.path)
            if several:
                key = (number, entry.link or entry.path)
                before = first.get(key)
                if before is not None:
                    self._special(raw, b"1", entry, before)
                    continue
            if kind == "f":
                if not self._file(number, raw, entry):
                    continue
            elif kind == "d":
                self._special(raw + b"/" if raw else b"./", b"5", entry)
                continue
            else:
                self._special(raw, FLAGS[kind], entry, encode(entry.target))
            if several and key in several:
                first[key] = raw

    def _special(self, name: bytes, flag: bytes, entry: Entry, link: bytes = b"") -> None:
        """A member without data."""
        xattrs = entry.xattrs if flag != b"1" else ()
        self._header(name, flag, entry, 0, link=link, rdev=entry.rdev, xattrs=xattrs)

    def _header(
        self,
        name: bytes,
        flag: bytes,
        entry: Entry,
        size: int,
        *,
        link: bytes = b"",
        rdev: tuple[int, int] = (0, 0),
        xattrs: Sequence[tuple[str, bytes]] = (),
        real_size: int = -1,
    ) -> None:
        facts = (name, flag, entry.mode, entry.uid, entry.gid, size, entry.mtime_ns, link, rdev)
        try:
            data = header(*facts, xattrs, real_size)
        except InvalidInput as error:
            self.warn(f"{entry.path}: left out an attribute: {error}")
            data = header(*facts, [one for one in xattrs if "=" not in one[0]], real_size)
        self.sink.write(data)

    def _file(self, number: int, raw: bytes, entry: Entry) -> bool:
        """Write a regular file; False when it is not there any more."""
        layer = self.layers[number]
        size = entry.size
        if not layer.live and not size:
            self._header(raw, b"0", entry, 0, xattrs=entry.xattrs)
            return True
        cut = raw.rfind(b"/")
        try:
            directory = self._directory(number, raw[: max(cut, 0)], entry.path)
            fd = os.open(raw[cut + 1 :], _READ, dir_fd=directory)
        except OSError as error:
            if error.errno not in _GONE:
                raise
            if not layer.live:
                raise _broken(layer, entry) from None
            return False
        try:
            if not layer.live and size <= SMALL:
                data = os.read(fd, size)
                if len(data) != size:
                    raise _broken(layer, entry)
                self._header(raw, b"0", entry, size, xattrs=entry.xattrs)
                self.sink.write(data)
                self.sink.write(padding(size))
                return True
            return self._content(fd, raw, entry, layer)
        finally:
            os.close(fd)

    def _content(self, fd: int, raw: bytes, entry: Entry, layer: FlatLayer) -> bool:
        """Write a file that is large, or of a live layer: as large as it is now, whatever becomes of it meanwhile."""
        now = os.fstat(fd)
        if not stat.S_ISREG(now.st_mode):
            self.warn(f"{entry.path}: file changed as it was read; left out")
            return False
        size = now.st_size
        if size != entry.size and not layer.live:
            raise _broken(layer, entry)
        pieces = sparse.of_file(fd, size) if size > SMALL and now.st_blocks * 512 < size else None
        if pieces is None:
            self._header(raw, b"0", entry, size, xattrs=entry.xattrs)
            self._copy(fd, 0, size, entry, layer)
            self.sink.write(padding(size))
            return True
        table = sparse.dump_1([*pieces, (size, 0)])  # GNU tar marks the end so
        stored = len(table) + sum(length for _, length in pieces)
        self._header(raw, b"0", entry, stored, xattrs=entry.xattrs, real_size=size)
        self.sink.write(table)
        for offset, length in pieces:
            self._copy(fd, offset, length, entry, layer)
        self.sink.write(padding(stored))
        return True

    def _copy(self, fd: int, offset: int, length: int, entry: Entry, layer: FlatLayer) -> None:
        """Write a piece of a file, in its full length whatever is there."""
        if length <= SMALL:
            data = os.pread(fd, length, offset)
            self.sink.write(data)
            missing = length - len(data)
        else:
            missing = length - self.sink.copy(fd, offset, length)
        if not missing:
            return
        if not layer.live:
            raise _broken(layer, entry)
        self.warn(f"{entry.path}: file shrank by {missing} bytes; padding with zeros")
        zeros = bytes(min(missing, 1 << 20))
        while missing > 0:
            self.sink.write(zeros[:missing])
            missing -= len(zeros)

    def _directory(self, number: int, raw: bytes, path: str) -> int:
        """A descriptor of a layer's directory, which the files in it are opened by."""
        key = (number, path[: max(path.rfind("/"), 0)])
        known = self.directories.get(key)
        if known is not None:
            return known
        if len(self.directories) >= OPEN_DIRECTORIES:
            self.close()
        root = open_root(self.layers[number].diff_path)
        try:
            fd = self.directories[key] = open_below(root, raw, os.O_RDONLY | os.O_DIRECTORY)
        finally:
            os.close(root)
        return fd


def _broken(layer: FlatLayer, entry: Entry) -> BrokenStore:
    place = layer.diff_path
    return BrokenStore(f"{entry.path} in {place} is not what the layer's index says; load or pull its image again")


def _silent(_: str) -> None:
    pass
