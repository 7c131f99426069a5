"""Being told when a file is written to (inotify), instead of asking again and again. Source: inotify(7)."""

from __future__ import annotations

import os

from engine.kernel.syscalls import LIBC, call

IN_MODIFY = 0x2
IN_CREATE = 0x100
IN_MOVED_TO = 0x80
IN_CLOEXEC = os.O_CLOEXEC
IN_NONBLOCK = os.O_NONBLOCK


def watch_writes(path: str) -> int:
    """A descriptor that is readable whenever the file was written to since the last read; the caller's to close."""
    return _watch(path, IN_MODIFY)


def watch_directory(path: str) -> int:
    """The same for a directory: a file in it was written to, made, or renamed into it."""
    return _watch(path, IN_MODIFY | IN_CREATE | IN_MOVED_TO)


def _watch(path: str, events: int) -> int:
    fd = call("inotify_init1", LIBC.inotify_init1, IN_CLOEXEC | IN_NONBLOCK)
    try:
        call("inotify_add_watch", LIBC.inotify_add_watch, fd, path, events)
    except OSError:
        os.close(fd)
        raise
    return fd


def drain(fd: int) -> None:
    """Take what a watch has to say, so that it tells of the next write."""
    try:
        while os.read(fd, 65536):
            pass
    except BlockingIOError:
        pass
