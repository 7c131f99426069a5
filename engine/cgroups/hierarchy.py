"""Which cgroup trees this machine has mounted, and which a container is shown.

Three shapes: "v2" (one tree for every controller), "v1" (a tree a controller, or a few together), and "hybrid" (v1
trees, and a v2 tree beside them for what has no controller: CLONE_INTO_CGROUP, cgroup.kill). Sources: cgroups(7),
Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/.
"""

from __future__ import annotations

import os

from engine.cgroups.delegation import delegated
from engine.kernel.proc import mapped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

V1_CONTROLLERS = (
    "blkio",
    "cpu",
    "cpuacct",
    "cpuset",
    "devices",
    "freezer",
    "hugetlb",
    "memory",
    "misc",
    "net_cls",
    "net_prio",
    "perf_event",
    "pids",
    "rdma",
)
"""Controllers a v1 tree may have. Named trees without one (name=systemd) are the service manager's: left alone."""


class Hierarchy:
    """The mounted cgroup trees.

    shape: "v2", "hybrid", "v1" or "none". mounts: where each v1 controller's tree is mounted, by controller.
    unified: where the v2 tree is mounted, or "". An ordinary user's: the group in it that is his, or "": then there
    are no trees at all, and containers are in no group of their own.
    """

    __slots__ = ("mounts", "shape", "unified")

    def __init__(self, mounts: dict[str, str], unified: str) -> None:
        self.mounts = mounts
        self.unified = unified
        self.shape = ("hybrid" if unified else "v1") if mounts else "v2" if unified else "none"

    def trees(self) -> list[str]:
        """Every tree once: the v1 mount points in order of their controllers' names, then the v2 one."""
        trees = dict.fromkeys(self.mounts[name] for name in sorted(self.mounts))
        return [*trees, self.unified] if self.unified else [*trees]


class CgroupMount:
    """One mount of a container's /sys/fs/cgroup.

    fstype: "tmpfs", "cgroup" or "cgroup2". target: directory below /sys/fs/cgroup, "" for that itself. options: of the
    file system (a v1 tree's controllers). links: symlinks to make beside the target, each naming it.
    """

    __slots__ = ("fstype", "links", "options", "target")

    def __init__(self, fstype: str, target: str, options: Iterable[str] = (), links: Iterable[str] = ()) -> None:
        self.fstype = fstype
        self.target = target
        self.options = tuple(options)
        self.links = tuple(links)


def detect(mountinfo: str = "/proc/self/mountinfo", pid: int | str = "self") -> Hierarchy:
    """Find the cgroup trees among this process's mounts; OSError ENODEV when none is mounted.

    In a user namespace: what was delegated to the user above the process `pid`, often nothing (`delegation`).
    """
    with open(mountinfo, "rb") as file:
        hierarchy = parse(file)
    if mapped():
        return Hierarchy({}, delegated(hierarchy.unified, pid))
    if not hierarchy.trees():
        raise OSError(19, f"no cgroup file system is mounted here ({mountinfo}); mount one at /sys/fs/cgroup")
    return hierarchy


def parse(mountinfo: Iterable[bytes]) -> Hierarchy:
    """The trees in the lines of a mountinfo file (proc(5)); of several mounts of one tree the first counts."""
    mounts: dict[str, str] = {}
    unified = ""
    for line in mountinfo:
        place, dash, source = line.partition(b" - cgroup")
        if not dash:
            continue
        path = os.fsdecode(place.split()[4].replace(b"\\040", b" "))
        if source.startswith(b"2 "):
            unified = unified or path
        else:
            for name in source.split()[-1].decode().split(","):
                if name in V1_CONTROLLERS:
                    mounts.setdefault(name, path)
    return Hierarchy(mounts, unified)


def mount_plan(hierarchy: Hierarchy) -> list[CgroupMount]:
    """What a container finds at /sys/fs/cgroup, to be mounted in order, from inside its own cgroup namespace, and
    read-only (attributes ro nosuid nodev noexec): its own groups as the roots, and nothing above them.

    The tmpfs must stay writable until the targets and links in it are made.
    """
    if not hierarchy.trees():
        return []
    if hierarchy.shape == "v2":
        return [CgroupMount("cgroup2", "")]
    plan = [CgroupMount("tmpfs", "", ("mode=755",))]
    for tree in hierarchy.trees():
        if tree == hierarchy.unified:
            plan.append(CgroupMount("cgroup2", "unified"))
            continue
        names = sorted(name for name, path in hierarchy.mounts.items() if path == tree)
        target = ",".join(names)
        plan.append(CgroupMount("cgroup", target, names, [name for name in names if name != target]))
    return plan
