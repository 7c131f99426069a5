"""One group in one cgroup tree: made with what processes need to enter it, and removed.

Light: the monitor and init load this. Sources: cgroups(7), Documentation/admin-guide/cgroup-v1/cpusets.rst.
"""

from __future__ import annotations

import errno
import os
import time

import engine.cgroups.files as files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.cgroups.hierarchy import Hierarchy

V2_CONTROLLERS = ("cpu", "cpuset", "io", "memory", "pids")
"""What a container's v2 group should have; those the machine does not grant are left out."""


def make(hierarchy: Hierarchy, tree: str, parent: str, name: str) -> None:
    """Make the group `parent/name` in one tree, new and empty; a leftover of that name is replaced.

    Others may be removing the parent, or making groups in it, at the same moment.
    OSError EBUSY when processes are in the leftover.
    """
    above, path = f"{tree}/{parent}", f"{tree}/{parent}/{name}"
    cpuset = tree == hierarchy.mounts.get("cpuset")
    for tries_left in range(99, -1, -1):
        try:
            files.make(above)
            if tree == hierarchy.unified:
                _enable(tree)
                _enable(above)
            if cpuset:
                _inherit_cpus(tree, above)
            if not files.make(path):
                remove(path, time.monotonic())
                files.make(path)
            if cpuset:
                _inherit_cpus(above, path)
            return
        except OSError as error:
            # The parent was removed (ENOENT, ENODEV), or made anew and has no cpus yet (EACCES), since we looked.
            if error.errno not in (errno.ENOENT, errno.ENODEV, errno.EACCES) or not tries_left:
                raise


def _enable(directory: str) -> None:
    """Let the groups inside a v2 group have the controllers that it has itself, as far as the kernel allows."""
    granted = files.read(directory + "/cgroup.controllers").split()
    enabled = files.read(directory + "/cgroup.subtree_control").split()
    for controller in V2_CONTROLLERS:
        if controller in granted and controller not in enabled:
            try:
                files.write(directory + "/cgroup.subtree_control", "+" + controller)
            except OSError as error:
                # EBUSY: it has processes of its own. EINVAL: real-time ones, under cpu. The others: it is not ours.
                if error.errno not in (errno.EBUSY, errno.EACCES, errno.EPERM, errno.EINVAL, errno.EOPNOTSUPP):
                    raise


def _inherit_cpus(above: str, directory: str) -> None:
    """Give a v1 cpuset the cpus and memory nodes of its parent; without them nothing may enter it (cpusets.rst)."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        if not files.read(f"{directory}/{name}").strip():
            files.write(f"{directory}/{name}", files.read(f"{above}/{name}").strip())


def remove(directory: str, deadline: float) -> None:
    """Remove a group's directory and those inside it; gone is fine.

    deadline: `time.monotonic()` until which processes may still be ending; then OSError EBUSY with their numbers.
    """
    pause = 0.0005
    while True:
        try:
            for path in (*files.below(directory), directory):
                files.remove(path)
            return
        except OSError as error:
            if error.errno == errno.ENOENT:
                if not os.path.exists(directory):
                    return
            elif error.errno != errno.EBUSY:
                raise
            elif time.monotonic() >= deadline:
                pids = files.read(directory + "/cgroup.procs").split()
                raise OSError(errno.EBUSY, f"cgroup {directory} is in use by {', '.join(pids) or 'groups inside it'}")
        time.sleep(pause)
        pause = min(pause * 2, 0.02)
