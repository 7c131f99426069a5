"""One layer's archive on its way into the store, in one pass: digest, keep, inflate, diff digest, unpack, index.

    source ─► digest, blob file ─► inflate ─► diff digest ─► unpack ─► diff/, index, json

`take_in` is the same whether it runs here (small images) or in a worker process (`worker.py`).
"""

from __future__ import annotations

import os
import stat
import time
from dataclasses import dataclass, replace

from engine.archive.compression import plain
from engine.errors import InvalidInput
from engine.oci.digests import SHA256, hasher

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO, Protocol

    from engine.layers.entry import Entry
    from engine.layers.unpack import Limits, Unpacked
    from engine.store.blobs import Readable
    from engine.store.root import Store

    class Talk(Protocol):
        """Who ordered the layer."""

        def progress(self, count: int) -> None:
            """So many bytes of the archive were read so far."""

        def root(self, own: Root | None) -> Root | None:
            """Told what the archive says of the layer's root directory (None: nothing), answers what it shall be (None:
            leave it). May wait until the layer below is known so far."""


CHUNK = 1 << 20
STEP = 0.1  # seconds between two words about progress
NO_MEDIA_TYPE = ("xz", "bzip2")  # OCI knows no layers of these: what they hold is kept plain


@dataclass(frozen=True, slots=True)
class Root:
    """A layer's root directory: overlayfs shows the top layer's as the container's `/`."""

    mode: int
    uid: int
    gid: int
    mtime_ns: int
    xattrs: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class Order:
    """What shall become of an archive.

    what: its name in errors. digest, size: of the archive as promised, "" and -1 = not promised; diff_id: of what it
    holds. directory: where the layer is staged (made by `take_in`: diff/, json, index), "" = the archive is only
    checked. blob: whether the archive's bytes go to the blob file; prefix: how many of them it has already; exact: keep
    them as they come, whatever their compression. layer, parent: chain ids; created, created_by: for the layer's json.
    """

    what: str
    diff_id: str
    digest: str = ""
    size: int = -1
    directory: str = ""
    blob: bool = True
    prefix: int = 0
    exact: bool = False
    layer: str = ""
    parent: str | None = None
    created: str = ""
    created_by: str = ""
    limits: Limits | None = None


@dataclass(frozen=True, slots=True)
class Taken:
    """What an archive was: digest and size of the blob kept (as it came, or plain where it could not be kept so), and
    how that one is compressed ("", "gzip", "zstd", …)."""

    digest: str
    size: int
    compression: str


class WrongDigest(InvalidInput):
    """The archive is not the one that was promised."""


def take_in(store: Store, source: Readable, order: Order, blob: int, talk: Talk) -> Taken:
    """Read an archive to its end and make of it what was ordered. blob: descriptor of the blob file (-1: none).

    Nothing is synced. InvalidInput when it is damaged, hostile or not what was promised; OSError from the disk or the
    source. What is staged is of no use then.
    """
    raw = _Raw(source, order, blob, talk)
    stream, compression = plain(raw, order.what)  # type: ignore[arg-type]
    name = compression if isinstance(compression, str) else "gzip" if compression else ""
    kept_plain = name in NO_MEDIA_TYPE and not order.exact
    raw.decide(hashing=bool(name), keeping=not kept_plain)
    inner: BinaryIO = _Tee(stream, blob) if kept_plain and order.blob else stream  # type: ignore[assignment]
    unpacked, diff_id, plain_size = _read(inner, order)
    raw.finish()
    digest = raw.digest() if name else diff_id
    if order.digest not in ("", digest):
        raise WrongDigest(f"{order.what} is damaged: its archive has the digest {digest}, expected {order.digest}")
    if diff_id != order.diff_id:
        raise InvalidInput(
            f"{order.what} is damaged or not the layer its image means: diff id {diff_id}, expected {order.diff_id}"
        )
    if unpacked is not None:
        _seal(store, order, unpacked, talk)
    if kept_plain:
        return Taken(diff_id, plain_size, "")
    return Taken(digest, raw.count, name)


def _read(stream: BinaryIO, order: Order) -> tuple[Unpacked | None, str, int]:
    """Unpack a plain stream, or only read it: (what it became, its digest, its bytes)."""
    if not order.directory:
        running, size = hasher(), 0
        while chunk := stream.read(CHUNK):
            running.update(chunk)
            size += len(chunk)
        return None, SHA256 + running.hexdigest(), size
    from engine.layers.unpack import unpack

    os.mkdir(order.directory, 0o700)
    diff = os.path.join(order.directory, "diff")
    os.mkdir(diff, 0o755)
    os.chmod(diff, 0o755)  # whatever the umask took
    try:
        unpacked = unpack(stream, diff, limits=order.limits)
    except InvalidInput as error:
        raise error if str(error).startswith(order.what) else InvalidInput(f"{order.what}: {error}")
    return unpacked, unpacked.diff_id, unpacked.length


