"""A group opens only the devices it is allowed, by the v1 controller and by a BPF program on v2 alike."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.cgroups import Group
from engine.cgroups.devices import DEFAULT_DEVICES, limit_devices
from engine.kernel import processes
from tests.kernel.test_cgroups_groups import group, shape
from tests.support.needs import needs_root

needs_root()

__all__ = ["group", "shape"]


def inside(group: Group, act: Callable[[], object]) -> int:
    """0, or the errno that `act` fails with in a process of the group."""
    door = group.clone_fd()
    _, pidfd = processes.clone3(0, door)
    if pidfd == -1:
        try:
            group.join(born=bool(group.v2))
            act()
            os._exit(0)
        except OSError as error:
            os._exit(error.errno or 255)
        finally:
            os._exit(255)
    status = processes.wait(pidfd)
    for fd in (pidfd, *([door] if door >= 0 else [])):
        os.close(fd)
    assert status is not None
    return status


def node(path: Path, kind: int, major: int, minor: int) -> Path:
    os.mknod(path, kind | 0o600, os.makedev(major, minor))
    return path


def test_the_hosts_disk_may_be_made_but_not_opened(group: Group, tmp_path: Path) -> None:
    disk = os.stat("/").st_dev
    number = os.major(disk), os.minor(disk)
    assert limit_devices(group)
    assert inside(group, lambda: node(tmp_path / "disk", stat.S_IFBLK, *number)) == 0
    assert inside(group, lambda: os.open(tmp_path / "disk", os.O_RDONLY)) == errno.EPERM
    assert inside(group, lambda: os.open("/dev/kmsg", os.O_RDONLY)) == errno.EPERM
    os.close(os.open("/dev/kmsg", os.O_RDONLY))  # only the group is bound


def test_what_every_program_needs_is_allowed(group: Group, tmp_path: Path) -> None:
    assert limit_devices(group, DEFAULT_DEVICES)
    for name in ("null", "zero", "full", "random", "urandom"):
        assert inside(group, lambda name=name: os.open(f"/dev/{name}", os.O_RDWR)) == 0  # type: ignore[misc]
    assert inside(group, os.openpty) == 0
    assert inside(group, lambda: node(tmp_path / "whiteout", stat.S_IFCHR, 0, 0)) == 0


@pytest.mark.parametrize(
    ("rules", "read", "write", "make"),
    [
        ([], False, False, False),
        (["c 1:3 r"], True, False, False),
        (["c 1:3 w"], False, True, False),
        (["c 1:* rm"], True, False, True),
        (["c *:3 rwm"], True, True, True),
        (["b 1:3 rwm", "c 1:4 rwm", "c 2:3 rwm"], False, False, False),
        (["b *:* rwm", "c 1:5 r", "c 1:3 wr"], True, True, False),
        (["c 1:5 r", "a"], True, True, True),
    ],
)
def test_a_rule_allows_what_it_says(
    group: Group, tmp_path: Path, rules: list[str], read: bool, write: bool, make: bool
) -> None:
    limit_devices(group, rules)
    null = node(tmp_path / "null", stat.S_IFCHR, 1, 3)
    for act, allowed in (
        (lambda: os.open(null, os.O_RDONLY), read),
        (lambda: os.open(null, os.O_WRONLY), write),
        (lambda: os.open(null, os.O_RDWR), read and write),
        (lambda: node(tmp_path / "made", stat.S_IFCHR, 1, 3), make),
    ):
        assert inside(group, act) == (0 if allowed else errno.EPERM)
