"""Images by name and id: moving tags, finding, forgetting; nothing lost between processes. These have no layers."""

from __future__ import annotations

import functools
import json
import os
from pathlib import Path

import pytest

from engine.archive.assemble import add_image
from engine.errors import Ambiguous, BrokenStore, InvalidInput, NoSuchImage
from engine.oci.references import parse_reference
from engine.oci.times import rfc3339
from engine.store.containers import ContainerConfig, new_id
from engine.store.gc import gc
from engine.store.root import Store
from tests.support.children import together


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "root"))


def make(store: Store, mark: str, *names: str, parent: str = "") -> str:
    """An image without layers; `mark` makes its id its own."""
    return add_image(
        store, {"os": "linux", "created": rfc3339(), "config": {"Labels": {"mark": mark}}}, [], names, parent
    )


def names_of(store: Store, image_id: str) -> list[str]:
    return [parse_reference(name).familiar() for name in store.images.get(image_id).names]


def test_an_image_is_found_by_name_id_and_prefix(store: Store) -> None:
    image_id = make(store, "a", "demo", "other:1")
    digits = image_id.removeprefix("sha256:")
    for text in (
        "demo",
        "demo:latest",
        "docker.io/library/demo",
        "other:1",
        image_id,
        digits,
        digits[:12],
        image_id[:15],
    ):
        assert store.images.find(text) == store.images.resolve(text).id == image_id
    record = store.images.get(image_id)
    assert record.names == ("docker.io/library/demo:latest", "docker.io/library/other:1")
    assert (record.layers, record.size, record.parent) == ((), 0, "")
    assert record.config.labels == {"mark": "a"}


@pytest.mark.parametrize(
    "text", ["", "nobody", "sha256:", "f" * 64, "sha256:" + "f" * 64, "UPPER", "a b", "demo@sha256:xyz"]
)
def test_what_is_not_there_is_no_such_image(store: Store, text: str) -> None:
    make(store, "a", "demo")
    with pytest.raises(NoSuchImage, match=f"^No such image: {text}$"):
        store.images.resolve(text)


def test_a_name_that_looks_like_an_id_wins_over_the_id(store: Store) -> None:
    first = make(store, "a")
    digits = first.removeprefix("sha256:")[:12]
    second = make(store, "b", digits)
    assert store.images.find(digits) == second
    assert store.images.find(first) == first


def test_a_prefix_of_two_ids_is_ambiguous(store: Store) -> None:
    ids = [make(store, str(number)).removeprefix("sha256:") for number in range(17)]
    firsts = [found[0] for found in ids]
    shared = next(first for first in firsts if firsts.count(first) > 1)
    with pytest.raises(Ambiguous, match=f"multiple IDs found with provided prefix: {shared}"):
        store.images.find(shared)


def test_tagging_moves_a_name_and_leaves_the_old_image_dangling(store: Store) -> None:
    old, new = make(store, "old", "demo"), make(store, "new")
    assert store.images.tag(new, "demo") == old
    assert store.images.tag(new, "demo") is None
    assert (names_of(store, old), names_of(store, new)) == ([], ["demo:latest"])
    assert {image.id for image in store.images.all()} == {old, new}
    with pytest.raises(NoSuchImage):
        store.images.tag("sha256:" + "f" * 64, "demo")
    with pytest.raises(InvalidInput):
        store.images.tag(old, "Not/A/Name")
    assert store.images.find("demo") == new


def test_untagging_takes_only_the_name(store: Store) -> None:
    image_id = make(store, "a", "demo", "demo:2")
    assert store.images.untag("demo") == image_id
    assert names_of(store, image_id) == ["demo:2"]
    with pytest.raises(NoSuchImage, match="No such image: demo:latest"):
        store.images.untag("demo")


def test_children_know_their_parent(store: Store) -> None:
    base = make(store, "base")
    child = make(store, "child", parent=base)
    assert store.images.get(child).parent == base
    assert store.images.children(base) == [child]
    assert store.images.children(child) == []


def test_images_are_listed_newest_first(store: Store) -> None:
    ids = [make(store, str(number)) for number in range(5)]
    assert [image.id for image in store.images.all()] == ids[::-1]


