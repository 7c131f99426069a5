"""SIGKILL at each step of each change of the store: it opens, is whole, no name is blocked, and garbage can be told."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.archive.assemble import add_image
from engine.oci.digests import digest_of
from engine.store.containers import ContainerConfig, ContainerState
from engine.store.gc import garbage, gc
from engine.store.root import Store
from tests.support.crashes import count_steps, crash_at, crash_points

A, B = "a" * 64, "b" * 64
CONFIG = b'{"os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}'
OTHER = b'{"os": "linux", "rootfs": {"type": "layers", "diff_ids": []}, "created": "2026-01-01T00:00:00Z"}'


def check(root: str) -> Store:
    """Open the store after a crash: everything in a final place is whole, and gc leaves nothing but what is needed."""
    store = Store(root)
    for record in store.images.all():
        assert digest_of(store.blobs.read(record.id)) == record.id
        for layer_id, blob in zip(record.layers, store.images.manifest(record).layers, strict=True):
            assert store.layers.get(layer_id).kind == "ro"
            assert os.path.isfile(store.layers.path(layer_id) + "/index")
            with store.blobs.open(blob.digest) as stream:
                assert digest_of(stream.read()) == blob.digest
    names, images = store.images.read()
    assert set(names.values()) <= set(images)
    for config in store.containers.all():
        assert store.layers.get(config.id).kind == "rw"
        assert sorted(os.listdir(store.layers.path(config.id))) == ["diff", "json", "work"]
        assert all(store.layers.exists(layer_id) for layer_id in config.layers)
        store.containers.state(config.id)
    gc(store)
    with store.images.change() as change, store.lock("containers"):
        left = garbage(store, change)
    assert (left.blobs, left.layers) == ((), ())
    assert os.listdir(store.path("tmp")) == []
    return store


def prepared(root: str) -> Store:
    store = Store(root)
    image = add_image(store, CONFIG, [], ["demo"])
    store.containers.create(ContainerConfig(A, "web", image=image))
    return store


def create(store: Store) -> None:
    store.containers.create(ContainerConfig(B, "new"), {"hosts": b"127.0.0.1 localhost\n"})


def remove(store: Store) -> None:
    store.containers.remove(A)


def rename(store: Store) -> None:
    store.containers.rename(A, "new")


def change_state(store: Store) -> None:
    store.containers.set_state(A, ContainerState("exited", exit_code=3))


def tag(store: Store) -> None:
    store.images.tag(store.images.find("demo"), "new")


def untag(store: Store) -> None:
    store.images.untag("demo")


def add(store: Store) -> None:
    add_image(store, OTHER, [], ["new", "demo"])


def forget(store: Store) -> None:
    store.images.remove(store.images.find("demo"))


def collect(store: Store) -> None:
    store.blobs.put(b"garbage")
    gc(store)


@pytest.mark.parametrize(
    "work",
    [create, remove, rename, change_state, tag, untag, add, forget, collect],
    ids=lambda work: str(work.__name__),
)
def test_killed_at_any_step_the_store_is_whole_and_the_work_can_be_done_again(
    tmp_path: Path, work: Callable[[Store], None]
) -> None:
    steps = count_steps(lambda: work(prepared(str(tmp_path / "whole")))) - count_steps(
        lambda: prepared(str(tmp_path / "before"))
    )
    assert steps > 1
    for number, (step, after) in enumerate(crash_points(steps)):
        root = str(tmp_path / str(number))
        prepared(root)
        crash_at(lambda root=root: work(Store(root)), step, after)  # type: ignore[misc]
        store = check(root)
        again(store, work)
        check(root)


def again(store: Store, work: Callable[[Store], None]) -> None:
    """Do the work a second time unless the crash came after it took effect; either way it has taken effect now."""
    containers, (names, images) = {config.id: config.name for config in store.containers.all()}, store.images.read()
    assert (A in containers) or work is remove
    if work is create:
        if B not in containers:
            create(store)
        assert store.containers.resolve("new") == B
    elif work is remove:
        if A in containers:
            remove(store)
        assert store.containers.ids() == []
        store.containers.create(ContainerConfig(B, "web"))
    elif work is rename:
        if containers[A] == "web":
            rename(store)
        assert store.containers.resolve("new") == A
    elif work is change_state:
        assert store.containers.state(A).status in ("created", "exited")
        change_state(store)
        assert store.containers.state(A).exit_code == 3
    elif work is untag:
        if names:
            untag(store)
        assert store.images.read()[0] == {} and len(images) == 1
    elif work is forget:
        if images:
            forget(store)
        assert list(store.blobs.all()) == []
    elif work is collect:
        collect(store)
        assert len(list(store.blobs.all())) == 2
    else:
        work(store)
        assert store.images.find("new") == store.images.find("demo")
