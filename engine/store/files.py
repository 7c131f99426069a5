"""Files that are whole or absent: write, fsync, rename, fsync of the directory.

What a power cut leaves after a plain write and rename is a name with zero bytes behind it (moby#49784), so what must
last goes through `write_new` or `replace`. An fsync costs 0.14 ms on the machine this was measured on and up to 10 ms
on a spinning disk: each caller says what it syncs and why.
"""

from __future__ import annotations

import errno
import os

FILE_MODE = 0o600


def write_new(path: str, data: bytes, *, sync: bool = True, mode: int = FILE_MODE) -> None:
    """Write a file that does not exist yet, inside a directory that nobody else looks at (staging)."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        if mode != FILE_MODE:
            os.fchmod(fd, mode)  # whatever the umask took: users inside read these
        write_all(fd, data)
        if sync:
            os.fsync(fd)
    finally:
        os.close(fd)


def replace(path: str, data: bytes, *, sync: bool = True) -> None:
    """Put `data` in the place of `path` at once: readers see the old bytes or the new, never a part.

    The caller holds the lock that orders the writers of `path`. sync=False leaves the order of data and name to the
    filesystem: after a power cut the file may be the old one, or empty, and the reader must cope with both.
    """
    new = path + ".new"
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, FILE_MODE)
    try:
        write_all(fd, data)
        if sync:
            os.fsync(fd)
    except BaseException:
        os.unlink(new)  # the room it took matters most when the disk is full
        raise
    finally:
        os.close(fd)
    os.rename(new, path)
    if sync:
        sync_directory(os.path.dirname(path))


def swap(path: str, data: bytes) -> None:
    """`replace`, and what was there before stays as `path`.spare: the next change is written over it.

    So a change that makes the file smaller takes no new block, and images can be removed from a disk that has none
    left (podman#7800). The spare is never read. The caller holds the lock that orders the writers.
    """
    from engine.kernel.paths import RENAME_EXCHANGE, renameat2
    from engine.kernel.syscalls import AT_FDCWD

    spare = path + ".spare"
    fd = os.open(spare, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, FILE_MODE)
    try:
        write_all(fd, data)
        os.ftruncate(fd, len(data))
        os.fsync(fd)
    finally:
        os.close(fd)
    try:
        renameat2(AT_FDCWD, spare, AT_FDCWD, path, RENAME_EXCHANGE)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.EINVAL):  # the first time; a filesystem that cannot exchange
            raise
        os.rename(spare, path)
    sync_directory(os.path.dirname(path))
    _reserve(spare, len(data))


def _reserve(path: str, size: int) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, FILE_MODE)
    try:
        os.posix_fallocate(fd, 0, max(size, 1))
    except OSError as error:
        # Only a reserve: the change itself is on the disk, so a full one is no error, nor a filesystem without this.
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EOPNOTSUPP, errno.EINVAL):
            raise
    finally:
        os.close(fd)


def write_all(fd: int, data: bytes | memoryview) -> None:
    """Write every byte: a full disk may take only some of them before it fails."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def read(path: str) -> bytes:
    """The whole of a small file."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        chunks = []
        while chunk := os.read(fd, 1 << 16):
            chunks.append(chunk)
            if len(chunk) < 1 << 16:
                break
        return b"".join(chunks)
    finally:
        os.close(fd)


def sync_directory(path: str) -> None:
    """Make the names in a directory last through a power cut."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
