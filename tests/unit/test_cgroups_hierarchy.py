"""The cgroup trees are found in mountinfo, whatever the shape; a container is shown its own and no more."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.cgroups import CgroupMount, Hierarchy, detect, mount_plan
from engine.cgroups.hierarchy import parse
from engine.cgroups.names import parent_name

V2 = b"""\
22 1 254:1 / / rw,relatime - ext4 /dev/vda1 rw
30 24 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate,favordynmods
31 24 0:27 / /tmp/cgroup rw - tmpfs cgroup rw
"""
V1 = b"""\
25 17 0:22 / /sys/fs/cgroup ro,nosuid,nodev,noexec shared:8 - tmpfs tmpfs ro,mode=755
26 25 0:23 / /sys/fs/cgroup/systemd rw,nosuid shared:9 - cgroup cgroup rw,xattr,release_agent=/x,name=systemd
28 25 0:25 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid,relatime shared:10 - cgroup cgroup rw,cpu,cpuacct
29 25 0:26 /docker/x /sys/fs/cgroup/memory rw,nosuid,relatime shared:11 - cgroup cgroup rw,memory,clone_children
30 25 0:27 / /sys/fs/cgroup/freezer rw - cgroup none rw,freezer
90 25 0:27 / /mnt/again rw - cgroup none rw,freezer
"""
HYBRID = V1 + b"33 25 0:30 / /sys/fs/cgroup/unified rw,nosuid - cgroup2 cgroup2 rw\n"
V1_MOUNTS = {
    "cpu": "/sys/fs/cgroup/cpu,cpuacct",
    "cpuacct": "/sys/fs/cgroup/cpu,cpuacct",
    "memory": "/sys/fs/cgroup/memory",
    "freezer": "/sys/fs/cgroup/freezer",
}


def plain(plan: list[CgroupMount]) -> list[tuple[str, str, tuple[str, ...], tuple[str, ...]]]:
    return [(mount.fstype, mount.target, mount.options, mount.links) for mount in plan]


@pytest.mark.parametrize(
    ("mountinfo", "shape", "mounts", "unified"),
    [
        (V2, "v2", {}, "/sys/fs/cgroup"),
        (V1, "v1", V1_MOUNTS, ""),
        (HYBRID, "hybrid", V1_MOUNTS, "/sys/fs/cgroup/unified"),
    ],
)
def test_each_shape_is_told_from_mountinfo(mountinfo: bytes, shape: str, mounts: dict[str, str], unified: str) -> None:
    found = parse(mountinfo.splitlines())
    assert (found.shape, found.mounts, found.unified) == (shape, mounts, unified)


def test_controllers_that_share_a_tree_are_one_tree() -> None:
    assert parse(HYBRID.splitlines()).trees() == [
        "/sys/fs/cgroup/cpu,cpuacct",
        "/sys/fs/cgroup/freezer",
        "/sys/fs/cgroup/memory",
        "/sys/fs/cgroup/unified",
    ]


def test_a_machine_without_cgroups_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "mountinfo").write_text("22 1 254:1 / / rw,relatime - ext4 /dev/vda1 rw\n")
    with pytest.raises(OSError, match="no cgroup file system is mounted"):
        detect(str(tmp_path / "mountinfo"))


def test_a_container_on_v2_is_shown_one_tree() -> None:
    assert plain(mount_plan(parse(V2.splitlines()))) == [("cgroup2", "", (), ())]


def test_a_container_on_v1_is_shown_each_controllers_tree_and_links_to_shared_ones() -> None:
    assert plain(mount_plan(parse(HYBRID.splitlines()))) == [
        ("tmpfs", "", ("mode=755",), ()),
        ("cgroup", "cpu,cpuacct", ("cpu", "cpuacct"), ("cpu", "cpuacct")),
        ("cgroup", "freezer", ("freezer",), ()),
        ("cgroup", "memory", ("memory",), ()),
        ("cgroup2", "unified", (), ()),
    ]


def test_this_machines_own_trees_are_where_it_says() -> None:
    found = detect()
    assert found.trees()
    for tree in found.trees():
        assert (Path(tree) / "cgroup.procs").exists()
    assert isinstance(found, Hierarchy)


def test_stores_have_groups_of_their_own(tmp_path: Path) -> None:
    assert parent_name("/var/lib/strata") == parent_name("/var/lib/../lib/strata/") == "strata"
    (tmp_path / "one").mkdir()
    (tmp_path / "same").symlink_to("one")
    one = parent_name(str(tmp_path / "one"))
    assert one.startswith("strata-") and len(one) == len("strata-") + 8
    assert parent_name(str(tmp_path / "same")) == one != parent_name(str(tmp_path / "two"))
