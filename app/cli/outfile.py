"""Where an archive goes: -o FILE, or standard output when that is no terminal."""

from __future__ import annotations

import errno
import os
import stat
import sys
from contextlib import contextmanager

from engine.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

TERMINAL = "cowardly refusing to save to a terminal. Use the -o flag or redirect"
MODE = 0o600  # as docker's: an image or a container may hold secrets


@contextmanager
def outfile(path: str) -> Iterator[BinaryIO]:
    """What to write to. A file appears under its name when the block ends well, and not at all if it does not: an old
    one stays as it was. A FIFO, a device or what is standard output already is written to directly.

    InvalidInput for a terminal or a directory; OSError, with the file's name, when it cannot be written.
    """
    if not path:
        if sys.stdout.isatty():
            raise InvalidInput(TERMINAL)
        sys.stdout.flush()
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    target = os.path.realpath(path)
    found = _kind(target, path)
    try:
        if found is not None and _same(found, 1):
            sys.stdout.flush()
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
        elif found is not None and not stat.S_ISREG(found.st_mode):
            with open(path, "wb", buffering=0) as out:
                if out.isatty():
                    raise InvalidInput(TERMINAL)
                yield out
        else:
            with _appearing(target) as out:
                yield out
    except OSError as error:
        if error.filename is None and not isinstance(error, BrokenPipeError):
            error.filename = path
        raise


def _kind(target: str, path: str) -> os.stat_result | None:
    """What lies at the path, None for nothing. InvalidInput where no file can be."""
    try:
        # realpath cannot resolve /proc/self/fd/1 when that is a pipe: the path as given can.
        found = os.stat(path)
    except FileNotFoundError:
        directory = os.path.dirname(target)
        if not os.path.isdir(directory):
            raise InvalidInput(f'invalid output path: directory "{directory}" does not exist') from None
        return None
    if stat.S_ISDIR(found.st_mode):
        raise InvalidInput(f'invalid output path: "{path}" is a directory; name a file in it')
    return found


def _same(found: os.stat_result, fd: int) -> bool:
    try:
        other = os.fstat(fd)
    except OSError:
        return False
    return (found.st_dev, found.st_ino) == (other.st_dev, other.st_ino) and not os.isatty(fd)


@contextmanager
def _appearing(target: str) -> Iterator[BinaryIO]:
    """A file without a name (O_TMPFILE) until it is whole, so that even SIGKILL leaves nothing; where the file system
    has no such thing, one with a name of its own."""
    directory, name = os.path.split(target)
    named = os.path.join(directory, f".strata-{os.getpid()}-{os.urandom(4).hex()}")
    place = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fd = os.open(directory, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, MODE)
            nameless = True
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL):
                raise
            fd = os.open(named, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, MODE)
            nameless = False
        try:
            with open(fd, "wb", buffering=0) as out:
                yield out
                if nameless:
                    # A directory's descriptor makes it linkat(2), which follows the link in /proc.
                    os.link(f"/proc/self/fd/{fd}", os.path.basename(named), dst_dir_fd=place)
            os.rename(os.path.basename(named), name, src_dir_fd=place, dst_dir_fd=place)
        except BaseException:
            try:
                os.unlink(os.path.basename(named), dir_fd=place)
            except FileNotFoundError:
                pass
            raise
    finally:
        os.close(place)
