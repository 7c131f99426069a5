"""What `save` writes: every blob byte for byte and once, names as asked for, the same bytes every time."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest
import zstandard

from engine.archive.layout_out import write_layout
from engine.archive.load import load
from engine.archive.save import save
from engine.commands.context import Context
from engine.commands.import_image import import_image
from engine.commands.save import save as save_refs
from engine.errors import BrokenStore, InvalidInput, NoSuchImage, NotFound
from engine.oci.references import parse_reference
from engine.store.root import Store
from tests.support.archives import Dir, File, ImageSpec, Whiteout, docker_archive, layer_tar, oci_archive
from tests.support.needs import needs_root

needs_root()

BASE = [Dir("etc"), File("etc/motd", b"hello" * 1000)]
ONE = ImageSpec([BASE, [File("a", b"a")]], ["demo:1"], {"Cmd": ["sh"]}, {"unknown": {"kept": [1, 2.5]}})
TWO = ImageSpec([BASE, [File("b", b"b"), Whiteout("etc/motd")]], ["demo:2", "host:5000/other/name:x"])


@pytest.fixture
def context(tmp_path: Path) -> Context:
    found = Context(str(tmp_path / "root"))
    load(found.store, io.BytesIO(docker_archive(ONE, TWO, gzip_layers=True)))
    return found


def saved(context: Context, *refs: str) -> bytes:
    out = io.BytesIO()
    save_refs(context, refs, out)
    return out.getvalue()


def files_of(archive: bytes) -> dict[str, bytes]:
    """Every file of an archive; none may be in it twice."""
    found: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            if member.isfile():
                assert member.name not in found
                data = tar.extractfile(member)
                assert data is not None
                found[member.name] = data.read()
    return found


def documents(archive: bytes) -> tuple[list[dict[str, Any]], dict[str, Any], dict[str, Any]]:
    found = files_of(archive)
    return (
        json.loads(found["manifest.json"]),
        json.loads(found["index.json"]),
        json.loads(found.get("repositories", b"{}")),
    )


def test_every_blob_goes_out_byte_for_byte_and_layers_once_over_several_images(context: Context) -> None:
    store = context.store
    found = files_of(saved(context, "demo"))
    blobs = {name for name in found if name.startswith("blobs/")}
    assert blobs == {"blobs/sha256/" + digest[7:] for digest in store.blobs.all()}
    assert len(blobs) == 2 + 2 + 3  # manifests, configs, and three layers of which both images have one
    for name in blobs:
        assert hashlib.sha256(found[name]).hexdigest() == name.rpartition("/")[2]
    assert found["blobs/sha256/" + ONE.id[7:]] == ONE.document()
    assert json.loads(found["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}


def test_the_documents_are_those_of_docker_25(context: Context) -> None:
    store = context.store
    images, index, repositories = documents(saved(context, "demo:2", "host:5000/other/name:x", "demo:1"))
    record = store.images.get(TWO.id)
    layers = store.images.manifest(record).layers
    assert images[0] == {
        "Config": "blobs/sha256/" + TWO.id[7:],
        "RepoTags": ["demo:2", "host:5000/other/name:x"],
        "Layers": ["blobs/sha256/" + layer.digest[7:] for layer in layers],
        "LayerSources": {
            diff_id: layer.as_dict() for diff_id, layer in zip(record.config.diff_ids, layers, strict=True)
        },
    }
    assert images[1]["RepoTags"] == ["demo:1"]
    entry = {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": record.manifest}
    entry["size"] = store.blobs.size(record.manifest)  # type: ignore[assignment]
    assert [one.pop("annotations") for one in index["manifests"]] == [
        {"io.containerd.image.name": "docker.io/library/demo:2", "org.opencontainers.image.ref.name": "2"},
        {"io.containerd.image.name": "host:5000/other/name:x", "org.opencontainers.image.ref.name": "x"},
        {"io.containerd.image.name": "docker.io/library/demo:1", "org.opencontainers.image.ref.name": "1"},
    ]
    assert index["manifests"][:2] == [entry, entry]
    top = layers[-1].digest[7:]
    assert repositories["host:5000/other/name"] == {"x": top}
    assert repositories["demo"]["2"] == top and set(repositories["demo"]) == {"1", "2"}


@pytest.mark.parametrize(
    ("refs", "names"),
    [
        (["demo"], [["demo:1"], ["demo:2"]]),
        (["demo:2"], [["demo:2"]]),
        (["docker.io/library/demo:2"], [["demo:2"]]),
        ([TWO.id], [None]),
        ([TWO.id[7:19]], [None]),
        ([TWO.id, "host:5000/other/name"], [["host:5000/other/name:x"]]),
        (["demo:1", "demo:1", ONE.id], [["demo:1"]]),
    ],
)
def test_by_name_with_that_name_by_id_with_none(
    context: Context, refs: list[str], names: list[list[str] | None]
) -> None:
    assert [image["RepoTags"] for image in documents(saved(context, *refs))[0]] == names


def test_a_name_with_a_digest_is_no_tag(context: Context) -> None:
    pinned = parse_reference("demo@sha256:" + "a" * 64)
    context.store.images.tag(TWO.id, pinned)
    images, index, repositories = documents(saved(context, str(pinned)))
    assert (images[0]["RepoTags"], repositories) == (None, {})
    assert "annotations" not in index["manifests"][0]


@pytest.mark.parametrize(
    ("ref", "error"), [("nobody", NoSuchImage), ("demo:3", NoSuchImage), ("a b", NoSuchImage), ("sha256:", NoSuchImage)]
)
def test_what_is_not_there_is_said_before_anything_is_written(
    context: Context, ref: str, error: type[Exception]
) -> None:
    out = io.BytesIO()
    with pytest.raises(error):
        save_refs(context, ["demo:1", ref], out)
    assert out.getvalue() == b""
    with pytest.raises(InvalidInput, match="nothing to save"):
        save_refs(context, [], out)


def test_another_platform_is_an_error_and_the_same_is_not(context: Context) -> None:
    assert saved(context, "demo:1") != b""
    out = io.BytesIO()
    save_refs(context, ["demo:1"], out, platform="linux/amd64")
    assert out.getvalue() == saved(context, "demo:1")
    with pytest.raises(NotFound, match=r"demo:1 was found but .* wanted linux/arm64, actual: linux/amd64"):
        save_refs(context, ["demo:1"], out, platform="linux/arm64")


def test_saving_twice_gives_the_same_bytes(context: Context) -> None:
    assert saved(context, "demo", "host:5000/other/name:x") == saved(context, "demo", "host:5000/other/name:x")


def test_what_was_saved_comes_back_as_it_was(context: Context, tmp_path: Path) -> None:
    store = context.store
    store.images.tag(TWO.id, "demo:latest")
    other = Store(str(tmp_path / "other"))
    loaded = load(other, io.BytesIO(saved(context, "demo", "host:5000/other/name:x")))
    assert [image.image for image in loaded] == [ONE.id, TWO.id]
    assert other.images.read() == store.images.read()
    assert list(other.blobs.all()) == list(store.blobs.all())
    assert other.layers.all() == store.layers.all()
    again = io.BytesIO()
    save(other, [(other.images.get(TWO.id), ["demo:2", parse_reference("demo:2")])], again)
    assert again.getvalue() == saved(context, "demo:2")


def test_the_manifest_an_image_came_with_goes_out_unchanged(tmp_path: Path) -> None:
    context = Context(str(tmp_path / "root"))
    archive = oci_archive(ImageSpec([BASE], ["demo:latest"]))
    load(context.store, io.BytesIO(archive))
    came, goes = files_of(archive), files_of(saved(context, "demo"))
    assert {name: data for name, data in came.items() if name.startswith("blobs/")}.items() <= goes.items()


def test_manifest_json_leads_old_docker_past_zstd_and_the_layer_stays_as_it_is(
    context: Context, tmp_path: Path
) -> None:
    plain = layer_tar(BASE)
    packed = zstandard.ZstdCompressor().compress(plain)
    for name in ("zstd:1", "zstd:2"):
        import_image(context, io.BytesIO(packed), name, message=name)
    archive = saved(context, "zstd")
    found, (images, index, repositories) = files_of(archive), documents(archive)
    for image in images:
        (layer,) = image["Layers"]
        assert found[layer] == plain and layer == "blobs/sha256/" + hashlib.sha256(plain).hexdigest()
        ((diff_id, source),) = image["LayerSources"].items()
        assert (source["digest"], source["size"]) == (diff_id, len(plain))
        assert source["mediaType"] == "application/vnd.oci.image.layer.v1.tar"
    assert set(repositories["zstd"].values()) == {hashlib.sha256(plain).hexdigest()}
    for entry in index["manifests"]:
        (descriptor,) = json.loads(found["blobs/sha256/" + entry["digest"][7:]])["layers"]
        assert found["blobs/sha256/" + descriptor["digest"][7:]] == packed
    assert saved(context, "zstd") == archive
    other = Store(str(tmp_path / "other"))
    load(other, io.BytesIO(archive))
    assert other.images.read()[1] == {
        key: entry for key, entry in context.store.images.read()[1].items() if key in other.images.read()[1]
    }
    assert other.blobs.exists("sha256:" + hashlib.sha256(packed).hexdigest())
    out = io.BytesIO()
    save(context.store, [(context.store.images.resolve("zstd:1"), ["zstd:1"])], out, form="oci-archive")
    assert "blobs/sha256/" + hashlib.sha256(plain).hexdigest() not in files_of(out.getvalue())


def test_a_damaged_zstd_layer_is_told_before_anything_is_written(context: Context) -> None:
    packed = zstandard.ZstdCompressor().compress(layer_tar(BASE))
    import_image(context, io.BytesIO(packed), "zstd")
    blob = context.store.blobs.path("sha256:" + hashlib.sha256(packed).hexdigest())
    out = io.BytesIO()
    for data in (packed[:40] + b"\xff" * 20 + packed[60:], zstandard.ZstdCompressor().compress(bytes(len(packed)))):
        with open(blob, "wb") as file:
            file.write(data.ljust(len(packed), b"\0"))
        with pytest.raises(BrokenStore, match="load or pull"):
            save_refs(context, ["zstd"], out)
    assert out.getvalue() == b""


def test_an_image_without_layers_is_saved_too(context: Context, tmp_path: Path) -> None:
    from engine.archive.assemble import add_image

    add_image(context.store, {"os": "linux", "architecture": "amd64"}, [], ["nothing"])
    images, _, repositories = documents(saved(context, "nothing"))
    assert (images[0]["Layers"], repositories) == ([], {})


def test_a_missing_or_damaged_blob_is_told_before_anything_is_written(context: Context) -> None:
    store = context.store
    record = store.images.get(ONE.id)
    layer = store.images.manifest(record).layers[1]
    out = io.BytesIO()
    with open(store.blobs.path(layer.digest), "ab") as blob:
        blob.write(b"x")
    with pytest.raises(BrokenStore, match=rf"cannot save demo:1: its layer 2 .* has {layer.size + 1} bytes.*load or"):
        save_refs(context, ["demo:1"], out)
    os.unlink(store.blobs.path(layer.digest))
    with pytest.raises(BrokenStore, match=r"cannot save demo:1: its layer 2 .* is missing .*load or pull"):
        save_refs(context, ["demo:1"], out)
    assert out.getvalue() == b""


def test_a_full_disk_is_the_disks_error(context: Context) -> None:
    with open("/dev/full", "wb", 0) as out, pytest.raises(OSError) as full:
        save_refs(context, ["demo"], out)
    assert full.value.errno == errno.ENOSPC


@pytest.mark.parametrize(
    ("form", "present", "absent"),
    [
        ("docker-archive", {"manifest.json", "repositories"}, {"index.json", "oci-layout"}),
        ("oci-archive", {"index.json", "oci-layout"}, {"manifest.json", "repositories"}),
    ],
)
def test_one_form_alone(context: Context, tmp_path: Path, form: str, present: set[str], absent: set[str]) -> None:
    out = io.BytesIO()
    save(context.store, [(context.store.images.get(ONE.id), ["demo:1"])], out, form=form)
    found = set(files_of(out.getvalue()))
    assert found >= present and not found & absent
    (loaded,) = load(Store(str(tmp_path / "other")), io.BytesIO(out.getvalue()))
    assert (loaded.image, loaded.names) == (ONE.id, ("docker.io/library/demo:1",))


def test_a_form_that_nobody_knows(context: Context) -> None:
    with pytest.raises(InvalidInput, match="no such form"):
        save(context.store, [], io.BytesIO(), form="aci")


# Layout directories.


def index_of(directory: Path) -> list[tuple[str, str]]:
    document = json.loads((directory / "index.json").read_bytes())
    return [
        (entry["digest"], entry.get("annotations", {}).get("org.opencontainers.image.ref.name", ""))
        for entry in document["manifests"]
    ]


def test_a_layout_takes_one_image_after_the_other(context: Context, tmp_path: Path) -> None:
    store, directory = context.store, tmp_path / "layout" / "deep"
    one, two = store.images.get(ONE.id), store.images.get(TWO.id)
    write_layout(store, one, str(directory), "first")
    write_layout(store, two, str(directory), "second")
    assert index_of(directory) == [(one.manifest, "first"), (two.manifest, "second")]
    assert sorted(os.listdir(directory / "blobs/sha256")) == [digest[7:] for digest in store.blobs.all()]
    for digest in store.blobs.all():
        copy = directory / "blobs/sha256" / digest[7:]
        assert copy.read_bytes() == store.blobs.read(digest)
        assert os.stat(copy).st_ino != os.stat(store.blobs.path(digest)).st_ino
    write_layout(store, two, str(directory), "first")  # the tag moves
    write_layout(store, one, str(directory))
    write_layout(store, one, str(directory))  # without a tag it is in the index once
    assert index_of(directory) == [(two.manifest, "second"), (two.manifest, "first"), (one.manifest, "")]
    assert not [name for name in os.listdir(directory) if name.endswith(".new")]


def test_a_layouts_foreign_entries_and_fields_stay(context: Context, tmp_path: Path) -> None:
    foreign = {"mediaType": "x/y", "digest": "sha256:" + "0" * 64, "size": 1, "platform": {"os": "plan9"}}
    index = {"schemaVersion": 2, "manifests": [foreign], "annotations": {"who": "me"}}
    (tmp_path / "index.json").write_text(json.dumps(index))
    (tmp_path / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    write_layout(context.store, context.store.images.get(ONE.id), str(tmp_path), "tag")
    found = json.loads((tmp_path / "index.json").read_bytes())
    assert (found["annotations"], found["manifests"][0]) == ({"who": "me"}, foreign)


def test_a_directory_of_something_else_is_refused(context: Context, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("x")
    with pytest.raises(InvalidInput, match=r"is no OCI layout"):
        write_layout(context.store, context.store.images.get(ONE.id), str(tmp_path))
    assert {"index.json", "oci-layout", "blobs"}.isdisjoint(os.listdir(tmp_path))


def test_a_missing_blob_leaves_the_layout_as_it_was(context: Context, tmp_path: Path) -> None:
    store = context.store
    write_layout(store, store.images.get(ONE.id), str(tmp_path / "layout"), "first")
    before = (tmp_path / "layout/index.json").read_bytes()
    two = store.images.get(TWO.id)
    os.unlink(store.blobs.path(store.images.manifest(two).layers[1].digest))
    with pytest.raises(BrokenStore, match="is missing"):
        write_layout(store, two, str(tmp_path / "layout"), "second")
    assert (tmp_path / "layout/index.json").read_bytes() == before
