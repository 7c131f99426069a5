"""Locks between processes: flocks, which the kernel drops when their holder dies (never files whose existence counts).

A `Lock` may guard a lock file, a staging directory or a container's directory; for directories that others delete,
`lock_directory` makes sure that what was locked is still what the name leads to.
"""

from __future__ import annotations

import fcntl
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self


class Lock:
    """A held flock and its descriptor; leaving the `with` block, or the death of the process, drops it."""

    __slots__ = ("fd",)

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def release(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)  # the descriptor is close-on-exec and was never duplicated: this drops the lock
            self.fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.release()


def lock_file(path: str) -> Lock:
    """Wait for the lock on a file, which is made if it is not there and never removed."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
    except BaseException:
        os.close(fd)
        raise
    return Lock(fd)


def lock_directory(path: str, *, wait: bool = True) -> Lock | None:
    """Lock a directory that others may delete or move away.

    None when it is not there (any more), or when wait is false and somebody else holds it.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        mine, named = os.fstat(fd), os.stat(path, follow_symlinks=False)
        if (mine.st_dev, mine.st_ino) == (named.st_dev, named.st_ino):
            return Lock(fd)
    except (BlockingIOError, FileNotFoundError):
        pass  # held by somebody, or gone while we waited: what the caller is told by None
    except BaseException:
        os.close(fd)
        raise
    os.close(fd)
    return None