def test_adding_an_image_again_adds_names_and_keeps_its_parent(store: Store) -> None:
    config = b'{"os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}'
    base = make(store, "base")
    first = add_image(store, config, [], ["one"], parent=base)
    assert add_image(store, config, [], ["two"]) == first
    assert names_of(store, first) == ["one:latest", "two:latest"]
    assert store.images.get(first).parent == base
    assert store.blobs.read(first) == config


def test_removing_takes_names_config_and_manifest_and_leaves_other_images_whole(store: Store) -> None:
    gone, kept = make(store, "gone", "gone", "gone:2"), make(store, "kept", "kept")
    assert store.images.remove(gone) == []
    assert [image.id for image in store.images.all()] == [kept]
    assert sorted(store.blobs.all()) == sorted([kept, store.images.get(kept).manifest])
    assert store.images.read()[0] == {"docker.io/library/kept:latest": kept}
    with pytest.raises(NoSuchImage):
        store.images.remove(gone)
    assert os.listdir(store.path("tmp")) == []


def test_unreferenced_blobs_are_collected_and_needed_ones_stay(store: Store) -> None:
    image_id = make(store, "a")
    digest = store.blobs.put(b"nobody needs this")
    assert store.blobs.put(b"nobody needs this") == digest
    assert store.blobs.size(digest) == 17
    assert gc(store) == []
    assert not store.blobs.exists(digest)
    assert store.images.get(image_id).id == image_id
    with pytest.raises(BrokenStore, match="missing"):
        store.blobs.read(digest)


def test_a_store_that_cannot_say_what_is_needed_collects_nothing(store: Store) -> None:
    image_id = make(store, "a")
    digest = store.blobs.put(b"garbage")
    manifest = store.images.get(image_id).manifest
    os.unlink(store.blobs.path(manifest))
    with pytest.raises(BrokenStore, match=manifest):
        gc(store)
    assert store.blobs.exists(digest)
    store.images.remove(image_id)
    assert list(store.blobs.all()) == []


def test_tagging_from_many_processes_loses_no_name(store: Store) -> None:
    images = [make(store, str(number)) for number in range(3)]

    def tag(worker: int) -> None:
        for number in range(25):
            store.images.tag(images[number % 3], f"w{worker}:{number}")

    assert together([functools.partial(tag, worker) for worker in range(4)]) == [None] * 4
    names, _ = store.images.read()
    assert len(names) == 100
    assert all(names[f"docker.io/library/w{w}:{n}"] == images[n % 3] for w in range(4) for n in range(25))


def test_adding_and_removing_at_once_never_shows_half_an_image(store: Store) -> None:
    def churn(worker: int) -> list[str]:
        kept = []
        for number in range(8):
            image_id = make(store, f"{worker}-{number}", f"w{worker}:{number}")
            for record in store.images.all():
                assert record.config.labels
            if number % 2:
                store.images.remove(image_id)
            else:
                kept.append(image_id)
        return kept

    answers = together([functools.partial(churn, worker) for worker in range(3)])
    kept = sorted(image_id for answer in answers for image_id in answer)
    assert sorted(image.id for image in store.images.all()) == kept
    assert len(list(store.blobs.all())) == 2 * len(kept)


def test_creating_containers_while_images_go_never_leaves_one_without_its_image_layers(store: Store) -> None:
    make(store, "a", "demo")

    def create() -> int:
        for number in range(20):
            store.containers.create(ContainerConfig(new_id(), f"c{number}", image="sha256:x"))
        return 20

    def collect() -> int:
        return sum(len(gc(store)) for _ in range(20))

    assert together([create, collect, collect]) == [20, 0, 0]
    assert store.containers.ids() == store.layers.ids() and len(store.layers.ids()) == 20


def test_the_config_must_name_the_layers_that_are_given(store: Store) -> None:
    config = json.dumps({"rootfs": {"type": "layers", "diff_ids": ["sha256:" + "a" * 64]}}).encode()
    with pytest.raises(InvalidInput, match="names 1 layers"):
        add_image(store, config, [], ["demo"])
    assert store.images.all() == [] and list(store.blobs.all()) == []


def test_a_damaged_index_is_named(store: Store) -> None:
    Path(store.path("images.json")).write_bytes(b"")
    with pytest.raises(BrokenStore, match=r"images.json is not an index"):
        store.images.all()
