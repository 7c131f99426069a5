"""Paths by directory descriptor: openat2, renameat2, syncfs, what file system a descriptor is on, remove_tree.

Light: init and the monitor load this. Sources: openat2(2), rename(2), syncfs(2), statfs(2).
"""

from __future__ import annotations

import errno
import os
import stat
import struct
import time

from engine.kernel import clib as ctypes
from engine.kernel.syscalls import LIBC, Bits, Descriptor, call, descriptor_path, quote, record

RESOLVE_NO_XDEV = 1
RESOLVE_NO_MAGICLINKS = 2
RESOLVE_NO_SYMLINKS = 4
RESOLVE_BENEATH = 8
RESOLVE_IN_ROOT = 0x10
RESOLVE_CACHED = 0x20

RENAME_NOREPLACE = 1
RENAME_EXCHANGE = 2
RENAME_WHITEOUT = 4

PROC_SUPER_MAGIC = 0x9FA0
SYSFS_MAGIC = 0x62656572
DEVPTS_SUPER_MAGIC = 0x1CD1
TMPFS_MAGIC = 0x01021994
OVERLAYFS_SUPER_MAGIC = 0x794C7630
CGROUP2_SUPER_MAGIC = 0x63677270

_OPENAT2 = 437
_RACES = 32
_O_FLAGS = ("O_DIRECTORY", "O_NOFOLLOW", "O_PATH", "O_CREAT", "O_EXCL", "O_TRUNC", "O_APPEND", "O_NOCTTY", "O_NONBLOCK")


class _OpenFlags:
    """The flags of an open, shown by name: `O_RDONLY|O_DIRECTORY`."""

    __slots__ = ("flags",)

    def __init__(self, flags: int) -> None:
        self.flags = flags

    def __repr__(self) -> str:
        access = ("O_RDONLY", "O_WRONLY", "O_RDWR", "3")[self.flags & 3]
        rest = self.flags & ~(3 | os.O_CLOEXEC)
        return f"{access}|{Bits(rest, _O_FLAGS, vars(os))!r}" if rest else access


def openat2(dirfd: int, path: str | bytes, flags: int, mode: int = 0, resolve: int = 0) -> int:
    """openat2(2): open a path whose resolution keeps to rules. Always close-on-exec.

    flags: O_*; mode: only with O_CREAT or O_TMPFILE; resolve: RESOLVE_*. OSError EXDEV when a rule would be broken,
    ELOOP for a symlink under RESOLVE_NO_SYMLINKS. EAGAIN (a rename raced with `..`) is tried again 32 times, as
    runc does; someone racing on purpose gets the error.
    """
    how = struct.pack("=QQQ", flags | os.O_CLOEXEC, mode, resolve)
    show = (Descriptor(dirfd), path, _OpenFlags(flags), oct(mode), Bits(resolve, "RESOLVE_", globals()))
    for attempt in range(_RACES):
        try:
            return call("openat2", _OPENAT2, dirfd, path, ctypes.c_char_p(how), len(how), show=show)
        except BlockingIOError:
            if attempt == _RACES - 1:
                raise
    raise AssertionError("unreachable")


def renameat2(old_dirfd: int, old: str | bytes, new_dirfd: int, new: str | bytes, flags: int = 0) -> None:
    """renameat2(2). flags: RENAME_NOREPLACE (FileExistsError when `new` exists), RENAME_EXCHANGE."""
    show = (Descriptor(old_dirfd), old, Descriptor(new_dirfd), new, Bits(flags, "RENAME_", globals()))
    command = "mv --exchange" if flags & RENAME_EXCHANGE else "mv -T"

    def shell() -> str:
        return f"{command} {quote(descriptor_path(old_dirfd, old))} {quote(descriptor_path(new_dirfd, new))}"

    call("renameat2", LIBC.renameat2, old_dirfd, old, new_dirfd, new, flags, show=show, shell=shell)


def syncfs(fd: int) -> None:
    """syncfs(2): wait until everything written to the file system of this descriptor is on the disk."""
    call("syncfs", LIBC.syncfs, fd, show=(Descriptor(fd),), shell=lambda: f"sync -f {quote(descriptor_path(fd))}")


def filesystem_type(fd: int) -> int:
    """fstatfs(2): the magic number of the file system a descriptor is on (PROC_SUPER_MAGIC …)."""
    buffer = ctypes.create_string_buffer(256)
    call("fstatfs", LIBC.fstatfs, fd, buffer, show=(Descriptor(fd),))
    return int.from_bytes(buffer.raw[: struct.calcsize("l")], "little")


def remove_tree(parent_fd: int, name: str | bytes) -> None:
    """Remove a file, a symlink, or a directory with everything below it; what is already gone is fine.

    Goes by descriptors, so that no symlink is followed even if one is swapped in meanwhile, and enters no mount:
    OSError EBUSY says what is mounted, with what came before it already removed. Any depth: one directory is open at
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

    __slots__ = ("fd", "levels", "retries")

    def __init__(self, parent_fd: int, name: str) -> None:
        self.fd = os.dup(parent_fd)
        # From the parent down: each directory's device and inode, and the names in it still to remove, the one being
        # removed last.
        self.levels: list[tuple[tuple[int, int], list[str]]] = [(_identity(os.fstat(parent_fd)), [name])]
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
            if error.errno == errno.EXDEV:
                raise OSError(errno.EBUSY, self._mounted()) from error
            if error.errno not in (errno.ENOTDIR, errno.ELOOP):
                raise
            if self._unlink(names[-1]):
                names.pop()
            return
        os.close(self.fd)
        self.fd = fd
        found = os.fstat(fd)
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
        flags, sealed = os.O_RDONLY | os.O_DIRECTORY, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV
        try:
            return openat2(self.fd, name, flags, resolve=sealed)
        except PermissionError:
            closed = openat2(self.fd, name, os.O_PATH | os.O_DIRECTORY, resolve=sealed)
            try:
                os.chmod(f"/proc/self/fd/{closed}", stat.S_IRWXU)
            finally:
                os.close(closed)
            return openat2(self.fd, name, flags, resolve=sealed)

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
        with open("/proc/self/mountinfo", "rb") as mounts:
            for line in mounts:
                place, _, source = line.partition(b" - ")
                if os.fsdecode(_unescaped(place.split()[4])) == path:
                    fstype, device = (os.fsdecode(_unescaped(field)) for field in source.split()[:2])
                    return f"{fstype} ({device}) is mounted there; unmount it first"
        return "something is mounted there; unmount it first"


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


def _unescaped(field: bytes) -> bytes:
    """A mountinfo field with its octal escapes undone (proc(5)): space, tab, newline and backslash."""
    for code in (b"040", b"011", b"012", b"134"):
        field = field.replace(b"\\" + code, bytes([int(code, 8)]))
    return field
