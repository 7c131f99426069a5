"""openat2 keeps to its rules, renameat2 never overwrites unasked, remove_tree removes any tree and only that."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import trace
from engine.kernel import paths, trees
from engine.kernel.syscalls import AT_FDCWD


@pytest.fixture
def here(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield fd
    os.close(fd)


def test_openat2_stays_beneath(here: int, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "up").symlink_to("../../../etc/passwd")
    with pytest.raises(OSError, match=r"openat2\(\d+<.*>, in/up, O_RDONLY, 0o0, RESOLVE_BENEATH\)") as caught:
        paths.openat2(here, "in/up", os.O_RDONLY, resolve=paths.RESOLVE_BENEATH)
    assert caught.value.errno == errno.EXDEV


def test_openat2_in_root_takes_absolute_links_for_links_in_the_root(here: int, tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "name").write_text("mine")
    (tmp_path / "link").symlink_to("/../../etc/name")
    fd = paths.openat2(here, "link", os.O_RDONLY, resolve=paths.RESOLVE_IN_ROOT)
    with os.fdopen(fd) as file:
        assert file.read() == "mine"


def test_openat2_refuses_symlinks_and_magic_links(here: int, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("target")
    with pytest.raises(OSError) as caught:
        paths.openat2(here, "link", os.O_RDONLY, resolve=paths.RESOLVE_NO_SYMLINKS)
    assert caught.value.errno == errno.ELOOP
    with pytest.raises(OSError) as caught:
        paths.openat2(AT_FDCWD, f"/proc/self/fd/{here}", os.O_RDONLY, resolve=paths.RESOLVE_NO_MAGICLINKS)
    assert caught.value.errno == errno.ELOOP


def test_openat2_descriptors_do_not_pass_an_exec_and_modes_are_given(here: int, tmp_path: Path) -> None:
    fd = paths.openat2(here, b"caf\xe9", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
    try:
        assert not os.get_inheritable(fd)
    finally:
        os.close(fd)
    assert os.stat(os.fsencode(tmp_path) + b"/caf\xe9").st_mode & 0o777 == 0o640


def test_renameat2_never_replaces_unless_told(here: int, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    with pytest.raises(FileExistsError, match="RENAME_NOREPLACE"):
        paths.renameat2(here, "a", here, "b", paths.RENAME_NOREPLACE)
    paths.renameat2(here, "a", here, "b", paths.RENAME_EXCHANGE)
    assert ((tmp_path / "a").read_text(), (tmp_path / "b").read_text()) == ("b", "a")
    paths.renameat2(here, "a", here, "b")
    assert os.listdir(tmp_path) == ["b"]


def test_syncfs_takes_any_open_file_and_refuses_a_closed_one(here: int) -> None:
    paths.syncfs(here)
    with pytest.raises(OSError) as caught:
        paths.syncfs(999)
    assert caught.value.errno == errno.EBADF


def test_the_type_of_a_file_system_is_asked_of_the_kernel(here: int) -> None:
    proc = os.open("/proc", os.O_PATH)
    try:
        assert paths.filesystem_type(proc) == paths.PROC_SUPER_MAGIC
        assert paths.filesystem_type(here) != paths.PROC_SUPER_MAGIC
    finally:
        os.close(proc)


def test_remove_tree_takes_files_links_fifos_and_whole_trees_and_follows_nothing(here: int, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").write_text("stays")
    tree = tmp_path / "tree"
    (tree / "a" / "b").mkdir(parents=True)
    (tree / "a" / "b" / "link").symlink_to(kept)
    (tree / "loop").symlink_to(".")
    os.mkfifo(tree / "a" / "fifo")
    os.mkdir(os.fsencode(tree) + b"/\xff\xfe\n dir")
    (Path(os.fsdecode(os.fsencode(tree) + b"/\xff\xfe\n dir")) / "x").touch()
    (tmp_path / "alone").symlink_to(kept)
    for name in ("tree", "alone", b"missing"):
        trees.remove_tree(here, name)
    assert os.listdir(tmp_path) == ["kept"]
    assert (kept / "file").read_text() == "stays"


def test_remove_tree_goes_deeper_than_any_path_or_stack(here: int, tmp_path: Path) -> None:
    try:
        deep(here, 3_000)
        before = len(os.listdir("/proc/self/fd"))
        trees.remove_tree(here, "d")
        assert os.listdir(tmp_path) == []
        assert len(os.listdir("/proc/self/fd")) == before
    finally:
        subprocess.run(["rm", "-rf", tmp_path / "d"], check=True)  # pytest's own cleaning would recurse too deep


def test_a_directory_moved_away_meanwhile_does_not_lead_out_of_the_tree(here: int, tmp_path: Path) -> None:
    """`..` of the moved directory is now another one, which has something of the same name."""
    (tmp_path / "tree" / "a" / "b").mkdir(parents=True)
    (tmp_path / "other" / "a").mkdir(parents=True)
    (tmp_path / "other" / "a" / "empty").mkdir()
    real, seen = os.scandir, []

    def scan(fd: int) -> object:
        seen.append(os.readlink(f"/proc/self/fd/{fd}"))
        if seen[-1].endswith("/tree/a/b"):
            os.rename(seen[-1], tmp_path / "other" / "b")
        return real(fd)

    with mock.patch.object(os, "scandir", scan), pytest.raises(OSError, match="moved elsewhere") as caught:
        trees.remove_tree(here, "tree")
    assert caught.value.errno == errno.ESTALE
    assert sorted(os.listdir(tmp_path / "other")) == ["a", "b"]


def deep(parent: int, levels: int) -> None:
    """Directories in directories, with a file in each."""
    fd = os.dup(parent)
    for _ in range(levels):
        os.mkdir("d", dir_fd=fd)
        below = os.open("d", os.O_PATH, dir_fd=fd)
        os.close(fd)
        fd = below
        os.close(os.open("f", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
    os.close(fd)


TREES = st.recursive(
    st.just(None) | st.just("link"),
    lambda inside: st.dictionaries(
        st.binary(min_size=1, max_size=12).filter(lambda name: not {0, 47} & set(name) and name not in (b".", b"..")),
        inside,
        max_size=5,
    ),
    max_leaves=25,
)


@settings(max_examples=40, deadline=None)
@given(tree=TREES)
def test_remove_tree_removes_any_tree(tree: object, tmp_path_factory: pytest.TempPathFactory) -> None:
    base = tmp_path_factory.mktemp("any")
    grow(os.fsencode(base) + b"/tree", tree)
    fd = os.open(base, os.O_PATH)  # searching is all it needs
    trees.remove_tree(fd, "tree")
    os.close(fd)
    assert os.listdir(base) == []


def grow(path: bytes, tree: object) -> None:
    """A file (None), a symlink to / ("link"), or a directory of such."""
    if isinstance(tree, dict):
        os.mkdir(path)
        for name, below in tree.items():
            grow(path + b"/" + name, below)
    elif tree == "link":
        os.symlink("/", path)
    else:
        open(path, "x").close()


def test_remove_tree_is_one_step_of_the_trace(here: int, tmp_path: Path) -> None:
    (tmp_path / "it's").mkdir()
    trace.begin()
    trees.remove_tree(here, "it's")
    steps = [step for step in trace.end() if step.call == "remove_tree"]
    assert [step.shell for step in steps] == [f"rm -rf --one-file-system '{tmp_path}/it'\"'\"'s'"]


def test_what_becomes_a_directory_meanwhile_is_entered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tree" / "late").mkdir(parents=True)
    (tmp_path / "tree" / "late" / "file").touch()
    real = trees._Removal._open
    early = ["late"]

    def before(removal: trees._Removal, name: str) -> int:
        """As if `late` were still a file when it is looked at first."""
        if name in early:
            early.remove(name)
            raise NotADirectoryError(errno.ENOTDIR, "not yet")
        return real(removal, name)

    monkeypatch.setattr(trees._Removal, "_open", before)
    parent = os.open(tmp_path, os.O_PATH)
    try:
        trees.remove_tree(parent, "tree")
    finally:
        os.close(parent)
    assert not early and not os.listdir(tmp_path)
