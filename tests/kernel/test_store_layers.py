"""Layers in the store: shared, kept alive by who needs them, removed with the last one who does."""

from __future__ import annotations

import io
import json
import os
import stat
from pathlib import Path

import pytest

from engine.archive.load import load
from engine.errors import BrokenStore, NotFound
from engine.runtime.removal import delete, take_away
from engine.store.containers import ContainerConfig, new_id
from engine.store.gc import Garbage, gc
from engine.store.root import Store
from tests.support.archives import Dir, File, HardLink, ImageSpec, docker_archive
from tests.support.children import together
from tests.support.needs import needs_root

needs_root()

BASE = [Dir("./", 0o710, gid=5), File("one", b"1" * 100), HardLink("two", "one")]
FIRST = ImageSpec([BASE, [File("first", b"22")]], ["first"])
SECOND = ImageSpec([BASE, [File("second", b"333")]], ["second"])


@pytest.fixture
def store(tmp_path: Path) -> Store:
    found = Store(str(tmp_path / "root"))
    load(found, io.BytesIO(docker_archive(FIRST, SECOND)))
    return found


def container(store: Store, spec: ImageSpec) -> str:
    image = store.images.get(spec.id)
    container_id = new_id()
    store.containers.create(ContainerConfig(container_id, "c" + container_id[:8], image=image.id, layers=image.layers))
    return container_id


def test_parents_children_chains_and_sizes(store: Store) -> None:
    base, first = store.images.get(FIRST.id).layers
    second = store.images.get(SECOND.id).layers[1]
    assert store.layers.chain(first) == [base, first]
    assert store.layers.chain(None) == []
    assert sorted(store.layers.children(base)) == sorted([first, second])
    assert store.layers.get(base).size == 100 and store.layers.size([base, first]) == 102
    assert (store.images.get(FIRST.id).size, store.images.get(SECOND.id).size) == (102, 103)
    assert {record.id for record in store.layers.all()} == {base, first, second}
    rw = container(store, FIRST)
    assert store.layers.chain(rw) == [base, first, rw]
    assert store.layers.children(first) == [rw]


def test_a_read_write_layer_is_measured_as_it_is_now(store: Store) -> None:
    rw = container(store, FIRST)
    assert store.layers.rw_size(rw) == 0
    Path(store.layers.diff_path(rw), "file").write_bytes(b"x" * 10)
    os.link(store.layers.diff_path(rw) + "/file", store.layers.diff_path(rw) + "/again")
    assert store.layers.rw_size(rw) == 10
    assert [entry.path for entry in store.layers.index(rw)] == ["", "again", "file"]


def test_the_root_directory_keeps_its_looks_through_every_layer(store: Store) -> None:
    os.setxattr(store.layers.diff_path(store.images.get(FIRST.id).layers[1]), "user.kept", b"v")
    rw = container(store, FIRST)
    for layer_id in store.layers.chain(rw):
        found = os.stat(store.layers.diff_path(layer_id))
        assert (stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid) == (0o710, 0, 5)
        assert found.st_mtime_ns == BASE[0].mtime_ns
    assert os.getxattr(store.layers.diff_path(rw), "user.kept") == b"v"


def test_removing_an_image_removes_only_what_nobody_else_needs(store: Store) -> None:
    base, first = store.images.get(FIRST.id).layers
    assert store.images.remove(FIRST.id) == [first]
    assert store.layers.exists(base)
    assert len(list(store.blobs.all())) == 4  # config, manifest and two archives of the other
    second = store.images.get(SECOND.id).layers[1]
    assert store.images.remove(SECOND.id) == [second, base]
    assert store.layers.ids() == [] and list(store.blobs.all()) == []


def test_a_container_keeps_its_layers_alive_until_it_goes(store: Store) -> None:
    base, first = store.images.get(FIRST.id).layers
    rw = container(store, FIRST)
    assert store.images.remove(FIRST.id) == []
    assert store.layers.chain(rw) == [base, first, rw]
    gc(store)
    store.containers.remove(rw)
    assert not store.layers.exists(first) and not store.layers.exists(rw)
    assert store.layers.exists(base)


def test_a_read_write_layer_without_a_container_is_garbage(store: Store) -> None:
    rw = container(store, FIRST)
    os.rename(store.containers.path(rw), store.path("tmp", "gone"))
    assert gc(store) == [rw]
    assert os.listdir(store.path("tmp")) == []


def test_collecting_while_monitors_remove_their_own_containers(store: Store) -> None:
    """A monitor moves its container and layer away without the store's locks (engine/runtime/removal.py)."""
    plans = [{"root": store.root, "id": container(store, FIRST)} for _ in range(25)]

    def monitors() -> bool:
        for plan in plans:
            names = take_away(plan, os.open(store.containers.path(plan["id"]), os.O_RDONLY))
            assert names is not None
            delete(store.root, names)
        return True

    def collect() -> None:
        for _ in range(60):
            gc(store)

    assert together([monitors, collect, collect]) == [True, None, None]
    assert store.containers.ids() == [] and len(store.layers.ids()) == 3
    assert os.listdir(store.path("tmp")) == []


def test_garbage_that_somebody_moves_away_first_is_no_error(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.store.gc.garbage", lambda *_: Garbage((), ("f" * 64,)))
    gc(store)
    assert len(store.layers.ids()) == 3


def test_removing_containers_and_images_at_once_leaves_nothing(store: Store) -> None:
    containers = [container(store, spec) for spec in (FIRST, SECOND) for _ in range(6)]

    def remove_containers() -> None:
        for container_id in containers:
            store.containers.remove(container_id)

    def remove_images() -> None:
        store.images.remove(FIRST.id)
        store.images.remove(SECOND.id)

    assert together([remove_containers, remove_images]) == [None, None]
    assert store.layers.ids() == [] and list(store.blobs.all()) == []
    assert os.listdir(store.path("tmp")) == []


def test_creating_on_layers_that_are_being_removed_is_refused_or_whole(store: Store) -> None:
    layers = store.images.get(FIRST.id).layers

    def create() -> list[str]:
        made = []
        for _ in range(40):
            container_id = new_id()
            try:
                store.containers.create(ContainerConfig(container_id, "c" + container_id[:8], layers=layers))
            except BrokenStore:
                break
            made.append(container_id)
        return made

    def remove() -> list[str]:
        return store.images.remove(FIRST.id)

    made, removed = together([create, remove])
    assert store.containers.ids() == sorted(made)
    assert all(store.layers.exists(layer_id) for layer_id in layers) if made else removed == [layers[1]]


def test_damaged_or_missing_layers_are_named(store: Store) -> None:
    base, first = store.images.get(FIRST.id).layers
    for missing in ("f" * 64, "../x", ""):
        with pytest.raises(NotFound, match="No such layer"):
            store.layers.get(missing)
    record = json.loads(Path(store.layers.path(first), "json").read_bytes())
    Path(store.layers.path(first), "json").write_text(json.dumps({**record, "parent": "f" * 64}))
    with pytest.raises(BrokenStore, match=f"layer {'f' * 64} is missing, but {first} stands on it"):
        store.layers.chain(first)
    Path(store.layers.path(first), "json").write_text(json.dumps({**record, "parent": first}))
    with pytest.raises(BrokenStore, match="its own parent"):
        store.layers.chain(first)
    Path(store.layers.path(base), "json").write_bytes(b"")
    with pytest.raises(BrokenStore, match="not a layer's record"):
        store.layers.get(base)
