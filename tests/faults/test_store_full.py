"""A full disk at every stage of every change: an error that says so, the store whole, nothing left in tmp/.

The store lies on a small ext4 of its own, with a filler file that leaves a little more room each time.
"""

from __future__ import annotations

import errno
import io
import os
import subprocess
from collections.abc import Iterator
from io import FileIO
from pathlib import Path

import pytest

from engine.archive.assemble import add_image, layer_from_archive, layers_of, pack_layer
from engine.archive.load import load
from engine.store.containers import ContainerConfig, new_id
from engine.store.root import Store
from tests.faults.test_store_crash import check
from tests.support.archives import File, ImageSpec, docker_archive
from tests.support.needs import needs, needs_root

needs_root()
needs("mkfs.ext4", "mount")

BASE = ImageSpec([[File("base", b"b" * 5000)]], ["base"])
SPEC = ImageSpec([*BASE.layers, [File("a", b"a" * 100_000), File("b", b"b" * 50_000)], [File("c", b"c")]], ["demo"])
BLOCK = 4096


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    image, mount = tmp_path / "image", tmp_path / "mount"
    mount.mkdir()
    with open(image, "wb") as out:
        out.truncate(16 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", "-b", str(BLOCK), "-O", "^has_journal", str(image)], check=True)
    try:
        subprocess.run(["mount", "-o", "loop", str(image), str(mount)], check=True)
        found = Store(str(mount / "root"))
        load(found, io.BytesIO(docker_archive(BASE)))
        yield found
    finally:
        subprocess.run(["umount", str(mount)], check=True)


def leave(store: Store, blocks: int) -> None:
    """Fill the disk until `blocks` blocks of 4 KiB are free."""
    filler = os.path.join(os.path.dirname(store.root), "filler")
    if os.path.exists(filler):
        os.unlink(filler)
    os.sync()
    with open(filler, "wb", buffering=0) as out:
        size = -1
        while size < (size := out.seek(0, os.SEEK_END)):
            fill(out)
            os.fsync(out.fileno())  # blocks that were only set aside for what is in memory are free after all
        out.truncate(max(size - blocks * BLOCK, 0))
    os.sync()


def fill(out: FileIO) -> None:
    """Write until the disk takes no more."""
    try:
        while True:
            out.write(bytes(BLOCK))
    except OSError as full:
        if full.errno != errno.ENOSPC:
            raise


def make_directories(where: str) -> None:
    for number in range(1000):
        os.mkdir(os.path.join(where, f"ballast{number}"))


def until_it_works(store: Store, work: object, step: int) -> int:
    """Do the work with more and more room; every failure is ENOSPC and leaves the store whole. Returns failures."""
    assert callable(work)
    failures = 0
    before = (store.images.read(), store.layers.ids(), store.containers.ids(), sorted(store.blobs.all()))
    for blocks in range(0, 400, step):
        leave(store, blocks)
        try:
            work()
        except OSError as error:
            failures += 1
            found = error.errno
        else:
            return failures
        assert found == errno.ENOSPC
        assert os.listdir(store.path("tmp")) == []
        check(store.root)
        assert before == (store.images.read(), store.layers.ids(), store.containers.ids(), sorted(store.blobs.all()))
    pytest.fail("it never worked, with all this room")


def test_load_on_a_full_disk(store: Store) -> None:
    data = docker_archive(SPEC)
    assert until_it_works(store, lambda: load(store, io.BytesIO(data)), 9) > 5
    assert check(store.root).images.find("demo") == SPEC.id


def test_create_on_a_full_disk(store: Store) -> None:
    layers = store.images.get(BASE.id).layers

    def create() -> None:
        store.containers.create(
            ContainerConfig("a" * 64, "web", args=("x" * 20_000,), layers=layers), {"hosts": b"h" * 9000}
        )

    assert until_it_works(store, create, 1) > 2
    assert check(store.root).containers.ids() == ["a" * 64]


def test_commit_on_a_full_disk(store: Store) -> None:
    base = store.images.get(BASE.id)
    container_id = new_id()
    store.containers.create(ContainerConfig(container_id, "web", image=base.id, layers=base.layers))
    Path(store.layers.diff_path(container_id), "file").write_bytes(b"x" * 100_000)

    def commit() -> None:
        with store.tmp_dir() as staging:
            upper = store.layers.diff_path(container_id)
            archive, digest = pack_layer(store, staging, "layer", upper, base.layers[-1])
            top = layer_from_archive(store, staging, archive, digest, base.layers[-1])
            add_image(store, base.config.raw, [*layers_of(store, base), top], ["new"], base.id)

    assert until_it_works(store, commit, 5) > 3
    assert Path(store.layers.diff_path(container_id), "file").read_bytes() == b"x" * 100_000
    assert check(store.root).images.resolve("new").parent == BASE.id


def test_tagging_on_a_full_disk_keeps_the_old_index(store: Store) -> None:
    def tag() -> None:
        with store.images.change() as change:
            for number in range(200):
                change.names[f"docker.io/library/demo:{number}{'x' * 100}"] = BASE.id

    assert until_it_works(store, tag, 1) > 1
    assert len(check(store.root).images.get(BASE.id).names) == 201


def test_removing_works_on_a_full_disk(store: Store) -> None:
    base = store.images.get(BASE.id)
    store.containers.create(ContainerConfig("a" * 64, "web", image=base.id, layers=base.layers))
    for number in range(100):
        store.images.tag(base.id, f"demo:{number}{'x' * 100}")  # an index of several blocks
    leave(store, 0)
    with pytest.raises(OSError, match="No space left"):
        make_directories(os.path.dirname(store.root))  # what ext4 kept back goes too
    store.images.untag(f"demo:7{'x' * 100}")
    store.containers.remove("a" * 64)
    leave(store, 0)
    store.images.remove(base.id)
    left = check(store.root)
    assert (left.layers.ids(), left.images.read(), list(left.blobs.all())) == ([], ({}, {}), [])
