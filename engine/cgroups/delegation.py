"""The part of the v2 tree that is an ordinary user's: what a service manager delegated to him.

A user may make groups where he may write, and move a process from one group to another when he may write `cgroup.procs`
of the nearest group that holds both. So what a process can use is the highest group above it that is writable, all the
way from its own. systemd delegates `user@<uid>.service` and units with Delegate=yes, but no login session's scope.
Source: Documentation/admin-guide/cgroup-v2.rst ("Delegation"). Light: the launcher loads this.
"""

from __future__ import annotations

import os


def delegated(unified: str, pid: int | str = "self") -> str:
    """The highest group that a process's user may use for it, as a path below the v2 tree at `unified`; "" for none."""
    if not unified:
        return ""
    group = _group(pid)
    if group.startswith("/.."):  # outside of what can be seen here (cgroup_namespaces(7))
        return ""
    found, directory = "", (unified + group).rstrip("/")
    while group and directory.startswith(unified + "/") and _writable(directory):
        found, directory = directory, directory.rpartition("/")[0]
    return found


def _group(pid: int | str) -> str:
    """The v2 group of a process; "" when it is gone."""
    try:
        with open(f"/proc/{pid}/cgroup", "rb") as lines:
            for line in lines:
                if line.startswith(b"0::/"):
                    return os.fsdecode(line[3:].rstrip(b"\n")).removesuffix(" (deleted)")
    except (FileNotFoundError, ProcessLookupError):
        pass
    return ""


def _writable(directory: str) -> bool:
    return os.access(directory, os.W_OK) and os.access(directory + "/cgroup.procs", os.W_OK)
