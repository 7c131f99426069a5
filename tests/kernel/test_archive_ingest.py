"""Ingest: worker processes give what one process gives, broken downloads go on, and a failure leaves nothing."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import random
import tarfile
from pathlib import Path

import pytest
import zstandard

from engine.archive import ingest as module
from engine.archive.ingest import ComingImage, ComingLayer, ingest
from engine.archive.load import load
from engine.errors import InvalidInput
from engine.layers.entry import Entry
from engine.oci.digests import digest_of
from engine.progress import Progress
from engine.store.incoming import Incoming, broken
from engine.store.root import Store
from tests.support.archives import Dir, File, ImageSpec, Opaque, Whiteout, docker_archive, layer_tar, oci_archive
from tests.support.command import Strata
from tests.support.needs import needs_root

needs_root()

NOISE = random.Random(1).randbytes(300_000)
LAYERS = [
    [Dir("./", 0o711, uid=3, xattrs={"user.k": b"v"}), Dir("etc"), File("etc/a", NOISE)],
    [File("etc/b", b"b" * 9000), Whiteout("etc/a")],
    [Dir("srv"), Opaque("etc"), File("etc/c", b"c")],
    [File("d", NOISE[:100_000])],
]
SPEC = ImageSpec(LAYERS, ["demo"], {"Cmd": ["sh"]})
SKIPPED = b"\x50\x2a\x4d\x18\x04\0\0\0abcd"  # a zstd frame that holds no data
ARCHIVES = [gzip.compress(layer_tar(layer), 1, mtime=0) for layer in LAYERS]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "root"))


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """However small the image is, worker processes take it in."""
    monkeypatch.setattr(module, "SMALL", -1)


class Cut(io.BytesIO):
    """A network that breaks after so many bytes."""

    def __init__(self, data: bytes, after: int) -> None:
        super().__init__(data)
        self.after = after

    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell() >= self.after:
            raise ConnectionResetError(104, "Connection reset by peer")
        return super().read(min(size or 0, self.after - self.tell()))


def coming(archives: list[bytes], opened: list[tuple[int, int]] | None = None, cut: int = -1) -> ComingImage:
    """The image as a registry gives it. opened: notes (layer, offset); cut: the layer that breaks in the middle."""

    def layer(number: int) -> ComingLayer:
        data = archives[number]

        def begin(offset: int) -> io.BytesIO:
            if opened is not None:
                opened.append((number, offset))
            if number == cut:
                stream: io.BytesIO = Cut(data, len(data) // 2)
                stream.seek(offset)
            else:
                stream = io.BytesIO(data)
                stream.seek(offset)
            return stream

        return ComingLayer(digest_of(data), len(data), open=begin)

    return ComingImage(SPEC.document(), tuple(layer(number) for number in range(len(archives))), ())


def facts(store: Store) -> list[list[Entry]]:
    return [list(store.layers.index(layer)) for layer in store.images.get(SPEC.id).layers]


def empty(store: Store) -> bool:
    kept = [*store.layers.ids(), *store.blobs.all(), *os.listdir(store.path("tmp"))]
    return not (store.images.read()[1] or kept or broken(store))


def test_workers_give_what_one_process_gives(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = Store(str(tmp_path / "other"))
    ingest(other, [coming(ARCHIVES)])
    monkeypatch.setattr(module, "SMALL", -1)
    said: list[Progress] = []
    assert ingest(store, [coming(ARCHIVES)], report=said.append) == [SPEC.id]

    assert facts(store) == facts(other)
    tops = [os.stat(store.layers.diff_path(layer)) for layer in store.images.get(SPEC.id).layers]
    assert {(top.st_mode & 0o7777, top.st_uid) for top in tops} == {(0o711, 3)}
    assert [os.getxattr(store.layers.diff_path(layer), "user.k") for layer in store.images.get(SPEC.id).layers] == [
        b"v"
    ] * 4
    assert {one.id for one in said} == {digest_of(data)[7:19] for data in ARCHIVES}
    assert [one.action for one in said].count("Pull complete") == 4
    assert os.listdir(store.path("tmp")) == [] and broken(store) == []


@pytest.mark.parametrize("many", [False, True], ids=["one process", "workers"])
def test_a_broken_download_is_gone_on_with(store: Store, many: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if many:
        monkeypatch.setattr(module, "SMALL", -1)
    with pytest.raises(ConnectionResetError):
        ingest(store, [coming(ARCHIVES, cut=3)])
    assert store.images.read()[1] == {}
    size = len(ARCHIVES[3]) // 2
    assert (store.path("incoming", digest_of(ARCHIVES[3])[7:]), size) in broken(store)
    opened: list[tuple[int, int]] = []
    ingest(store, [coming(ARCHIVES, opened)])
    assert (3, size) in opened
    assert (0, 0) not in opened, "a layer that was whole is not fetched again"
    assert store.images.get(SPEC.id).layers and broken(store) == []


def test_what_a_broken_download_left_is_not_trusted(store: Store, workers: None) -> None:
    with pytest.raises(ConnectionResetError):
        ingest(store, [coming(ARCHIVES, cut=3)])
    with open(store.path("incoming", digest_of(ARCHIVES[3])[7:]), "r+b") as file:
        file.seek(100)
        file.write(bytes(500))
    ingest(store, [coming(ARCHIVES)])
    with store.blobs.open(digest_of(ARCHIVES[3])) as blob:
        assert blob.read() == ARCHIVES[3]


@pytest.mark.parametrize("many", [False, True], ids=["one process", "workers"])
@pytest.mark.parametrize("bad", [0, 2, 3])
def test_a_layer_that_lies_leaves_nothing(store: Store, bad: int, many: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if many:
        monkeypatch.setattr(module, "SMALL", -1)
    image = coming(ARCHIVES)
    other = gzip.compress(layer_tar([File("evil")]), 1, mtime=0)
    layers = list(image.layers)
    layers[bad] = ComingLayer(layers[bad].digest, len(other), open=lambda offset: io.BytesIO(other[offset:]))
    with pytest.raises(InvalidInput, match=f"layer {bad + 1} of 4 is damaged: its archive has the digest"):
        ingest(store, [ComingImage(image.config, tuple(layers))])
    assert empty(store)
    layers[bad] = ComingLayer(digest_of(other), len(other), open=lambda offset: io.BytesIO(other[offset:]))
    with pytest.raises(InvalidInput, match="diff id"):
        ingest(store, [ComingImage(image.config, tuple(layers))])
    assert empty(store)
    layers[bad] = ComingLayer(digest_of(other), 10, open=lambda offset: io.BytesIO(other[offset:]))
    with pytest.raises(InvalidInput, match="longer than the 10 bytes promised"):
        ingest(store, [ComingImage(image.config, tuple(layers))])
    assert empty(store)


@pytest.mark.parametrize("many", [False, True], ids=["one process", "workers"])
@pytest.mark.parametrize(
    ("name", "compress"),
    [
        ("gzip", lambda data: gzip.compress(data[:700], 1) + gzip.compress(data[700:], 1)),
        (
            "zstd",
            lambda data: (
                b"\x50\x2a\x4d\x18\x04\0\0\0abcd" + zstandard.compress(data[:700]) + zstandard.compress(data[700:])
            ),
        ),
        ("xz", lambda data: lzma.compress(data[:700]) + bytes(8) + lzma.compress(data[700:])),
        ("bzip2", lambda data: bz2.compress(data[:700]) + bz2.compress(data[700:])),
    ],
)
def test_layers_and_archives_compressed_in_any_way(
    store: Store, name: str, compress: object, many: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert callable(compress)
    if many:
        monkeypatch.setattr(module, "SMALL", -1)
    source = io.BytesIO(docker_archive(SPEC))
    out = io.BytesIO()
    with tarfile.open(fileobj=source) as old, tarfile.open(fileobj=out, mode="w") as new:
        names = {}
        for member in old.getmembers():
            if not member.isfile():
                continue
            file = old.extractfile(member)
            assert file is not None
            data = file.read()
            if member.name.endswith(".tar"):
                data = compress(data)
            info = tarfile.TarInfo(member.name)
            info.size = len(data)
            names[member.name] = len(data)
            new.addfile(info, io.BytesIO(data))
    (found,) = load(store, io.BytesIO(compress(out.getvalue())))
    assert found.image == SPEC.id
    kept = store.images.manifest(store.images.get(SPEC.id)).layers
    media = {"gzip": "gzip", "zstd": "zstd"}.get(name, "tar")
    assert all(layer.media_type.endswith(media) for layer in kept)
    assert all(digest_of(store.blobs.read(layer.digest)) == layer.digest for layer in kept)


def test_a_file_is_read_where_it_lies_and_a_directory_too(store: Store, tmp_path: Path, workers: None) -> None:
    archive = tmp_path / "demo.tar"
    archive.write_bytes(b"before it" * 100 + oci_archive(SPEC, ref_name="demo:oci"))
    with open(archive, "rb") as file:
        file.seek(900)
        (found,) = load(store, file)
    assert (found.image, found.names) == (SPEC.id, ("docker.io/library/demo:oci",))
    other = Store(str(tmp_path / "other"))
    layout = tmp_path / "layout"
    with tarfile.open(fileobj=io.BytesIO(oci_archive(SPEC, ref_name="bare"))) as tar:
        tar.extractall(layout, filter="data")
    assert load(other, str(layout), only="bare")[0].image == SPEC.id
    with pytest.raises(InvalidInput, match="names no image 'none': it has bare"):
        load(other, str(layout), only="none")
    with pytest.raises(InvalidInput, match="is not a directory"):
        load(other, str(tmp_path / "nowhere"))
    cut = tmp_path / "cut.tar"
    for size in (100, 1024, 3000, len(archive.read_bytes()) - 200_000):
        cut.write_bytes(archive.read_bytes()[900 : 900 + size])
        with open(cut, "rb") as file, pytest.raises(InvalidInput, match=r"truncated|neither manifest|incomplete"):
            load(Store(str(tmp_path / "third")), file)


def test_a_manifest_comes_through_to_the_byte(store: Store) -> None:
    files: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(oci_archive(SPEC))) as tar:
        for member in tar.getmembers():
            file = tar.extractfile(member)
            assert file is not None
            files[member.name] = file.read()
    index = json.loads(files["index.json"])
    old = index["manifests"][0]["digest"]
    manifest = json.loads(files.pop(f"blobs/sha256/{old[7:]}"))
    manifest |= {"annotations": {"who": "me"}, "unknown": [1, {"x": None}]}
    data = json.dumps(manifest, indent=3).encode()
    files[f"blobs/sha256/{digest_of(data)[7:]}"] = data
    index["manifests"][0] |= {"digest": digest_of(data), "size": len(data)}
    files["index.json"] = json.dumps(index).encode()
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    load(store, io.BytesIO(out.getvalue()))
    record = store.images.get(SPEC.id)
    assert record.manifest == digest_of(data) and store.blobs.read(record.manifest) == data


def test_an_archive_older_than_manifest_json(store: Store) -> None:
    ids = [f"{number:064x}" for number in range(1, 5)]
    files: dict[str, bytes] = {"repositories": json.dumps({"old": {"1": ids[-1]}}).encode()}
    for number, (name, layer) in enumerate(zip(ids, LAYERS, strict=True)):
        document = {
            "id": name,
            "created": "2015-01-02T03:04:05Z",
            "container_config": {"Cmd": ["/bin/sh", "-c", f"step {number}"]},
        }
        document |= {"parent": ids[number - 1]} if number else {}
        document |= {"config": {"Cmd": ["sh"]}, "architecture": "amd64", "os": "linux"}
        files |= {
            f"{name}/json": json.dumps(document).encode(),
            f"{name}/VERSION": b"1.0",
            f"{name}/layer.tar": layer_tar(layer),
        }
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    (found,) = load(store, io.BytesIO(out.getvalue()))
    image = store.images.get(found.image)
    assert found.names == ("docker.io/library/old:1",)
    assert image.config.diff_ids == tuple(digest_of(layer_tar(layer)) for layer in LAYERS)
    assert [row.created_by for row in image.config.history] == [f"/bin/sh -c step {number}" for number in range(4)]
    assert image.config.cmd == ["sh"]


@pytest.mark.timeout(40)
@pytest.mark.parametrize("many", [False, True], ids=["one process", "workers"])
def test_a_layer_that_an_image_has_several_times_is_fetched_once(
    store: Store, many: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if many:
        monkeypatch.setattr(module, "SMALL", -1)
    spec = ImageSpec([LAYERS[0], LAYERS[1], [], LAYERS[3], [], LAYERS[1], []])
    opened: list[tuple[int, int]] = []
    image = coming([gzip.compress(layer_tar(layer), 1, mtime=0) for layer in spec.layers], opened)
    ingest(store, [ComingImage(spec.document(), image.layers)])
    assert len(store.images.get(spec.id).layers) == 7
    assert sorted(number for number, _ in opened) in ([0, 1, 2, 3], [0, 1, 3, 4]), "each archive once"
    assert broken(store) == [] and os.listdir(store.path("tmp")) == []


@pytest.mark.timeout(40)
@pytest.mark.parametrize("many", [False, True], ids=["one process", "workers"])
def test_somebody_who_holds_a_download_and_does_nothing_holds_up_nobody(
    store: Store, many: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if many:
        monkeypatch.setattr(module, "SMALL", -1)
    monkeypatch.setattr("engine.store.incoming.PATIENCE", 0.3)
    with Incoming(store, digest_of(ARCHIVES[1])) as stuck:
        os.write(stuck.fd, b"x")
        ingest(store, [coming(ARCHIVES)])
        assert facts(store)
        assert os.path.getsize(stuck.path) == 1


def test_the_command_loads_a_directory_and_another_platforms_image(tmp_path: Path) -> None:
    layout = tmp_path / "layout"
    other = ImageSpec([[File("arm")]], ["demo:arm"], extra={"architecture": "arm64"})
    for number, spec in enumerate((SPEC, other)):
        with tarfile.open(fileobj=io.BytesIO(oci_archive(spec, ref_name="both:1"))) as tar:
            tar.extractall(layout / str(number), filter="data")
    entries = []
    for number, architecture in enumerate(("amd64", "arm64")):
        (entry,) = json.loads((layout / str(number) / "index.json").read_bytes())["manifests"]
        entries.append({**entry, "platform": {"os": "linux", "architecture": architecture}})
        entries[-1].pop("annotations")
        for blob in (layout / str(number) / "blobs/sha256").iterdir():
            (layout / "blobs/sha256").mkdir(parents=True, exist_ok=True)
            blob.rename(layout / "blobs/sha256" / blob.name)
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": entries}))
    with Strata() as strata:
        assert strata("load", "-q", "-i", str(layout), "--platform", "linux/amd64") == f"Loaded image ID: {SPEC.id}"
        assert strata("load", "-i", str(layout), "--platform", "linux/arm64") == f"Loaded image ID: {other.id}"
        done = strata.run("load", "-i", str(layout), "--platform", "linux/s390x")
        assert (done.returncode, done.stdout) == (1, "") and "no image for linux/s390x" in done.stderr
