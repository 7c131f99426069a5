"""remove_tree beside real mounts, and as somebody who is not root."""

from __future__ import annotations

import errno
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.kernel import mounts, paths, proc, processes, trees
from tests.support.isolated import isolated
from tests.support.needs import needs_root

needs_root()


def remove(base: Path, name: str) -> str:
    """Remove a tree; the error it ended with, or ""."""
    fd = os.open(base, os.O_PATH)
    try:
        trees.remove_tree(fd, name)
    except OSError as error:
        return f"{errno.errorcode[error.errno or 0]} {error.strerror}"
    finally:
        os.close(fd)
    return ""


def test_a_mount_in_the_tree_is_named_and_nothing_in_it_is_touched(tmp_path: Path) -> None:
    (tmp_path / "tree" / "a b" / "mnt").mkdir(parents=True)

    def act() -> tuple[str, list[str]]:
        mounts.mount("scratch", str(tmp_path / "tree" / "a b" / "mnt"), "tmpfs")
        (tmp_path / "tree" / "a b" / "mnt" / "precious").touch()
        return remove(tmp_path, "tree"), os.listdir(tmp_path / "tree" / "a b" / "mnt")

    said = "EBUSY remove_tree(tree/a b/mnt): tmpfs (scratch) is mounted there; unmount it first"
    assert isolated(act) == (said, ["precious"])


def test_a_bind_mount_of_the_same_file_system_is_no_way_out_either(tmp_path: Path) -> None:
    """Its st_dev is the tree's own: only the kernel's RESOLVE_NO_XDEV tells it."""
    (tmp_path / "host").mkdir()
    (tmp_path / "host" / "precious").touch()
    (tmp_path / "tree" / "mnt").mkdir(parents=True)

    def act() -> str:
        mounts.mount(str(tmp_path / "host"), str(tmp_path / "tree" / "mnt"), "", mounts.MS_BIND)
        return remove(tmp_path, "tree")

    assert "is mounted there" in isolated(act)
    assert os.listdir(tmp_path / "host") == ["precious"]
    assert remove(tmp_path, "tree") == ""  # here it is a directory like any other
    assert not (tmp_path / "tree").exists()


def test_a_file_mounted_over_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "hosts").touch()
    (tmp_path / "precious").write_text("stays")

    def act() -> str:
        mounts.mount(str(tmp_path / "precious"), str(tmp_path / "tree" / "hosts"), "", mounts.MS_BIND)
        return remove(tmp_path, "tree")

    assert isolated(act).startswith("EBUSY remove_tree(tree/hosts): ")
    assert (tmp_path / "precious").read_text() == "stays"


@pytest.fixture
def anyones() -> Iterator[Path]:
    """A directory that everybody can reach and write to."""
    with tempfile.TemporaryDirectory() as path:
        os.chmod(path, 0o777)
        yield Path(path)


def become_nobody() -> None:
    os.setgroups([])
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)


@pytest.mark.parametrize("mode", [0o000, 0o300, 0o500, 0o600])
def test_directories_without_rights_for_their_owner_go_too(anyones: Path, mode: int) -> None:
    def act() -> str:
        become_nobody()
        inner = anyones / "tree" / "closed" / "inner"
        inner.mkdir(parents=True)
        (inner / "file").touch()
        (inner.parent / "file").touch()
        inner.chmod(mode)
        inner.parent.chmod(mode)
        return remove(anyones, "tree")

    assert isolated(act, 0) == ""
    assert os.listdir(anyones) == []


def test_what_cannot_be_removed_is_named(anyones: Path) -> None:
    (anyones / "tree" / "in").mkdir(parents=True)
    (anyones / "tree" / "in" / "roots").touch()

    def act() -> str:
        become_nobody()
        return remove(anyones, "tree")

    assert isolated(act, 0).startswith("EACCES remove_tree(tree/in/roots): ")
    assert (anyones / "tree" / "in" / "roots").exists()


def test_a_symlink_swapped_in_is_removed_and_not_followed(tmp_path: Path) -> None:
    """Somebody turns a directory of the tree into a symlink to a precious one, again and again, while it is removed."""
    host = tmp_path / "host"
    host.mkdir()
    for number in range(50):
        (host / f"precious{number}").touch()
    tree = tmp_path / "tree"
    for _ in range(30):
        (tree / "a").mkdir(parents=True)
        (tree / "b").symlink_to(host)
        for number in range(50):
            (tree / "a" / f"f{number}").touch()
        fd = os.open(tree, os.O_PATH)
        swapper = os.fork()
        if swapper == 0:
            processes.set_parent_death_signal(proc.SIGKILL)  # the test runner may be killed
            try:
                while True:
                    paths.renameat2(fd, "a", fd, "b", paths.RENAME_EXCHANGE)
            except OSError:
                os._exit(0)  # one of the two is gone
        try:
            assert remove(tmp_path, "tree") == ""
        finally:
            os.kill(swapper, signal.SIGKILL)
            os.waitpid(swapper, 0)
            os.close(fd)
        assert len(os.listdir(host)) == 50
