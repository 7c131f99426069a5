"""What a container finds at /sys/fs/cgroup: its own groups as the roots of every tree, read-only, and nothing above."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from engine.cgroups import Group, mount_plan
from engine.kernel import mounts, namespaces
from engine.kernel.mounts import AT_EMPTY_PATH, AT_FDCWD
from tests.kernel.test_cgroups_groups import group, shape
from tests.support.isolated import isolated
from tests.support.needs import needs_root

needs_root()

__all__ = ["group", "shape"]

SAFE = mounts.MOUNT_ATTR_RDONLY | mounts.MOUNT_ATTR_NOSUID | mounts.MOUNT_ATTR_NODEV | mounts.MOUNT_ATTR_NOEXEC


def show(group: Group, place: Path) -> None:
    """Mount the plan below a place."""
    for mount in mount_plan(group.hierarchy):
        context = mounts.fsopen(mount.fstype)
        for option in mount.options:
            key, equals, value = option.partition("=")
            if equals:
                mounts.fsconfig_string(context, key, value)
            else:
                mounts.fsconfig_flag(context, key)
        mounts.fsconfig_create(context)
        fd = mounts.fsmount(context)
        (place / mount.target).mkdir(exist_ok=True)
        mounts.move_mount(fd, "", AT_FDCWD, str(place / mount.target))
        for link in mount.links:
            (place / link).symlink_to(mount.target)
        os.close(fd)
        os.close(context)
    tree = os.open(place, os.O_PATH)
    mounts.mount_setattr(tree, "", AT_EMPTY_PATH | mounts.AT_RECURSIVE, set=SAFE)
    os.close(tree)


def test_a_container_sees_its_own_groups_as_the_roots(group: Group, tmp_path: Path) -> None:
    def act() -> dict[str, list[str]]:
        group.join()
        namespaces.unshare(namespaces.CLONE_NEWCGROUP)
        show(group, tmp_path)
        with pytest.raises(OSError) as caught:
            (tmp_path / "new").mkdir()
        assert caught.value.errno == errno.EROFS
        trees = [tmp_path / mount.target for mount in mount_plan(group.hierarchy) if mount.fstype != "tmpfs"]
        own = str(os.getpid())
        return {str(tree): [pid for pid in (tree / "cgroup.procs").read_text().split() if pid != own] for tree in trees}

    seen = isolated(act)
    assert len(seen) == len(group.directories)
    assert set(map(tuple, seen.values())) == {()}  # no process but its own
