"""Being told when a file is written to (inotify), instead of asking again and again. Source: inotify(7)."""

from __future__ import annotations

import os

from engine.kernel.syscalls import LIBC, call

IN_MODIFY = 0x2
IN_CLOEXEC = os.O_CLOEXEC
IN_NONBLOCK = os.O_NONBLOCK


def watch_writes(path: str) -> int:
    """A descriptor that is readable whenever the file was written to since the last read; the caller's to close."""
    fd = call("inotify_init1", LIBC.inotify_init1, IN_CLOEXEC | IN_NONBLOCK)
    try:
        call("inotify_add_watch", LIBC.inotify_add_watch, fd, path, IN_MODIFY)
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
