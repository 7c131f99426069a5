"""A container's root as its helper sees it: the overlay, and the container's own files of /etc, but no /proc, no /dev.

In a mount namespace of the helper's own, so that nobody else sees any of it and the kernel takes it down with the
helper, however that ends. Of a container that runs it is a clone of the root mount as it is in the container's mount
namespace: the same file system, so both see each other's changes. Of one that does not run it is a mount of its own,
made as a start makes it; the caller holds the container's lock, so that no start comes between.
"""

from __future__ import annotations

import os

from engine.copying.lookup import INSIDE, MISSING
from engine.kernel import mounts, namespaces, overlays, proc
from engine.kernel.paths import openat2
from engine.kernel.syscalls import AT_EMPTY_PATH, AT_FDCWD
from engine.runtime import materials

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_HELD = mounts.MOUNT_ATTR_NODEV | mounts.MOUNT_ATTR_NOSUID | mounts.MOUNT_ATTR_NOEXEC
_ONTO = mounts.MOVE_MOUNT_F_EMPTY_PATH | mounts.MOVE_MOUNT_T_EMPTY_PATH


def open_root(plan: dict[str, Any], pid: int, pidfd: int) -> int:
    """A descriptor of the container's root. plan: `Plan.wire`; pid, pidfd: of its first process, -1 if it does not run.

    Changes this process for good: its mount namespace, and for a container with a user namespace of its own, whose root
    it becomes, that and its ids; files then show, and get, the owners that they have inside.
    """
    namespaces.unshare(namespaces.CLONE_NEWNS)
    mounts.mount("none", "/", "", mounts.MS_REC | mounts.MS_PRIVATE)
    userns = _user_namespace(pid, pidfd) if pidfd >= 0 and plan["ids"] else -1
    if pidfd < 0:
        materials.skeleton(plan["skeleton_path"], plan["skeleton"])
        root = overlays.overlay(plan["lowers"], plan["upper"], plan["work"], plan["overlay"])
    else:
        root = _cloned(pidfd)
    mounts.mount_setattr(root, "", AT_EMPTY_PATH, set=_HELD)
    mounts.move_mount(root, "", AT_FDCWD, plan["rootfs"])
    for kind, target, _, _, source in plan["mounts"]:
        if kind == "bind":
            _bind(root, target, source, userns)
    if userns >= 0:
        namespaces.setns(userns, namespaces.CLONE_NEWUSER)
        os.setgroups([])
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)
    return root


def _cloned(pidfd: int) -> int:
    """A detached clone of the root mount of a process's mount namespace, without what is mounted on it.

    A mount can be cloned in its own mount namespace only. There "/" is the container's, so nothing else is looked up.
    """
    home = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    namespaces.setns(pidfd, namespaces.CLONE_NEWNS)
    try:
        return mounts.open_tree(AT_FDCWD, "/", mounts.OPEN_TREE_CLONE)
    finally:
        namespaces.setns(home, namespaces.CLONE_NEWNS)
        os.close(home)


def _user_namespace(pid: int, pidfd: int) -> int:
    """A descriptor of a process's user namespace. ProcessLookupError when it has ended."""
    userns = os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    proc.pidfd_send_signal(pidfd, 0)  # it lives, so the number was its own
    return userns


def _bind(root: int, target: str, source: str, userns: int) -> None:
    """A file of the engine's, as it is mounted in the container, if there is a place for it."""
    try:
        place = openat2(root, target, os.O_PATH, resolve=INSIDE)
    except OSError as error:
        if error.errno in MISSING:
            return
        raise
    try:
        made = materials.bind(source, (), userns)
        mounts.mount_setattr(made, "", AT_EMPTY_PATH, set=_HELD)
        mounts.move_mount(made, "", place, "", _ONTO)
        os.close(made)
    finally:
        os.close(place)
