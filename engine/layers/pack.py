"""A layer's directory → an archive, the same bytes every time: pax, entries in tree order, no names of users.

Whiteouts and opaque directories in the archive's form; times in nanoseconds; attributes as `SCHILY.xattr.*`, as GNU
tar, docker and podman write them; hard links; holes as GNU's pax sparse format 1.0. Sockets are left out: tar has no
form for them (docker leaves them out too).
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from engine.errors import Conflict, InvalidInput
from engine.layers import sparse, whiteouts
from engine.layers.entry import Entries, Entry, encode, tree_order
from engine.layers.scan import open_below, open_root, scan
from engine.layers.sink import Sink
from engine.layers.tar_out import END, FLAGS, header, padding

if TYPE_CHECKING:
    from typing import BinaryIO

CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Packed:
    """What went into an archive. diff_id: `sha256:` and the archive's digest. size: bytes of regular files, hard links
    counted once. entries: in the order written, with the sizes and digests of what was really read."""

    diff_id: str
    size: int
    entries: Entries


def pack(
    diff_path: str | bytes | int,
    out: BinaryIO,
    entries: Iterable[Entry] | None = None,
    *,
    sort: bool = True,
    root: Entry | None = None,
) -> Packed:
    """Write the layer in this directory (path or descriptor) to `out` as a plain tar archive.

    entries: which of it, as `scan` gives them (a hard link's first path among them); None scans now. sort=False keeps
    their order. root: the root of the layers below; when this layer's is no different it is left out of the archive, so
    that a layer without changes is the empty archive. What has vanished since it was listed is left out.
    Conflict when a file shrinks while it is read: the container must be paused. InvalidInput for a file that is called
    as a whiteout is (`.wh.x`): the archive would mean something else. OSError as the file system or `out` raise it.
    """
    layer = os.dup(diff_path) if isinstance(diff_path, int) else open_root(diff_path)
    try:
        chosen = scan(layer) if entries is None else entries
        return _Packing(layer, out).run(tree_order(chosen) if sort else list(chosen), root)
    finally:
        os.close(layer)


class _Packing:
    """One archive being written."""

    def __init__(self, layer: int, out: BinaryIO) -> None:
        self.layer = layer
        self.sink = Sink(out)
        self.sha = hashlib.sha256()
        self.written: list[Entry] = []
        self.first: dict[str, Entry] = {}  # first path of a hard link as listed → the one in the archive

    def run(self, entries: list[Entry], root: Entry | None) -> Packed:
        for entry in entries:
            if entry.kind == "s" or (not entry.path and root is not None and _alike(entry, root)):
                continue
            self._entry(entry)
        self._write(END)
        self.sink.flush()
        size = sum(entry.size for entry in self.written if entry.kind == "f" and not entry.link)
        return Packed("sha256:" + self.sha.hexdigest(), size, Entries(self.written))

    def _write(self, data: bytes) -> None:
        self.sha.update(data)
        self.sink.write(data)

    def _entry(self, entry: Entry) -> None:
        raw = entry.raw
        name = raw.rpartition(b"/")[2]
        if name.startswith(whiteouts.PREFIX):
            raise InvalidInput(f"{entry.path}: an archive cannot hold this name, it would mean a whiteout")
        if entry.kind == "w":
            place = raw[: len(raw) - len(name)] + whiteouts.archive_name(name)
            self._header(place, b"0", Entry(entry.path, "f", 0, mtime_ns=entry.mtime_ns))
            self.written.append(entry)
        elif (first := self.first.get(entry.link or entry.path)) is not None:
            self._header(raw, b"1", replace(entry, size=0, xattrs=()), encode(first.path))
            self.written.append(replace(entry, size=first.size, digest=first.digest, link=first.path))
        elif entry.kind == "f":
            self._file(raw, entry)
        else:
            place = raw + b"/" if entry.kind == "d" and raw else raw or b"./"
            self._header(place, FLAGS[entry.kind], entry, encode(entry.target))
            self._note(entry)
            if entry.opaque:
                self._header(place.removeprefix(b"./") + whiteouts.OPAQUE_MARKER, b"0", Entry("", "f", 0))

    def _note(self, entry: Entry) -> None:
        """Note what was written, as the first of its hard links."""
        first = replace(entry, link="") if entry.link else entry
        self.first[entry.link or entry.path] = first
        self.written.append(first)

    def _file(self, raw: bytes, entry: Entry) -> None:
        try:
            fd = open_below(self.layer, raw, os.O_RDONLY)
        except FileNotFoundError:
            return
        try:
            now = os.fstat(fd)
            if not stat.S_ISREG(now.st_mode):
                raise Conflict(f"{entry.path} changed while it was packed; pause the container")
            pieces = sparse.of_file(fd, now.st_size) if now.st_blocks * 512 < now.st_size else None
            entry = replace(entry, size=now.st_size)
            stored = now.st_size
            if pieces is None:
                self._header(raw, b"0", entry)
                digest = self._copy(fd, [(0, now.st_size)], entry)
            else:
                table = sparse.dump_1([*pieces, (now.st_size, 0)])  # GNU tar marks the end so
                stored = len(table) + sum(length for _, length in pieces)
                self._header(raw, b"0", entry, stored=stored)
                self._write(table)
                digest = self._copy(fd, pieces, entry)
            self._write(padding(stored))
            self._note(replace(entry, digest=digest))
        finally:
            os.close(fd)

    def _copy(self, fd: int, pieces: sparse.Map, entry: Entry) -> str:
        """Write the pieces of a file; returns the digest of the whole, holes as zeros ("" for huge holes: `unpack`)."""
        known = sparse.worth_a_digest(entry.size, sum(length for _, length in pieces))
        sha = hashlib.sha256()
        end = 0
        for offset, length in pieces:
            if known:
                sparse.hash_zeros(sha, offset - end)
            end = offset + length
            while offset < end:
                data = os.pread(fd, min(CHUNK, end - offset), offset)
                if not data:
                    raise Conflict(f"{entry.path} shrank while it was packed; pause the container")
                self._write(data)
                if known:
                    sha.update(data)
                offset += len(data)
        if known:
            sparse.hash_zeros(sha, entry.size - end)
        return sha.hexdigest() if known else ""

    def _header(self, name: bytes, flag: bytes, entry: Entry, link: bytes = b"", *, stored: int | None = None) -> None:
        """A member's headers. stored: bytes of a sparse file's data and map."""
        size, real_size = (entry.size, -1) if stored is None else (stored, entry.size)
        facts = (entry.mode, entry.uid, entry.gid, size, entry.mtime_ns, link, entry.rdev, entry.xattrs, real_size)
        try:
            self._write(header(name, flag, *facts))
        except InvalidInput as error:
            raise InvalidInput(f"{entry.path}: {error}") from None


def _alike(entry: Entry, other: Entry) -> bool:
    """Whether two roots are no different; an opaque one always is."""
    keys = [(one.mode, one.uid, one.gid, one.mtime_ns, one.xattrs) for one in (entry, other)]
    return keys[0] == keys[1] and not entry.opaque
