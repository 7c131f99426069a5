"""Archives on their way from a registry, `incoming/<hex>`: what a broken download brought stays for the next try.

Whoever downloads holds the file's flock until the blob has its final name; a second one waits as long as the file
grows, and then finds the whole blob. A file without a lock is a broken download's: the next pull goes on with it, prune
removes it. Nobody waits for ever: two pulls could wait for each other, and a stopped one would stop all.
"""

from __future__ import annotations

import fcntl
import os
import time

from engine.oci.digests import hex_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

    from engine.store.root import Store


PATIENCE = 10.0  # seconds that somebody else's download may bring nothing before it is done without
LOOK = 0.05  # seconds between two looks at it


class Busy(Exception):
    """Somebody else holds the download, and nothing comes."""


class Incoming:
    """An archive that is not whole yet, locked. fd: its descriptor; size: bytes that are there already."""

    __slots__ = ("_done", "digest", "fd", "path", "size")

    def __init__(self, store: Store, digest: str) -> None:
        """Wait for the lock. Busy when whoever has it gets nowhere; OSError when the file cannot be made."""
        directory = store.path("incoming")
        os.makedirs(directory, 0o700, exist_ok=True)
        self.digest = digest
        self.path = os.path.join(directory, hex_of(digest))
        self._done = False
        while True:
            self.fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                _wait(self.fd)
                if _same(self.fd, self.path):
                    break
            except BaseException:
                os.close(self.fd)
                raise
            os.close(self.fd)  # it was finished, and so removed, while we waited
        self.size = os.fstat(self.fd).st_size
        os.lseek(self.fd, 0, os.SEEK_END)

    def restart(self) -> None:
        """Forget what is there."""
        os.ftruncate(self.fd, 0)
        os.lseek(self.fd, 0, os.SEEK_SET)
        self.size = 0

    def done(self) -> None:
        """The archive has its final name, or is of no use: remove this one."""
        if not self._done and self.fd >= 0:
            self._done = True
            os.unlink(self.path)

    def close(self) -> None:
        if self.fd >= 0:
            if not self._done and os.fstat(self.fd).st_size == 0:
                self.done()
            os.close(self.fd)
            self.fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _wait(fd: int) -> None:
    """Wait for the lock on an open download, as long as it grows. Busy."""
    size, until = -1, 0.0
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            now = os.fstat(fd)
        if now.st_size != size:
            size, until = now.st_size, time.monotonic() + PATIENCE
        elif time.monotonic() > until:
            raise Busy
        time.sleep(LOOK)


def broken(store: Store) -> list[tuple[str, int]]:
    """Broken downloads, which nobody is at: (path, bytes)."""
    found = []
    for path in _files(store):
        lock = _try(path)
        if lock is not None:
            found.append((path, os.fstat(lock).st_size))
            os.close(lock)
    return found


def remove_broken(store: Store) -> int:
    """Remove broken downloads; returns the bytes they had."""
    freed = 0
    for path in _files(store):
        lock = _try(path)
        if lock is not None:
            freed += os.fstat(lock).st_blocks * 512
            os.unlink(path)  # under its lock: a pull that waited for it looks again
            os.close(lock)
    return freed


def remove(store: Store, digest: str) -> None:
    """Remove a broken download, if there is one and nobody is at it."""
    path = store.path("incoming", hex_of(digest))
    lock = _try(path)
    if lock is not None:
        os.unlink(path)
        os.close(lock)


def _files(store: Store) -> list[str]:
    try:
        return [store.path("incoming", name) for name in sorted(os.listdir(store.path("incoming")))]
    except FileNotFoundError:
        return []


def _try(path: str) -> int | None:
    """The descriptor of a file that nobody else has locked."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _same(fd, path):
            return fd
    except BlockingIOError:
        pass
    os.close(fd)
    return None


def _same(fd: int, path: str) -> bool:
    try:
        mine, named = os.fstat(fd), os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return (mine.st_dev, mine.st_ino) == (named.st_dev, named.st_ino)
