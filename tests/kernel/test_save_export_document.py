"""The document's point: `save` keeps every layer and the whole history of an image; `export` makes of a container one
flat archive of what is seen now, and imported it is one layer with one step of history, and the very same tree.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine import Engine
from engine.commands.options import CreateOptions
from tests.peers.trees import Tree, differences, read_container_tree
from tests.support.command import Strata
from tests.support.needs import needs_root
from tests.support.rootfs import tiny_image

# Empty files below everything, that a root directory makes once for all its containers (engine.runtime.plan, SKELETON).
BELOW = dict.fromkeys(("etc/hostname", "etc/hosts", "etc/resolv.conf"), ("mtime_ns",))


@pytest.fixture
def strata() -> Iterator[Strata]:
    needs_root()
    with Strata() as command:
        yield command


@pytest.fixture
def engine(strata: Strata) -> Iterator[Engine]:
    with Engine(strata.root) as found:
        tiny_image(found.store)
        yield found


def change(engine: Engine, image: str, script: str, name: str) -> str:
    """A container of an image in which a script ran, committed under a name."""
    container = engine.create(image, CreateOptions(command=("sh", "-e", "-c", script)))
    engine.start(container)
    assert engine.wait(container) == 0
    engine.commit(container, name, message=f"made {name}")
    return container


def tree_of(engine: Engine, image: str) -> Tree:
    """What a container of this image sees."""
    container = engine.create(image, CreateOptions(command=("sleep", "1000")))
    engine.start(container)
    try:
        return read_container_tree(engine.container(container).state.pid)
    finally:
        engine.remove(container, force=True)


def told(engine: Engine, image: str) -> list[tuple[str, str, int, str]]:
    return [(row.created, row.created_by, row.size, row.comment) for row in engine.history(image)]


def test_save_keeps_the_history_and_export_flattens_it(strata: Strata, engine: Engine, tmp_path: Path) -> None:
    change(engine, "tiny", "echo one > /one; mkdir /d; echo x > /d/x; echo secret > /secret", "two-layers")
    change(engine, "two-layers", "rm /secret /d/x; rmdir /d; mkdir /d; echo y > /d/y; ln /one /uno", "three-layers")
    container = engine.create("three-layers", CreateOptions(name="box", command=("sleep", "1000")))
    engine.start(container)
    try:
        seen = read_container_tree(engine.container(container).state.pid)
        strata("save", "-o", str(tmp_path / "saved.tar"), "three-layers")
        strata("export", "-o", str(tmp_path / "exported.tar"), "box")
        assert b"secret\n" in (tmp_path / "saved.tar").read_bytes()  # every layer is in it, also what a later one hides
        assert b"secret\n" not in (tmp_path / "exported.tar").read_bytes()
    finally:
        engine.remove(container, force=True)

    with Strata() as elsewhere, Engine(elsewhere.root) as other:
        elsewhere("load", "-i", str(tmp_path / "saved.tar"))
        assert told(other, "three-layers") == told(engine, "three-layers")
        assert len(told(other, "three-layers")) == 3
        ours, theirs = engine.image("three-layers"), other.image("three-layers")
        assert (ours.id, ours.manifest, ours.layers) == (theirs.id, theirs.manifest, theirs.layers)

        image = elsewhere("import", str(tmp_path / "exported.tar"), "flat:1")
        assert re.fullmatch("sha256:[0-9a-f]{64}", image) and other.image("flat:1").id == image
        (row,) = other.history("flat:1")
        assert (row.id, row.comment, row.created_by) == (image, "Imported from -", "")
        assert elsewhere("history", "--format", "{{.Comment}}", "flat:1") == "Imported from -"
        assert len(other.image("flat:1").layers) == 1
        assert differences(tree_of(other, "flat:1"), seen, BELOW) == []
        assert differences(tree_of(other, "three-layers"), seen, BELOW) == []
