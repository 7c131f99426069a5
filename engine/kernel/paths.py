"""Paths by directory descriptor: openat2, renameat2, syncfs, what file system a descriptor is on.

Light: init and the monitor load this. Sources: openat2(2), rename(2), syncfs(2), statfs(2).
"""

from __future__ import annotations

import os
import struct

from engine.kernel import clib as ctypes
from engine.kernel.syscalls import LIBC, Bits, Descriptor, call, descriptor_path, quote

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
