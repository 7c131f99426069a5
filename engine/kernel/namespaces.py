"""Namespaces: leave one (unshare), enter one (setns), tell which one a process is in, name the host of one.

Light: the monitor and init load this. Sources: namespaces(7), unshare(2), setns(2).
"""

from __future__ import annotations

import os

from engine.kernel.syscalls import LIBC, Bits, call

CLONE_PARENT = 0x8000
CLONE_NEWTIME = 0x80
CLONE_PIDFD = 0x1000
CLONE_NEWNS = 0x20000
CLONE_NEWCGROUP = 0x2000000
CLONE_NEWUTS = 0x4000000
CLONE_NEWIPC = 0x8000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
CLONE_INTO_CGROUP = 0x200000000

OPTIONS = {
    CLONE_NEWNS: "--mount",
    CLONE_NEWCGROUP: "--cgroup",
    CLONE_NEWUTS: "--uts",
    CLONE_NEWIPC: "--ipc",
    CLONE_NEWUSER: "--user",
    CLONE_NEWPID: "--pid",
    CLONE_NEWNET: "--net",
    CLONE_NEWTIME: "--time",
}
"""Each namespace's option of the unshare(1) and nsenter(1) commands."""


def options(flags: int) -> str:
    """The options of unshare(1) and nsenter(1) for these CLONE_NEW* flags."""
    return " ".join(option for bit, option in OPTIONS.items() if flags & bit)


def unshare(flags: int) -> None:
    """unshare(2): give this process new namespaces. flags: CLONE_NEW*; a new pid namespace is for its children."""
    show = (Bits(flags, "CLONE_", globals()),)
    call("unshare", LIBC.unshare, flags, show=show, shell=lambda: f"unshare {options(flags)}")


def setns(fd: int, flags: int) -> None:
    """setns(2): enter the namespace of a /proc/<pid>/ns file (flags: 0 or its kind), or several of a pidfd's."""
    show = (fd, Bits(flags, "CLONE_", globals()))
    call("setns", LIBC.setns, fd, flags, show=show, shell=lambda: f"nsenter {options(flags)}".rstrip())


def namespace_id(pid: int | str, kind: str) -> int | None:
    """The inode number that names a process's namespace; None when the process is gone.

    pid: a number or "self"; kind: "mnt", "pid", "uts", "ipc", "net", "cgroup", "user" or "time". PermissionError
    when the process may not be looked into. Source: namespaces(7).
    """
    try:
        return os.stat(f"/proc/{pid}/ns/{kind}").st_ino
    except (FileNotFoundError, ProcessLookupError):
        return None


def set_host_name(name: str) -> None:
    """sethostname(2): name the host of this process's uts namespace, at most 64 bytes."""
    call("sethostname", LIBC.sethostname, name, len(os.fsencode(name)), shell=lambda: f"hostname {name}")
