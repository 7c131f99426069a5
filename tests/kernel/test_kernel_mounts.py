"""Real mounts: by mount(2), by descriptors, moved and changed; and the trace's shell script makes the same tree."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

import pytest

from engine import trace
from engine.kernel import mounts, overlays
from engine.kernel.mounts import AT_EMPTY_PATH, AT_FDCWD
from tests.support.isolated import isolated
from tests.support.needs import needs, needs_root

needs_root()


def mounted(path: Path) -> list[str]:
    """What is mounted at a place, lowest first: attributes and file system type."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    found = [line.split(" - ") for line in lines if line.split()[4] == str(path)]
    return [f"{place.split()[5]} {rest.split()[0]}" for place, rest in found]


def test_mount_and_umount_do_what_they_say_and_only_here(tmp_path: Path) -> None:
    def act() -> tuple[list[str], list[str]]:
        mounts.mount("tmpfs", str(tmp_path), "tmpfs", mounts.MS_NOSUID | mounts.MS_NODEV, "mode=711")
        assert tmp_path.stat().st_mode & 0o777 == 0o711
        here = mounted(tmp_path)
        mounts.umount(str(tmp_path), mounts.MNT_DETACH)
        return here, mounted(tmp_path)

    assert isolated(act) == (["rw,nosuid,nodev,relatime tmpfs"], [])
    assert mounted(tmp_path) == []


def test_a_refused_mount_says_the_call(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"mount\(x, .*, nosuchfs, MS_RDONLY\|MS_NOSUID, ''\): No such device$"):
        mounts.mount("x", str(tmp_path), "nosuchfs", mounts.MS_RDONLY | mounts.MS_NOSUID)


def test_a_refused_option_comes_with_the_kernels_own_words() -> None:
    fd = mounts.fsopen("tmpfs")
    try:
        with pytest.raises(OSError, match=r"\(\d+, FSCONFIG_SET_STRING, sise, 1m\).*\[.*nknown parameter 'sise'\]$"):
            mounts.fsconfig_string(fd, "sise", "1m")
    finally:
        os.close(fd)


def test_a_mount_by_descriptors_is_nowhere_until_it_is_moved(tmp_path: Path) -> None:
    def act() -> list[str]:
        context = mounts.fsopen("tmpfs")
        mounts.fsconfig_string(context, "size", "1m")
        mounts.fsconfig_create(context)
        fd = mounts.fsmount(context, mounts.MOUNT_ATTR_NOEXEC | mounts.MOUNT_ATTR_NODEV)
        os.close(context)
        os.mkdir("inside", dir_fd=fd)
        assert mounted(tmp_path) == []
        mounts.move_mount(fd, "", AT_FDCWD, str(tmp_path))
        assert not os.get_inheritable(fd)
        assert os.listdir(tmp_path) == ["inside"]
        return mounted(tmp_path)

    assert isolated(act) == ["rw,nodev,noexec,relatime tmpfs"]


def test_a_cloned_tree_made_read_only_leaves_the_original_writable(tmp_path: Path) -> None:
    (tmp_path / "source" / "below").mkdir(parents=True)
    (tmp_path / "target").mkdir()

    def act() -> int:
        mounts.mount("tmpfs", str(tmp_path / "source" / "below"), "tmpfs")
        fd = mounts.open_tree(AT_FDCWD, str(tmp_path / "source"), mounts.OPEN_TREE_CLONE | mounts.AT_RECURSIVE)
        mounts.mount_setattr(fd, "", AT_EMPTY_PATH | mounts.AT_RECURSIVE, set=mounts.MOUNT_ATTR_RDONLY)
        place = os.open(tmp_path / "target", os.O_PATH)
        flags = mounts.MOVE_MOUNT_F_EMPTY_PATH | mounts.MOVE_MOUNT_T_EMPTY_PATH
        mounts.move_mount(fd, "", place, "", flags)
        (tmp_path / "source" / "below" / "file").touch()
        with pytest.raises(OSError) as caught:
            (tmp_path / "target" / "below" / "other").touch()
        assert (tmp_path / "target" / "below" / "file").exists()
        return caught.value.errno or 0

    assert isolated(act) == errno.EROFS


def test_pivot_root_makes_another_directory_the_root(tmp_path: Path) -> None:
    (tmp_path / "marker").touch()

    def act() -> list[str]:
        mounts.mount(str(tmp_path), str(tmp_path), "", mounts.MS_BIND)
        os.chdir(tmp_path)
        mounts.pivot_root(".", ".")
        mounts.umount(".", mounts.MNT_DETACH)
        return os.listdir("/")

    assert isolated(act) == ["marker"]


def test_the_traces_shell_script_mounts_the_same_tree(tmp_path: Path) -> None:
    """What Under the hood prints is true: run by a shell, it gives the same mounts and the same files."""
    needs("unshare", "mount", "sh")
    for name in ("low", "top:colon", "up", "work", "merged", "bound", "t m p"):
        (tmp_path / name).mkdir()
    (tmp_path / "low" / "a").write_text("low")
    (tmp_path / "top:colon" / "b").write_text("top")

    def act() -> tuple[list[str], tuple[list[str], dict[str, str]]]:
        trace.begin()
        layers = [str(tmp_path / "top:colon"), str(tmp_path / "low")]
        upper, work = str(tmp_path / "up"), str(tmp_path / "work")
        fd = overlays.overlay(layers, upper, work, ["index=off"], mounts.MOUNT_ATTR_NODEV)
        mounts.move_mount(fd, "", AT_FDCWD, str(tmp_path / "merged"))
        os.close(fd)
        fd = mounts.open_tree(AT_FDCWD, str(tmp_path / "low"), mounts.OPEN_TREE_CLONE)
        mounts.mount_setattr(fd, "", AT_EMPTY_PATH, set=mounts.MOUNT_ATTR_RDONLY | mounts.MOUNT_ATTR_NOEXEC)
        mounts.move_mount(fd, "", AT_FDCWD, str(tmp_path / "bound"))
        os.close(fd)
        mounts.mount("scratch", str(tmp_path / "t m p"), "tmpfs", mounts.MS_NOSUID, "mode=700")
        script = [step.shell for step in trace.end() if step.shell]
        return script, seen()

    def seen() -> tuple[list[str], dict[str, str]]:
        """Each mount's place, attributes and type as mountinfo tells them; and every file of the overlay."""
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
        table = [line.split() for line in lines if f" {tmp_path}/" in line]
        attributes = [f"{row[4]} {sorted(row[5].split(','))} {row[row.index('-') + 1]}" for row in table]
        return attributes, {path.name: path.read_text() for path in (tmp_path / "merged").iterdir()}

    def replay() -> tuple[list[str], dict[str, str]]:
        subprocess.run(["sh", "-ec", "\n".join(script)], check=True)
        return seen()

    script, ours = isolated(act)
    assert len(script) == 3
    assert len(ours[0]) == 3
    assert ours[1] == {"a": "low", "b": "top"}
    assert isolated(replay) == ours


def test_a_mount_descriptor_that_is_dropped_leaves_nothing_behind() -> None:
    def act() -> tuple[str, str]:
        before = Path("/proc/self/mountinfo").read_text()
        context = mounts.fsopen("tmpfs")
        mounts.fsconfig_create(context)
        os.close(mounts.fsmount(context))
        os.close(context)
        return before, Path("/proc/self/mountinfo").read_text()

    before, after = isolated(act)
    assert before == after
