"""Removing a tree of files, whatever is in it.

Light, and without the C library: `rm` and the monitor load this. Sources: unlink(2), openat(2), proc(5).
"""

from __future__ import annotations

import errno
import os
import stat
import time

from engine.kernel.steps import Descriptor, descriptor_path, quote, record


def remove_tree(parent_fd: int, name: str | bytes) -> None:
    """Remove a file, a symlink, or a directory with everything below it; what is already gone is fine.

    Goes by descriptors, so that no symlink is followed even if one is swapped in meanwhile, and enters no mount:
    OSError EBUSY says what is mounted; what is not below it may be removed by then. Any depth: one directory is open at
    a time, and the way up is `..`, checked to be the directory that the way down came from. Any mode: a directory
    without rwx for its owner gets it where that is needed. Any name.
    """
    start = time.monotonic_ns()
    where = descriptor_path(parent_fd, name)
    removal = _Removal(parent_fd, os.fsdecode(name))
    try:
        removal.run()
    except OSError as error:
        record("remove_tree", (Descriptor(parent_fd), name), -1, error.errno or 0, start)
        raise OSError(error.errno, f"remove_tree({removal.where()}): {error.strerror}") from error
    finally:
        os.close(removal.fd)
    command = f"rm -rf --one-file-system {quote(where)}"
    record("remove_tree", (Descriptor(parent_fd), name), 0, 0, start, command)


class _Removal:
    """One remove_tree under way: the directory it is in, and the way back up from there."""

    __slots__ = ("fd", "levels", "mounted", "retries")

    def __init__(self, parent_fd: int, name: str) -> None:
        self.fd = os.dup(parent_fd)
        # From the parent down: each directory's device and inode, and the names in it still to remove, the one being
        # removed last.
        self.levels: list[tuple[tuple[int, int], list[str]]] = [(_identity(os.fstat(parent_fd)), [name])]
        self.mounted = _mounts_below(descriptor_path(parent_fd, name))
        # Somebody may go on making files in the tree; that often we start a directory again.
        self.retries = 1000

    def run(self) -> None:
        while True:
            names = self.levels[-1][1]
            if names:
                self._remove(names)
            elif len(self.levels) == 1:
                return
            else:
                self._leave()

    def _remove(self, names: list[str]) -> None:
        """Remove the last of these names in the open directory; if it is a directory, go into it first."""
        try:
            fd = self._open(names[-1])
        except FileNotFoundError:
            names.pop()
            return
        except OSError as error:
            if error.errno not in (errno.ENOTDIR, errno.ELOOP):
                raise
            if self._unlink(names[-1]):
                names.pop()
            return
        found = os.fstat(fd)
        if found.st_dev != self.levels[0][0][0] or (self.mounted and descriptor_path(fd) in self.mounted):
            os.close(fd)
            raise OSError(errno.EBUSY, self._mounted())
        os.close(self.fd)
        self.fd = fd
        if found.st_mode & stat.S_IRWXU != stat.S_IRWXU and os.geteuid() != 0:
            os.fchmod(fd, stat.S_IRWXU)
        below: list[str] = []
        self.levels.append((_identity(found), below))
        with os.scandir(fd) as entries:
            for entry in entries:
                below.append(entry.name)
                if not entry.is_dir(follow_symlinks=False) and self._unlink(entry.name):
                    below.pop()

    def _open(self, name: str) -> int:
        """Open a directory of the open one: no symlink, no mount point."""
        flags = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC  # a name of one part: nothing leads out of here
        try:
            return os.open(name, os.O_RDONLY | flags, dir_fd=self.fd)
        except PermissionError:
            closed = os.open(name, os.O_PATH | flags, dir_fd=self.fd)
            try:
                os.chmod(f"/proc/self/fd/{closed}", stat.S_IRWXU)
            finally:
                os.close(closed)
            return os.open(name, os.O_RDONLY | flags, dir_fd=self.fd)

    def _unlink(self, name: str) -> bool:
        """Remove what is no directory; False when it has become one meanwhile, to be entered."""
        try:
            os.unlink(name, dir_fd=self.fd)
        except FileNotFoundError:
            pass
        except IsADirectoryError:
            self.retries -= 1
            if not self.retries:
                raise
            return False
        except OSError as error:
            if error.errno == errno.EBUSY:
                raise OSError(errno.EBUSY, self._mounted()) from error
            raise
        return True

    def _leave(self) -> None:
        """Go up, and remove the directory that was left."""
        up = os.open("..", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self.fd)
        os.close(self.fd)
        self.fd = up
        self.levels.pop()
        identity, names = self.levels[-1]
        if _identity(os.fstat(up)) != identity:
            raise OSError(errno.ESTALE, "the directory was moved elsewhere while it was being removed")
        try:
            os.rmdir(names[-1], dir_fd=up)
        except FileNotFoundError:
            pass
        except OSError as error:
            self.retries -= 1
            if error.errno not in (errno.ENOTEMPTY, errno.ENOTDIR) or not self.retries:
                raise
            return  # entered again
        names.pop()

    def where(self) -> str:
        """The path being removed, below the parent; the middle of a very deep one left out."""
        path = "/".join(names[-1] for _, names in self.levels if names)
        return path if len(path) <= 1000 else f"{path[:500]}…{path[-500:]}"

    def _mounted(self) -> str:
        """What to say of a mount point in the way."""
        path = descriptor_path(self.fd, self.levels[-1][1][-1])
        source = _mounts_below(path).get(path)
        return (
            f"{source} is mounted there; unmount it first" if source else "something is mounted there; unmount it first"
        )


def _mounts_below(path: str) -> dict[str, str]:
    """What is mounted at this path or below it: mount point → "ext4 (/dev/sda1)"."""
    found = {}
    with open("/proc/self/mountinfo", "rb") as mounts:
        for line in mounts:
            place, _, source = line.partition(b" - ")
            point = os.fsdecode(_unescaped(place.split()[4]))
            if f"{point}/".startswith(f"{path}/"):
                fstype, device = (os.fsdecode(_unescaped(field)) for field in source.split()[:2])
                found[point] = f"{fstype} ({device})"
    return found


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


def _unescaped(field: bytes) -> bytes:
    """A mountinfo field with its octal escapes undone (proc(5)): space, tab, newline and backslash."""
    for code in (b"040", b"011", b"012", b"134"):
        field = field.replace(b"\\" + code, bytes([int(code, 8)]))
    return field