def _seal(store: Store, order: Order, unpacked: Unpacked, talk: Talk) -> None:
    """Give the layer's root its looks, then write index and json."""
    from engine.store.layers import READ_ONLY, LayerRecord

    top = unpacked.entries[0]
    own = Root(top.mode, top.uid, top.gid, top.mtime_ns, top.xattrs) if unpacked.root_listed else None
    root = talk.root(own)
    if root is not None and root != own:
        unpacked.entries[0] = dress_root(os.path.join(order.directory, "diff"), top, root)
    record = LayerRecord(
        order.layer,
        READ_ONLY,
        order.parent,
        unpacked.diff_id,
        order.created,
        order.created_by,
        unpacked.size,
        unpacked.entry_count - 1,
    )
    store.layers.seal(order.directory, record, unpacked.entries)


def dress_root(diff: str, entry: Entry, root: Root) -> Entry:
    """Make a layer's diff directory look as `root` says; returns its entry, changed likewise."""
    os.chown(diff, root.uid, root.gid)
    os.chmod(diff, root.mode)
    for name, value in root.xattrs:
        os.setxattr(diff, name, value)
    os.utime(diff, ns=(root.mtime_ns, root.mtime_ns))
    return replace(
        entry, mode=root.mode, uid=root.uid, gid=root.gid, mtime_ns=root.mtime_ns, xattrs=tuple(sorted(root.xattrs))
    )


class _Raw:
    """The archive's bytes as they come: counted, checked against the promise, kept in the blob file, digested."""

    def __init__(self, source: Readable, order: Order, blob: int, talk: Talk) -> None:
        self.count = 0
        self._source = source
        self._order = order
        self._blob = blob
        self._talk = talk
        self._prefix = order.prefix
        self._said = 0.0
        self._waiting: list[bytes] | None = []  # until it is known whether it is compressed
        self._hashing = self._keeping = False
        self._sha = hasher()

    def read(self, size: int = -1, /) -> bytes:
        size = CHUNK if size < 0 else size
        if self._prefix:
            data = os.pread(self._blob, min(size, self._prefix), self.count)
            self._prefix -= len(data)
            fresh = False
        else:
            data, fresh = self._source.read(size), True
        if not data:
            self._ended()
            return data
        self.count += len(data)
        if 0 <= self._order.size < self.count:
            raise WrongDigest(f"{self._order.what} is longer than the {self._order.size} bytes promised")
        if self._waiting is not None:
            self._waiting.append(data if fresh else b"")
            self._sha.update(data)
        else:
            if self._hashing:
                self._sha.update(data)
            if fresh:
                self._keep(data)
        now = time.monotonic()
        if now - self._said >= STEP:
            self._said = now
            self._talk.progress(self.count)
        return data

    def decide(self, *, hashing: bool, keeping: bool) -> None:
        """What to do with the bytes, those read to find that out included."""
        waiting, self._waiting = self._waiting or [], None
        self._hashing = hashing
        self._keeping = keeping and self._order.blob
        for data in waiting:
            self._keep(data)

    def finish(self) -> None:
        """Read what is left after the end of the compressed data, so that all of it is kept and digested."""
        while self.read(CHUNK):
            pass
        self._talk.progress(self.count)

    def digest(self) -> str:
        return SHA256 + self._sha.hexdigest()

    def _keep(self, data: bytes) -> None:
        if self._keeping and data:
            _write_all(self._blob, data)

    def _ended(self) -> None:
        if self.count < self._order.size:
            raise InvalidInput(f"{self._order.what} ends after {self.count} of {self._order.size} bytes")


class _Tee:
    """A stream whose bytes are also written to a file."""

    def __init__(self, stream: BinaryIO, out: int) -> None:
        self._stream = stream
        self._out = out

    def read(self, size: int = -1, /) -> bytes:
        data = self._stream.read(size)
        if data:
            _write_all(self._out, data)
        return data


class Slice:
    """`size` bytes of a file from `offset` on, as a stream; its descriptor stays the caller's."""

    def __init__(self, fd: int, offset: int, size: int) -> None:
        self._fd = fd
        self._offset = offset
        self._left = size

    def read(self, size: int = -1, /) -> bytes:
        data = os.pread(self._fd, min(self._left, CHUNK if size < 0 else size), self._offset)
        self._offset += len(data)
        self._left -= len(data)
        return data


class Pipe:
    """What comes out of a pipe's descriptor."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def read(self, size: int = -1, /) -> bytes:
        return os.read(self._fd, CHUNK if size < 0 else size)


def root_of(diff: str) -> Root:
    """The looks of a layer's root directory on disk."""
    from engine.layers.whiteouts import is_kept

    found = os.stat(diff)
    kept = tuple((name, os.getxattr(diff, name)) for name in sorted(os.listxattr(diff)) if is_kept(name))
    return Root(stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid, found.st_mtime_ns, kept)


def _write_all(fd: int, data: bytes) -> None:
    written = os.write(fd, data)
    while written < len(data):
        data = data[written:]
        written = os.write(fd, data)
