"""SIGKILL while an image is loaded or committed: afterwards it is there whole or not at all, and can be made again."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.archive.assemble import add_image, layer_from_archive, layers_of, pack_layer
from engine.archive.load import load
from engine.store.containers import ContainerConfig
from engine.store.root import Store
from tests.faults.test_store_crash import check
from tests.support.archives import Dir, File, ImageSpec, docker_archive
from tests.support.crashes import count_steps, crash_at, crash_points
from tests.support.needs import needs_root

needs_root()

BASE = ImageSpec([[Dir("etc"), File("etc/motd", b"hello")]], ["base"])
DATA = docker_archive(
    ImageSpec([*BASE.layers, [File("a", b"a" * 3000)], [File("b")]], ["demo", "demo:2"], {"Cmd": ["sh"]})
)
BOX = "c" * 64


def load_it(store: Store) -> None:
    load(store, io.BytesIO(DATA))


def commit_it(store: Store) -> None:
    base = store.images.resolve("base")
    with store.tmp_dir() as staging:
        upper = store.layers.diff_path(BOX)
        archive, digest = pack_layer(store, staging, "layer", upper, base.layers[-1])
        top = layer_from_archive(store, staging, archive, digest, base.layers[-1])
        add_image(store, base.config.raw, [*layers_of(store, base), top], ["demo"], base.id)


@pytest.mark.parametrize("work", [load_it, commit_it], ids=["load", "commit"])
def test_killed_at_any_step_the_image_is_whole_or_absent_and_comes_the_next_time(
    tmp_path: Path, work: Callable[[Store], None]
) -> None:
    before = str(tmp_path / "before")
    store = Store(before)
    load(store, io.BytesIO(docker_archive(BASE)))
    store.containers.create(ContainerConfig(BOX, "box", layers=store.images.resolve("base").layers))
    Path(store.layers.diff_path(BOX), "made").write_text("by the container")

    def fresh(name: str) -> Store:
        shutil.copytree(before, tmp_path / name, symlinks=True)
        return Store(str(tmp_path / name))

    counted = fresh("counted")
    steps = count_steps(lambda: work(counted))
    assert steps > 20
    outcomes = set()
    for step, after in crash_points(steps, most=40):
        store = fresh("crashed")
        crash_at(lambda store=store: work(store), step, after)  # type: ignore[misc]
        check(store.root)
        outcomes.add("docker.io/library/demo:latest" in store.images.read()[0])
        assert Path(store.layers.diff_path(BOX), "made").read_text() == "by the container"
        work(store)
        assert store.images.resolve("demo").id == counted.images.resolve("demo").id
        assert store.images.read() == counted.images.read()
        assert check(store.root).layers.ids() == counted.layers.ids()
        assert os.listdir(store.path("tmp")) == []
        shutil.rmtree(store.root)
    assert outcomes == {False, True}  # killed before it took effect, and after
