"""What the store takes, what can be had back, whether it is whole; and images that carry digests as names."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine import Engine
from engine.commands.options import CreateOptions
from engine.commands.prune import until
from engine.errors import InvalidInput, NoSuchImage
from engine.oci.references import parse_reference
from engine.store.incoming import Incoming
from tests.support.archives import Dir, File, ImageSpec, docker_archive
from tests.support.command import Strata
from tests.support.needs import needs_root

needs_root()

BASE = [Dir("etc"), File("etc/base", b"b" * 5000)]
ONE = ImageSpec([BASE, [File("one", b"1" * 1000)]], ["one"], {"Cmd": ["x"], "Labels": {"kind": "first"}})
TWO = ImageSpec([BASE, [File("two", b"2" * 300)]], ["two"], {"Cmd": ["x"]})
DIGEST = "sha256:" + "ab" * 32


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with Engine(str(tmp_path / "root")) as opened:
        opened.load(io.BytesIO(docker_archive(ONE, TWO)))
        yield opened


def files_below(path: str) -> int:
    """Bytes of regular files below a directory."""
    return sum(os.lstat(os.path.join(where, name)).st_size for where, _, names in os.walk(path) for name in names)


def test_disk_usage_counts_each_byte_once(engine: Engine) -> None:
    container = engine.create("one", CreateOptions(name="box"))
    Path(engine.store.layers.diff_path(container), "own").write_bytes(b"w" * 70)
    with Incoming(engine.store, DIGEST) as broken:
        os.write(broken.fd, b"half of it")
    usage = engine.disk_usage()
    assert (usage.images.total, usage.images.active, usage.images.size) == (2, 1, 5000 + 1000 + 300)
    assert usage.images.reclaimable == 300
    assert (usage.containers.total, usage.containers.active, usage.containers.size) == (1, 0, 70)
    assert usage.containers.reclaimable == 70
    assert (usage.downloads.total, usage.downloads.size) == (1, len("half of it"))
    assert usage.archives.size == files_below(engine.store.path("blobs"))
    assert usage.garbage.size == 0
    by_name = {image.names[0]: image for image in usage.each_image}
    assert (by_name["one:latest"].shared, by_name["one:latest"].unique, by_name["one:latest"].containers) == (
        5000,
        1000,
        1,
    )
    assert (by_name["two:latest"].shared, by_name["two:latest"].unique, by_name["two:latest"].containers) == (
        5000,
        300,
        0,
    )
    on_disk = sum(files_below(engine.store.layers.diff_path(layer)) for layer in engine.store.layers.ids())
    on_disk += files_below(engine.store.path("blobs")) + files_below(engine.store.path("incoming"))
    assert usage.size == on_disk


def test_image_prune_takes_what_has_no_name_and_with_all_what_has_no_container(engine: Engine) -> None:
    engine.create("one", CreateOptions(name="box"))
    assert engine.prune_images() == engine.prune_images()
    assert {image.names for image in engine.images()} == {("one:latest",), ("two:latest",)}
    before = files_below(engine.root)
    pruned = engine.prune_images(all=True)
    assert pruned.images[:2] == ("Untagged: two:latest", f"Deleted: {TWO.id}")
    assert pruned.reclaimed >= 300
    assert before - files_below(engine.root) >= pruned.reclaimed - 300
    assert [image.names for image in engine.images()] == [("one:latest",)]
    engine.load(io.BytesIO(docker_archive(TWO)))
    engine.store.images.untag("two")
    assert engine.prune_images(filters={"label": ["kind"]}).images == ()
    assert engine.prune_images(filters={"until": ["2020-01-01"]}).images == ()
    assert engine.prune_images(filters={"until": ["1m"]}).images[0] == f"Deleted: {TWO.id}"
    with pytest.raises(InvalidInput, match="invalid filter 'nonsense'"):
        engine.prune_images(filters={"nonsense": ["x"]})
    with pytest.raises(InvalidInput, match="invalid filter 'until=soon'"):
        until("soon")


def test_system_prune_takes_containers_garbage_and_broken_downloads(engine: Engine) -> None:
    engine.create("one", CreateOptions(name="box"))
    with Incoming(engine.store, DIGEST) as broken:
        os.write(broken.fd, b"x" * 100)
    with engine.store.images.change() as change:  # what a crash between two steps leaves
        del change.images[TWO.id], change.names["docker.io/library/two:latest"]
    report = engine.check()
    assert not report.problems and len(report.leftovers) >= 4
    assert engine.disk_usage().garbage.size >= 300
    pruned = engine.prune_system()
    assert len(pruned.containers) == 1 and pruned.reclaimed >= 400
    assert engine.check().leftovers == ()
    assert [image.names for image in engine.images()] == [("one:latest",)]


def test_a_download_at_work_is_not_pruned(engine: Engine) -> None:
    with Incoming(engine.store, DIGEST) as coming:
        os.write(coming.fd, b"x" * 100)
        engine.prune_system()
        assert os.path.exists(coming.path)
        assert engine.check().leftovers == ()


def test_what_a_live_writer_holds_is_no_garbage(engine: Engine) -> None:
    layer = engine.image("two").layers[-1]
    with engine.store.tmp_dir() as staging:
        staging.hold(layer)
        engine.remove_image("two")
        engine.prune_system()
        assert engine.store.layers.exists(layer)
    engine.prune_system()
    assert not engine.store.layers.exists(layer)


def test_each_damage_is_found_and_what_can_be_mended_is(engine: Engine) -> None:
    store = engine.store
    assert (engine.check(deep=True).problems, engine.check().leftovers) == ((), ())
    top = engine.image("one").layers[-1]
    os.unlink(os.path.join(store.layers.path(top), "index"))
    assert [one.what for one in engine.check().problems] == [top]
    assert engine.check(repair=True).problems == ()
    assert {entry.path for entry in store.layers.index(top)} == {"", "one"}
    Path(store.layers.diff_path(top), "one").write_bytes(b"X" * 1000)
    assert engine.check().problems == ()
    Path(store.layers.diff_path(top), "one").write_bytes(b"X")
    assert "its index says" in engine.check(deep=True).problems[0].text
    archive = store.images.manifest(engine.image("two")).layers[1].digest
    with open(store.blobs.path(archive), "r+b") as file:
        file.write(b"?")
    assert [one.kind for one in engine.check(deep=True).problems] == ["image", "layer"]
    os.unlink(store.blobs.path(archive))
    found = engine.check()
    assert [(one.kind, one.what) for one in found.problems] == [("image", TWO.id)]
    mended = engine.check(repair=True)
    assert "docker.io/library/two:latest" in mended.mended[0] and not mended.problems
    with pytest.raises(NoSuchImage):
        engine.image("two")
    assert engine.image("one").id == ONE.id


def test_repair_never_takes_damaged_content_for_good(engine: Engine) -> None:
    store = engine.store
    base, top = engine.image("one").layers
    Path(store.layers.diff_path(top), "one").write_bytes(b"X" * 10)
    before = store.layers.index(top)
    report = engine.check(deep=True, repair=True)
    assert any("docker.io/library/one:latest" in text for text in report.mended)
    assert report.problems == ()
    assert not store.layers.exists(top) and store.layers.exists(base), "nobody stands on the damaged layer any more"
    engine.load(io.BytesIO(docker_archive(ONE)))
    assert store.layers.index(top) == before
    assert engine.check(deep=True).problems == ()
    container = engine.create("one", CreateOptions(name="box"))
    Path(store.layers.diff_path(top), "one").write_bytes(b"X" * 10)
    report = engine.check(deep=True, repair=True)
    assert store.layers.exists(top) and store.layers.index(top) == before, "a container stands on it"
    assert [one.what for one in report.problems] == [top]
    assert engine.container(container).config.image == engine.image("one").id


def test_a_digest_noted_for_a_repository_is_no_tag_and_goes_with_the_last_one(engine: Engine) -> None:
    engine.tag("one", "host:5000/x:1")
    engine.tag("one", "host:5000/x:2")
    engine.store.images.tag(ONE.id, parse_reference(f"host:5000/x@{DIGEST}"))
    (one,) = [image for image in engine.images() if image.id == ONE.id]
    assert one.names == ("host:5000/x:1", "host:5000/x:2", "one:latest")
    assert one.digests == (f"host:5000/x@{DIGEST}",)
    assert engine.inspect("one")["RepoDigests"] == [f"host:5000/x@{DIGEST}"]
    assert engine.remove_image("host:5000/x:1") == ["Untagged: host:5000/x:1"]
    assert engine.remove_image("host:5000/x:2") == ["Untagged: host:5000/x:2", f"Untagged: host:5000/x@{DIGEST}"]
    assert engine.image("one").names == ("docker.io/library/one:latest",)
    engine.store.images.tag(ONE.id, parse_reference(f"one@{DIGEST}"))
    assert engine.remove_image("one")[:3] == ["Untagged: one:latest", f"Untagged: one@{DIGEST}", f"Deleted: {ONE.id}"]


def test_the_commands_say_it(tmp_path: Path) -> None:
    archive = tmp_path / "images.tar"
    archive.write_bytes(docker_archive(ONE, TWO))
    with Strata() as strata:
        strata("load", "-i", str(archive))
        rows = [line.split() for line in strata("system", "df").splitlines()]
        assert rows[0] == ["TYPE", "TOTAL", "ACTIVE", "SIZE", "RECLAIMABLE"]
        assert rows[1] == ["Images", "2", "0", "6.3kB", "6.3kB", "(100%)"]
        assert "All together: " in strata("system", "df", "-v")
        assert strata("system", "check", "--deep") == "The store is whole."
        text = strata("image", "prune", "-a", stdin="n\n")
        assert text.startswith("WARNING! This will remove all images without at least one container")
        assert "Total reclaimed" not in text
        text = strata("system", "prune", "-af")
        assert f"deleted: {ONE.id}\n" in text and "Total reclaimed space: " in text
        assert strata("images", "-q") == ""
        assert strata("container", "prune", "-f") == "Total reclaimed space: 0B"
        assert strata.run("prune").returncode == 1
