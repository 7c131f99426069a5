"""The store's root: its layout, its locks, and staging that dead writers leave behind and living ones keep."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from engine.errors import BrokenStore
from engine.store import files
from engine.store.locks import lock_directory
from engine.store.root import Store, remove_tree
from tests.support.children import alone, together


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "root"))


def test_opening_makes_a_private_layout_and_opening_again_changes_nothing(store: Store) -> None:
    assert stat.S_IMODE(os.stat(store.root).st_mode) == 0o700
    assert sorted(os.listdir(store.root)) == ["blobs", "containers", "layers", "locks", "tmp"]
    before = os.stat(store.root).st_mtime_ns
    assert Store(store.root).root == store.root
    assert os.stat(store.root).st_mtime_ns == before


def test_the_root_is_its_real_path(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert Store(str(tmp_path / "link")).root == str(tmp_path / "real")


def test_something_else_in_its_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "layers").write_text("not ours")
    with pytest.raises(BrokenStore, match="layers is not a directory"):
        Store(str(tmp_path))


def test_many_processes_may_open_a_new_store_at_once(tmp_path: Path) -> None:
    answers = together([lambda: sorted(os.listdir(Store(str(tmp_path / "root")).root))] * 6)
    assert answers == [["blobs", "containers", "layers", "locks", "tmp"]] * 6


def test_staging_vanishes_when_left_whatever_it_holds(store: Store) -> None:
    with store.tmp_dir() as staging:
        os.makedirs(staging.join("a", "b"))
        Path(staging.join("a", "b", "file")).write_text("x")
        os.symlink("/etc", staging.join("link"))
    with pytest.raises(IsADirectoryError), store.tmp_dir() as staging:
        Path(staging.path).write_text("an error inside the block")
    assert os.listdir(store.path("tmp")) == []
    assert os.path.isdir("/etc")


def test_a_cleaner_keeps_off_living_writers_and_removes_dead_ones(store: Store) -> None:
    def die() -> None:
        staging = store.tmp_dir()
        Path(staging.join("leftover")).write_text("x")
        os._exit(9)

    with pytest.raises(Exception, match="status 9"):
        alone(die)
    Path(store.path("tmp", "stray")).write_text("x")
    with store.tmp_dir() as mine:
        Path(mine.join("file")).write_text("x")
        assert len(os.listdir(store.path("tmp"))) == 3
        assert alone(store.clean_tmp) == 2
        assert os.listdir(store.path("tmp")) == [os.path.basename(mine.path)]
        assert os.listdir(mine.path) == ["file"]
    assert store.clean_tmp() == 0


def test_cleaners_and_writers_at_once_never_take_each_others_directories(store: Store) -> None:
    def write() -> int:
        for _ in range(150):
            with store.tmp_dir() as staging:
                Path(staging.join("file")).write_text("x")
                assert os.listdir(staging.path) == ["file"]
        return 0

    def clean() -> int:
        return sum(store.clean_tmp() for _ in range(300))

    answers = together([write, clean, write, clean])
    assert [answers[0], answers[2]] == [0, 0]
    assert all(isinstance(answer, int) for answer in answers)
    assert os.listdir(store.path("tmp")) == []


@pytest.mark.parametrize("name", ["images", "containers"])
def test_an_exclusive_lock_counts_right_between_processes(store: Store, name: str) -> None:
    path = store.path("count")
    files.write_new(path, b"0")

    def count() -> None:
        for _ in range(100):
            with store.lock(name):
                files.replace(path, b"%d" % (int(files.read(path)) + 1), sync=False)

    assert together([count] * 4) == [None] * 4
    assert files.read(path) == b"400"


def test_a_lock_dies_with_its_holder(store: Store) -> None:
    def take() -> None:
        store.lock("images")
        os._exit(9)

    with pytest.raises(Exception, match="status 9"):
        alone(take)
    with store.lock("images"):
        pass


def test_locking_a_directory_that_is_not_there_or_is_held_says_so(tmp_path: Path) -> None:
    assert lock_directory(str(tmp_path / "none")) is None
    (tmp_path / "file").write_text("")
    assert lock_directory(str(tmp_path / "file")) is None
    with lock_directory(str(tmp_path)) or pytest.fail("not locked"):
        assert lock_directory(str(tmp_path), wait=False) is None


def test_a_replaced_file_is_the_old_one_or_the_new_one_to_every_reader(store: Store) -> None:
    path = store.path("file")
    files.write_new(path, b"a" * 10_000)

    def write() -> None:
        for number in range(200):
            files.replace(path, (b"a" if number % 2 else b"b") * 10_000, sync=False)

    def read() -> set[bytes]:
        return {files.read(path) for _ in range(400)}

    assert together([write, read, read])[1] <= {b"a" * 10_000, b"b" * 10_000}


def test_a_failed_write_leaves_the_old_file(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    path = store.path("file")
    files.write_new(path, b"old")

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        files.replace(path, b"new")
    assert files.read(path) == b"old"


def test_remove_tree_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "keep").mkdir()
    (tmp_path / "keep" / "file").write_text("x")
    (tmp_path / "link").symlink_to("keep")
    remove_tree(str(tmp_path / "link"))
    remove_tree(str(tmp_path / "link"))
    assert (tmp_path / "keep" / "file").exists()


def test_swapping_keeps_the_old_bytes_as_room_for_the_next_change(store: Store) -> None:
    path = store.path("file")
    for data in (b"a" * 9000, b"b" * 100, b"c" * 5000):
        files.swap(path, data)
        assert files.read(path) == data
        assert os.stat(path + ".spare").st_blocks * 512 >= len(data)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600


def test_trash_is_out_of_its_place_at_once_and_gone_at_the_end(store: Store) -> None:
    os.makedirs(store.path("layers", "x", "diff"))
    Path(store.path("layers", "y")).write_text("y")
    with store.trash() as trash:
        trash.take(store.path("layers", "x"))
        trash.take(store.path("layers", "y"))
        assert os.listdir(store.path("layers")) == []
        assert len(os.listdir(store.path("tmp"))) == 2
        with pytest.raises(FileNotFoundError):
            trash.take(store.path("layers", "x"))
        assert alone(store.clean_tmp) == 2  # a cleaner may be first
    assert os.listdir(store.path("tmp")) == []
