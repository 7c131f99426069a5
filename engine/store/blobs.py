"""Blobs: manifests, configs and layer archives, each under the sha256 of its bytes, written once and never changed."""

from __future__ import annotations

import os

from engine.errors import BrokenStore
from engine.oci.digests import SHA256, digest_of, hex_of
from engine.store import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO, Protocol

    from engine.store.root import Staging, Store

    class Readable(Protocol):
        """Whatever gives bytes: a file, a pipe, a member of an archive."""

        def read(self, size: int = -1, /) -> bytes: ...


CHUNK = 1 << 20


class Blobs:
    """The directory `blobs/sha256`."""

    __slots__ = ("_store",)

    def __init__(self, store: Store) -> None:
        self._store = store

    def path(self, digest: str) -> str:
        """Where a blob lies, whether it is there or not. InvalidInput for what is not a sha256 digest."""
        return self._store.path("blobs", "sha256", hex_of(digest))

    def exists(self, digest: str) -> bool:
        return os.path.exists(self.path(digest))

    def size(self, digest: str) -> int:
        """Bytes of a blob; BrokenStore when it is missing."""
        try:
            return os.stat(self.path(digest)).st_size
        except FileNotFoundError:
            raise _missing(digest)

    def open(self, digest: str) -> BinaryIO:
        """A blob as a stream; BrokenStore when it is missing."""
        try:
            return open(self.path(digest), "rb")
        except FileNotFoundError:
            raise _missing(digest)

    def read(self, digest: str) -> bytes:
        """A small blob (a manifest or config) whole; BrokenStore when it is missing."""
        try:
            return files.read(self.path(digest))
        except FileNotFoundError:
            raise _missing(digest)

    def put(self, data: bytes) -> str:
        """Keep a small document; returns its digest. Call it under the images lock, or gc may take it back."""
        digest = digest_of(data)
        final = self.path(digest)
        if not os.path.exists(final):
            with self._store.tmp_dir() as staging:
                files.write_new(staging.join("blob"), data)
                self.adopt(staging.join("blob"), digest)
                files.sync_directory(self._store.path("blobs", "sha256"))
        return digest

    def adopt(self, staged: str, digest: str) -> None:
        """Give a staged and synced file its final name beside the staged one. Same digest, same bytes: a second writer
        loses nothing.

        The caller syncs the directory `blobs/sha256/` afterwards, once for many.
        """
        try:
            os.link(staged, self.path(digest))
        except FileExistsError:
            pass  # somebody else's is as good

    def delete(self, digest: str) -> None:
        """Remove a blob that nothing refers to; absent is fine. Under the exclusive images lock."""
        try:
            os.unlink(self.path(digest))
        except FileNotFoundError:
            pass

    def all(self) -> Iterator[str]:
        """Every blob's digest."""
        for name in sorted(os.listdir(self._store.path("blobs", "sha256"))):
            yield SHA256 + name


def stage(staging: Staging, name: str, stream: Readable) -> tuple[str, int]:
    """Copy a stream into a staged file; returns its digest and size. The caller syncs and adopts it."""
    from engine.oci.digests import hasher

    running, size = hasher(), 0
    fd = os.open(staging.join(name), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, files.FILE_MODE)
    try:
        while chunk := stream.read(CHUNK):
            running.update(chunk)
            files.write_all(fd, chunk)
            size += len(chunk)
    finally:
        os.close(fd)
    return SHA256 + running.hexdigest(), size


def _missing(digest: str) -> BrokenStore:
    return BrokenStore(f"blob {digest} is missing from the store; load or pull its image again")
