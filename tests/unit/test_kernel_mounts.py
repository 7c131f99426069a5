"""The one `mount` command that a step, or a file system context's many steps, stand for."""

from __future__ import annotations

import pytest

from engine.kernel import mounts
from engine.kernel.mounts import context_command, mount_command


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (("none", "/", "", mounts.MS_REC | mounts.MS_PRIVATE, ""), "mount --make-rprivate /"),
        (("proc", "/p", "proc", mounts.MS_NOSUID | mounts.MS_NODEV, ""), "mount -t proc -o nosuid,nodev proc /p"),
        (("tmpfs", "/d", "tmpfs", 0, "mode=755"), "mount -t tmpfs -o mode=755 tmpfs /d"),
        (("/a b", "/c", "", mounts.MS_BIND | mounts.MS_REC, ""), "mount --rbind '/a b' /c"),
        (
            ("none", "/c", "", mounts.MS_BIND | mounts.MS_REMOUNT | mounts.MS_RDONLY, ""),
            "mount -o remount,bind,ro none /c",
        ),
        (("/a", "/b", "", mounts.MS_MOVE, ""), "mount --move /a /b"),
    ],
)
def test_a_mount_call_has_its_command(arguments: tuple[str, str, str, int, str], command: str) -> None:
    assert mount_command(*arguments) == command


def test_layers_given_one_by_one_become_one_lowerdir_top_first() -> None:
    said = ["lowerdir+=/top", "lowerdir+=/with:colon,comma", "upperdir=/up", "workdir=/work", "source=overlay"]
    assert context_command("overlay", said, mounts.MOUNT_ATTR_NODEV) == (
        "mount -t overlay -o 'nodev,upperdir=/up,workdir=/work,lowerdir=/top:/with\\:colon\\,comma' overlay"
    )
