"""Images out of layers: a read-write layer turned read-only on top of an image, and layers made one by one."""

from __future__ import annotations

import hashlib
import io
import os
import stat
from pathlib import Path

import pytest

from engine.archive.assemble import (
    LayerGone,
    LayerSource,
    add_image,
    layer_from_archive,
    layers_of,
    pack_layer,
    stage_archive,
)
from engine.archive.load import load
from engine.errors import InvalidInput
from engine.layers.entry import Entry
from engine.oci.configs import chain_ids
from engine.store.containers import ContainerConfig, new_id
from engine.store.root import Store
from tests.support.archives import Dir, File, ImageSpec, diff_id, docker_archive, layer_tar
from tests.support.needs import needs_root

needs_root()

BASE = [Dir("./", 0o755), Dir("etc"), File("etc/motd", b"hello"), File("gone", b"x")]
SPEC = ImageSpec([BASE], ["demo"], {"Cmd": ["sh"]})
EMPTY = "sha256:" + hashlib.sha256(bytes(1024)).hexdigest()  # docker's well-known 5f70bf18…


@pytest.fixture
def store(tmp_path: Path) -> Store:
    found = Store(str(tmp_path / "root"))
    load(found, io.BytesIO(docker_archive(SPEC)))
    return found


def commit(store: Store, container_id: str, name: str) -> str:
    base = store.images.get(SPEC.id)
    with store.tmp_dir() as staging:
        archive, digest = pack_layer(store, staging, "layer", store.layers.diff_path(container_id), base.layers[-1])
        top = layer_from_archive(
            store, staging, archive, digest, base.layers[-1], diff_id=digest, created="2026", created_by="a hand"
        )
        return add_image(store, {**base.config.raw, "author": "me"}, [*layers_of(store, base), top], [name], base.id)


@pytest.fixture
def container(store: Store) -> str:
    container_id = new_id()
    store.containers.create(
        ContainerConfig(container_id, "box", image=SPEC.id, layers=store.images.get(SPEC.id).layers)
    )
    return container_id


def test_a_committed_layer_holds_what_the_read_write_layer_held_and_that_goes_on(store: Store, container: str) -> None:
    diff = Path(store.layers.diff_path(container))
    (diff / "etc").mkdir()
    (diff / "etc" / "motd").write_text("changed")
    os.mknod(diff / "gone", stat.S_IFCHR, os.makedev(0, 0))
    before = store.layers.index(container)
    image = store.images.get(commit(store, container, "new"))
    assert store.layers.index(container) == before
    assert (image.parent, image.config.author, image.config.cmd) == (SPEC.id, "me", ["sh"])
    assert image.layers[0] == store.images.get(SPEC.id).layers[0] and len(image.layers) == 2
    record = store.layers.get(image.layers[1])
    assert (record.kind, record.parent, record.created_by, record.size) == ("ro", image.layers[0], "a hand", 7)

    def facts(entries: list[Entry]) -> list[tuple[object, ...]]:
        return [(e.path, e.kind, e.mode, e.uid, e.gid, e.size, e.mtime_ns, e.opaque) for e in entries if e.path]

    assert facts(store.layers.index(image.layers[1])) == facts(before)
    blob = store.images.manifest(image).layers[1]
    with store.blobs.open(blob.digest) as archive:
        assert "sha256:" + hashlib.sha256(archive.read()).hexdigest() == record.diff_id == blob.digest
    assert image.config.diff_ids == (diff_id(BASE), record.diff_id)


def test_nothing_changed_is_dockers_empty_layer(store: Store, container: str) -> None:
    image = store.images.get(commit(store, container, "same"))
    assert image.config.diff_ids[1] == EMPTY
    assert store.layers.get(image.layers[1]).empty
    assert image.size == store.images.get(SPEC.id).size


def test_committing_twice_gives_one_layer(store: Store, container: str) -> None:
    Path(store.layers.diff_path(container), "file").write_text("x")
    first, second = commit(store, container, "one"), commit(store, container, "two")
    assert store.images.get(first).layers == store.images.get(second).layers
    assert first == second
    assert len(store.layers.ids()) == 3


def test_an_image_grows_layer_by_layer_in_one_staging(store: Store) -> None:
    with store.tmp_dir() as staging:
        parts: list[LayerSource] = []
        for number, members in enumerate([BASE, [File("b", b"22")], [File("c", b"333")]]):
            path, digest, size = stage_archive(staging, f"l{number}", io.BytesIO(layer_tar(members)))
            assert size == os.stat(path).st_size
            parts.append(
                layer_from_archive(
                    store,
                    staging,
                    path,
                    digest,
                    chain_ids([part.diff_id for part in parts])[-1] if parts else None,
                    parent_directory=parts[-1].directory if parts else "",
                    created_by=f"step {number}",
                )
            )
        short = add_image(store, {"os": "linux"}, parts[:2], ["short"])
        full = add_image(store, {"os": "linux"}, parts, ["full"], parent=short)
    assert store.images.get(full).layers[:2] == store.images.get(short).layers
    assert store.images.children(short) == [full]
    assert store.images.get(full).size == 5 + 1 + 2 + 3


def test_a_promise_about_a_layer_is_checked(store: Store) -> None:
    with store.tmp_dir() as staging:
        path, digest, _ = stage_archive(staging, "layer", io.BytesIO(layer_tar([File("x")])))
        with pytest.raises(InvalidInput, match=r"expected sha256:aaaa"):
            layer_from_archive(store, staging, path, digest, None, diff_id="sha256:" + "a" * 64)
    assert os.listdir(store.path("tmp")) == []


def test_layers_removed_meanwhile_are_missed_before_anything_appears(store: Store) -> None:
    base = store.images.get(SPEC.id)
    with store.tmp_dir() as staging:
        parts = layers_of(store, base)
        path, digest, _ = stage_archive(staging, "layer", io.BytesIO(layer_tar([File("x")])))
        parts.append(layer_from_archive(store, staging, path, digest, base.layers[0]))
        store.images.remove(SPEC.id)
        with pytest.raises(LayerGone, match="removed while an image was made"):
            add_image(store, base.config.raw, parts, ["new"])
        with pytest.raises(LayerGone):
            layer_from_archive(store, staging, path, digest, base.layers[0])
    assert store.images.all() == [] and store.layers.ids() == [] and list(store.blobs.all()) == []
