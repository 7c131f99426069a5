"""`save -o` and `export -o` onto a disk that fills up: an error that names the file, nothing left, an old file kept."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.archive.layout_out import write_layout
from engine.store.root import Store
from tests.support.command import Strata
from tests.support.needs import needs, needs_root
from tests.support.rootfs import tiny_image

needs_root()
needs("mkfs.ext4", "mount")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """One mebibyte: less than any image that runs."""
    image, mount = tmp_path / "image", tmp_path / "mount"
    mount.mkdir()
    with open(image, "wb") as out:
        out.truncate(1 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", "-O", "^has_journal", str(image)], check=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(mount)], check=True)
    try:
        yield mount
    finally:
        subprocess.run(["umount", str(mount)], check=True)


@pytest.fixture
def strata() -> Iterator[Strata]:
    with Strata() as command:
        tiny_image(Store(command.root))
        command("create", "--name", "box", "tiny", "true")
        yield command


@pytest.mark.parametrize(("verb", "what"), [("save", "tiny"), ("export", "box")])
def test_nothing_is_left_and_an_old_file_is_kept(strata: Strata, disk: Path, verb: str, what: str) -> None:
    target = disk / "out.tar"
    for old in (False, True):
        if old:
            target.write_bytes(b"old")
        before = sorted(os.listdir(disk)), free(disk)
        done = strata.run(verb, "-o", str(target), what)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == f"Error: {target}: No space left on device\n"
        assert (sorted(os.listdir(disk)), free(disk)) == before
    assert target.read_bytes() == b"old"


def test_a_layout_that_finds_no_room_keeps_its_index(strata: Strata, disk: Path) -> None:
    store = Store(strata.root)
    with pytest.raises(OSError, match="No space left"):
        write_layout(store, store.images.resolve("tiny"), str(disk / "layout"), "tag")
    assert not (disk / "layout/index.json").exists()
    assert not [name for name in os.listdir(disk / "layout/blobs/sha256") if name.endswith(".new")]


def free(disk: Path) -> int:
    os.sync()
    return os.statvfs(disk).f_bfree
