"""A sealed copy of the interpreter: what the launcher, the monitor and init run from.

A process that enters a container can be found there through /proc/<pid>/exe, and a container's root could open
that for writing and so change the host's program (runc CVE-2019-5736). The program is therefore opened through
a read-only overlay mount of its directory that is attached nowhere: opened for writing it says "read-only file
system", nothing can remount it, and its pages are the very pages of the host's file, shared by all monitors
(as runc ≥ 1.2 does, libcontainer/exeseal). Where that cannot be made, a sealed memfd holds a copy.
"""

from __future__ import annotations

import fcntl
import os
import sys

from engine.kernel import mounts

_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
_LOWEST = 10  # posix_spawn puts other descriptors at 0…3 before it opens /proc/self/fd/N


def interpreter() -> str:
    """The host's interpreter, outside any virtual environment: argv[0] from which Python finds its library."""
    return getattr(sys, "_base_executable", "") or sys.executable


def sealed_interpreter() -> int:
    """A close-on-exec descriptor (≥ 10) of the interpreter that nobody can write through, for /proc/self/fd/N.

    OSError when neither way works.
    """
    path = os.path.realpath(interpreter())
    try:
        return _over(path)
    except OSError:  # no CAP_SYS_ADMIN, an old kernel, a directory overlayfs refuses: copy instead
        return _copied(path)


def _over(path: str) -> int:
    """The program through a detached read-only overlay of its directory and an empty one (it wants two lowers)."""
    empty = _empty_directory()
    context = mount = -1
    try:
        context = mounts.fsopen("overlay")
        mounts.fsconfig_string(context, "source", "strata-sealed")
        # Kernels before 6.5 know this form only; a colon in the path makes it mean something else, and fail.
        mounts.fsconfig_string(context, "lowerdir", f"{os.path.dirname(path)}:{empty}")
        mounts.fsconfig_create(context)
        mount = mounts.fsmount(context, mounts.MOUNT_ATTR_RDONLY | mounts.MOUNT_ATTR_NOSUID | mounts.MOUNT_ATTR_NODEV)
        return _high(os.open(os.path.basename(path), os.O_PATH | os.O_CLOEXEC, dir_fd=mount))
    finally:
        for descriptor in (context, mount):
            if descriptor >= 0:
                os.close(descriptor)
        os.rmdir(empty)


def _empty_directory() -> str:
    """A new directory, to be removed again, in a place where this user may make one."""
    for place in ("/tmp", "/var/tmp", "/dev/shm"):
        empty = f"{place}/strata-{os.getpid()}-{os.urandom(6).hex()}"
        try:
            os.mkdir(empty, 0o700)
            return empty
        except OSError as error:
            failure = error
    raise failure


def _copied(path: str) -> int:
    """A copy in memory that the kernel lets nobody change any more (fcntl(2), F_ADD_SEALS)."""
    copy = os.memfd_create("strata-interpreter", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        with open(path, "rb") as program:
            size = os.fstat(program.fileno()).st_size
            done = 0
            while done < size:
                done += os.sendfile(copy, program.fileno(), done, size - done)
        fcntl.fcntl(copy, fcntl.F_ADD_SEALS, _SEALS)
        return _high(os.open(f"/proc/self/fd/{copy}", os.O_RDONLY | os.O_CLOEXEC))
    finally:
        os.close(copy)


def _high(descriptor: int) -> int:
    """The same open file at a number from 10 on."""
    try:
        return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _LOWEST)
    finally:
        os.close(descriptor)
