"""`load`: every form of archive that others write becomes the same image, and a bad one leaves the store as it was."""

from __future__ import annotations

import functools
import gzip
import hashlib
import io
import json
import os
import random
import stat
import threading
from pathlib import Path

import pytest

from engine.archive import compression
from engine.archive.load import Loaded, load
from engine.errors import InvalidInput, NoSuchImage
from engine.store.root import Store
from tests.support.archives import (
    Dir,
    File,
    HardLink,
    ImageSpec,
    Layer,
    Member,
    Opaque,
    Symlink,
    Whiteout,
    diff_id,
    docker_archive,
    layer_tar,
    oci_archive,
    outer_tar,
)
from tests.support.children import together
from tests.support.needs import needs_root

needs_root()

BASE: list[Member] = [
    Dir("./", 0o751, uid=7),
    Dir("etc"),
    File("etc/passwd", b"root:x:0:0::/:/bin/sh\n", 0o640, gid=42),
    HardLink("etc/link", "etc/passwd"),
    Symlink("etc/sym", "../../outside"),
    Dir("srv"),
    File("srv/old", b"old" * 1000),
    File("etc/caf\udce9", b"not utf-8", xattrs={"user.k": b"\0v"}),
]
TOP: list[Member] = [Whiteout("etc/passwd"), Opaque("srv"), File("srv/new", b"new")]
SPEC = ImageSpec([BASE, TOP, []], ["demo:1", "other"], {"Cmd": ["sh"]})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "root"))


def loaded(store: Store, data: bytes) -> list[Loaded]:
    return load(store, io.BytesIO(data))


def untouched(store: Store) -> bool:
    """Whether the store holds nothing at all."""
    return (
        not store.images.read()[1]
        and not store.layers.ids()
        and not [*store.blobs.all(), *os.listdir(store.path("tmp"))]
    )


@pytest.mark.parametrize("whole", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("gzip_layers", [False, True], ids=["plain layers", "gzip layers"])
@pytest.mark.parametrize("manifest_first", [False, True], ids=["manifest last", "manifest first"])
@pytest.mark.parametrize("style", ["podman", "docker25", "old"])
def test_every_form_of_docker_archive_gives_the_same_image(
    store: Store, style: str, manifest_first: bool, gzip_layers: bool, whole: bool
) -> None:
    data = docker_archive(SPEC, style=style, gzip_layers=gzip_layers, manifest_first=manifest_first)
    (result,) = loaded(store, gzip.compress(data, 1) if whole else data)
    assert result == Loaded(("docker.io/library/demo:1", "docker.io/library/other:latest"), SPEC.id)
    check_image(store, gzip_layers)


def test_an_oci_archive_gives_the_same_image(store: Store) -> None:
    (result,) = loaded(store, oci_archive(SPEC, ref_name="demo:1"))
    assert result == Loaded(("docker.io/library/demo:1",), SPEC.id)
    check_image(store, True)


def test_a_bare_tag_in_an_oci_archive_names_nothing(store: Store) -> None:
    assert loaded(store, oci_archive(SPEC, ref_name="latest")) == [Loaded((), SPEC.id)]


def check_image(store: Store, gzip_layers: bool) -> None:
    image = store.images.resolve("demo:1")
    assert (image.id, image.config.cmd, image.parent) == (SPEC.id, ["sh"], "")
    assert image.size == 22 + 3000 + 9 + 3
    base, top, empty = image.layers
    assert store.layers.chain(empty) == [base, top, empty]
    record = store.layers.get(base)
    assert (record.parent, record.diff_id, record.created_by) == (None, diff_id(BASE), "layer 0")
    assert [store.layers.get(layer_id).empty for layer_id in image.layers] == [False, False, True]
    diff = os.fsencode(store.layers.diff_path(base))
    assert os.listdir(diff + b"/etc") and os.lstat(diff + b"/etc/caf\xe9").st_size == 9
    assert os.getxattr(diff + b"/etc/caf\xe9", b"user.k") == b"\0v"
    assert os.lstat(diff + b"/etc/link").st_ino == os.lstat(diff + b"/etc/passwd").st_ino
    assert os.readlink(diff + b"/etc/sym") == b"../../outside"
    assert stat.S_ISCHR(os.lstat(store.layers.diff_path(top) + "/etc/passwd").st_mode)
    assert os.getxattr(store.layers.diff_path(top) + "/srv", "trusted.overlay.opaque") == b"y"
    indexed = {entry.path: entry for entry in store.layers.index(base)}
    assert indexed["etc/passwd"].mode == 0o640 and indexed["etc/passwd"].gid == 42
    for layer_id in image.layers:  # the root looks the same all the way up
        root = os.stat(store.layers.diff_path(layer_id))
        assert (stat.S_IMODE(root.st_mode), root.st_uid) == (0o751, 7)
    for layer, blob in zip(SPEC.layers, store.images.manifest(image).layers, strict=True):
        kept = store.blobs.read(blob.digest)
        assert kept == (gzip.compress(layer_tar(layer), 1, mtime=0) if gzip_layers else layer_tar(layer))
        assert blob.media_type.endswith("+gzip") is gzip_layers and blob.size == len(kept)
    assert os.listdir(store.path("tmp")) == []


def test_an_archive_comes_through_a_pipe(store: Store) -> None:
    out, into = os.pipe()
    data = gzip.compress(docker_archive(SPEC), 1)

    def write() -> None:
        with os.fdopen(into, "wb") as pipe:
            for start in range(0, len(data), 700):
                pipe.write(data[start : start + 700])
                pipe.flush()

    writer = threading.Thread(target=write)
    writer.start()
    with os.fdopen(out, "rb", buffering=0) as pipe:
        results = load(store, pipe)
    writer.join()
    assert [result.image for result in results] == [SPEC.id]


def test_several_images_in_one_archive_share_what_they_share(store: Store) -> None:
    other = ImageSpec([BASE, [File("other", b"x")]], ["third"])
    results = loaded(store, docker_archive(SPEC, other))
    assert [result.image for result in results] == [SPEC.id, other.id]
    first, second = store.images.get(SPEC.id), store.images.get(other.id)
    assert first.layers[0] == second.layers[0]
    assert len(store.layers.ids()) == 4
    assert [store.images.find(name) for name in ("demo:1", "other", "third")] == [SPEC.id, SPEC.id, other.id]


def test_equal_layers_at_two_heights_are_two_layers_with_one_archive(store: Store) -> None:
    spec = ImageSpec([TOP, BASE, TOP], ["demo"])
    for style in ("old", "podman"):
        loaded(store, docker_archive(spec, style=style))
        image = store.images.get(spec.id)
        assert len(set(image.layers)) == 3
        assert len({blob.digest for blob in store.images.manifest(image).layers}) == 2


def test_what_is_there_already_is_not_made_again(store: Store) -> None:
    loaded(store, docker_archive(SPEC))
    before = {layer_id: os.stat(store.layers.path(layer_id)) for layer_id in store.layers.ids()}
    loaded(store, docker_archive(SPEC, gzip_layers=True))
    upon = ImageSpec([*SPEC.layers[:2], [File("more", b"x")]], ["upon"])
    loaded(store, docker_archive(upon))
    for layer_id, was in before.items():
        now = os.stat(store.layers.path(layer_id))
        assert (now.st_ino, now.st_mtime_ns) == (was.st_ino, was.st_mtime_ns)
    assert len(store.layers.ids()) == 4
    assert not store.images.manifest(store.images.get(SPEC.id)).layers[0].media_type.endswith("gzip")


def test_loading_the_same_image_from_many_processes_at_once_succeeds_in_each(store: Store) -> None:
    data = docker_archive(SPEC)
    answers = together([lambda: loaded(store, data)] * 4)
    assert answers == [[Loaded(("docker.io/library/demo:1", "docker.io/library/other:latest"), SPEC.id)]] * 4
    assert len(store.layers.ids()) == 3
    check_image(store, False)


def test_loading_while_it_is_removed_again_and_again_always_succeeds(store: Store) -> None:
    data = docker_archive(SPEC)

    def load_often() -> int:
        return sum(len(loaded(store, data)) for _ in range(15))

    def remove_often() -> int:
        removed = 0
        for _ in range(60):
            try:
                removed += len(store.images.remove(SPEC.id))
            except NoSuchImage:
                continue
        return removed

    first, second, removed = together([load_often, load_often, remove_often])
    assert (first, second) == (15, 15), (first, second)
    assert isinstance(removed, int), removed
    loaded(store, data)
    check_image(store, False)


def test_names_move_to_the_newest_and_the_old_image_stays(store: Store) -> None:
    newer = ImageSpec([BASE], ["demo:1"])
    loaded(store, docker_archive(SPEC))
    loaded(store, docker_archive(newer))
    assert store.images.find("demo:1") == newer.id
    assert store.images.get(SPEC.id).names == ("docker.io/library/other:latest",)


# What must be refused, with the store as before.


def entry(**change: object) -> dict[str, object]:
    return {"Config": "config.json", "RepoTags": ["demo"], "Layers": ["a.tar"], **change}


def by_hand(manifest: object, layer: Layer = TOP, config: bytes | None = None, **files: bytes) -> bytes:
    spec = ImageSpec([layer])
    return outer_tar(
        [
            ("a.tar", layer_tar(layer)),
            ("config.json", config or spec.document()),
            *((name.replace("__", "/"), data) for name, data in files.items()),
            ("manifest.json", manifest if isinstance(manifest, bytes) else json.dumps(manifest).encode()),
        ]
    )


def test_the_archive_made_by_hand_is_good(store: Store) -> None:
    assert loaded(store, by_hand([entry()]))[0].names == ("docker.io/library/demo:latest",)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "neither manifest.json nor index.json"),
        (b"not an archive at all" * 100, "damaged archive"),
        (bytes(10240), "neither manifest.json nor index.json"),
        (b"\x1f\x8b" + b"not gzip" * 100, "damaged"),
        (b"\x28\xb5\x2f\xfd" + bytes([0xFF] * 100), "the archive is damaged: zstd"),
        (b"BZh9" + bytes(100), "the archive is damaged: Invalid data stream"),
        (b"\xfd7zXZ\x00" + bytes(100), "the archive is damaged"),
        (outer_tar([("README", b"hello")]), "neither manifest.json nor index.json"),
        (by_hand(b"{}"), "not a list of images"),
        (by_hand([]), "not a list of images"),
        (by_hand([1]), "not a list of images"),
        (by_hand(b"["), "not valid JSON"),
        (by_hand(b'[{"Config": "config.json", "Config": "a.tar", "Layers": []}]'), "appears twice"),
        (by_hand([entry(Config=1)]), "needs a Config"),
        (by_hand([entry(Layers="a.tar")]), "needs a Config"),
        (by_hand([entry(RepoTags=["Not Good"])]), "invalid reference format"),
        (by_hand([entry(Config="/etc/passwd")]), "no file '/etc/passwd'"),
        (by_hand([entry(Layers=["../../etc/passwd"])]), "no file '../../etc/passwd'"),
        (by_hand([entry(Layers=["a.tar", "a.tar"])]), "layers length mismatch: expected 1, got 2"),
        (by_hand([entry(Layers=[])]), "layers length mismatch: expected 1, got 0"),
        (by_hand([entry()], config=ImageSpec([BASE]).document()), "diff id"),
        (by_hand([entry()], config=b"[]"), "not a JSON object"),
        (by_hand([entry()], config=b" " * (5 << 20)), "too large"),
        (by_hand(b"[" + b" " * (5 << 20) + b"]"), "too large"),
        (
            by_hand([entry(Layers=["blobs/sha256/" + "a" * 64])], **{"blobs__sha256__" + "a" * 64: layer_tar(TOP)}),
            "damaged",
        ),
        (by_hand([entry()], layer=[File("../up")]), r"'\.\.' in it"),
        (by_hand([entry()], layer=[File("a"), File("a/b")]), "^layer 1 of 1: .*no directory"),
        (by_hand([entry()], layer=layer_tar(TOP)[:-1024] + b"\xff" * 512), "checksum"),
        (by_hand([entry()], layer=gzip.compress(layer_tar(TOP))[:-20]), "gzip"),
    ],
)
def test_a_bad_archive_is_refused_and_nothing_is_left(store: Store, data: bytes, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        loaded(store, data)
    assert untouched(store)


def test_a_name_twice_with_different_content_is_ambiguous(store: Store) -> None:
    with pytest.raises(InvalidInput, match="'x' is in it twice"):
        loaded(store, outer_tar([("x", b"1"), ("./x", b"2")]))
    with pytest.raises(InvalidInput, match="'x' is in it twice"):
        loaded(store, outer_tar([("x", b"1")], {"x": "y"}))
    assert untouched(store)


def test_links_in_circles_end(store: Store) -> None:
    data = outer_tar([("manifest.json", b'[{"Config": "a", "Layers": []}]')], {"a": "b", "b": "a"})
    with pytest.raises(InvalidInput, match="no file 'a'"):
        loaded(store, data)


def test_more_layers_than_overlayfs_can_stack_are_refused(store: Store) -> None:
    with pytest.raises(InvalidInput, match="501 layers"):
        loaded(store, docker_archive(ImageSpec([[File("a", b"x")]] * 501)))
    assert untouched(store)


def test_a_bad_second_image_keeps_the_first_out_too(store: Store) -> None:
    bad = ImageSpec([TOP], ["bad"], extra={"rootfs": {"type": "layers", "diff_ids": [diff_id(BASE)]}})
    with pytest.raises(InvalidInput, match="layer 1 of 1 is damaged"):
        loaded(store, docker_archive(SPEC, bad))
    assert untouched(store)


def test_a_layer_that_is_there_already_is_checked_all_the_same(store: Store) -> None:
    loaded(store, docker_archive(SPEC))
    liar = by_hand([entry(Layers=["a.tar"])], layer=[File("liar", b"x")], config=ImageSpec([BASE]).document())
    with pytest.raises(InvalidInput, match="damaged or not the layer"):
        loaded(store, liar)
    assert [image.id for image in store.images.all()] == [SPEC.id]


@pytest.mark.parametrize("whole", [False, True], ids=["plain", "gzip"])
def test_an_archive_cut_short_anywhere_is_refused_and_leaves_nothing(store: Store, whole: bool) -> None:
    data = docker_archive(SPEC)
    end = len(data.rstrip(b"\0"))
    if whole:
        data = gzip.compress(data, 1)
        end = len(data) - 1
    for cut in range(1, end, max(1, end // 60)):
        with pytest.raises(InvalidInput):
            loaded(store, data[:cut])
        assert untouched(store), cut


@pytest.mark.parametrize("whole", [False, True], ids=["plain", "gzip"])
def test_a_flipped_bit_is_an_error_or_harmless_never_a_crash_or_a_wrong_layer(store: Store, whole: bool) -> None:
    data = docker_archive(SPEC)
    data = gzip.compress(data, 1) if whole else data
    chance = random.Random(7)
    refused = 0
    for _ in range(150):
        flipped = bytearray(data)
        flipped[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        try:
            (result,) = loaded(store, bytes(flipped))
        except InvalidInput:
            refused += 1
            assert untouched(store)
        else:  # in padding, in a time of the outer archive, or in a tag's letters
            assert result.image == SPEC.id
            assert store.images.remove(result.image)
    assert refused > 50


def test_a_stream_of_zeros_without_end_is_refused(store: Store) -> None:
    with open("/dev/zero", "rb") as zeros, pytest.raises(InvalidInput, match="goes on for more than"):
        load(store, zeros)
    assert untouched(store)


@pytest.mark.parametrize("whole", [False, True], ids=["layer", "whole archive"])
def test_a_gzip_bomb_is_refused(store: Store, monkeypatch: pytest.MonkeyPatch, whole: bool) -> None:
    monkeypatch.setattr(compression, "BOMB_SIZE", 10 << 20)
    spec = ImageSpec([[File("zeros", bytes(20 << 20))]], ["bomb"])
    data = docker_archive(spec, gzip_layers=not whole)
    with pytest.raises(InvalidInput, match="is a bomb"):
        loaded(store, gzip.compress(data, 9) if whole else data)
    assert untouched(store)
    loaded(store, docker_archive(spec))  # as large, but not out of nothing


def test_texts_of_the_archive_reach_the_terminal_escaped(store: Store) -> None:
    for manifest in ([entry(Config="\x1b[2J")], [entry(RepoTags=["\x1b[2JBAD"])], [entry(Layers=["\x1b[2J"])]):
        with pytest.raises(InvalidInput) as caught:
            loaded(store, by_hand(manifest))
        assert str(caught.value).isprintable()


def test_random_bytes_are_refused(store: Store) -> None:
    chance = random.Random(1)
    for _ in range(30):
        with pytest.raises(InvalidInput):
            loaded(store, chance.randbytes(chance.randrange(1, 5000)))
    assert untouched(store)


def test_config_digests_in_names_are_believed_only_if_true(store: Store) -> None:
    data = docker_archive(SPEC)
    name = hashlib.sha256(SPEC.document()).hexdigest() + ".json"
    assert name.encode() in data
    swapped = data.replace(b'"architecture": "amd64"', b'"architecture": "amd65"')
    with pytest.raises(InvalidInput, match="is damaged"):
        loaded(store, swapped)
    assert untouched(store)


def test_a_dead_loaders_leftovers_are_cleaned_by_the_next(store: Store) -> None:
    def die() -> None:
        staging = store.tmp_dir()
        Path(staging.join("half")).write_bytes(b"x" * 1000)
        os._exit(9)

    together([functools.partial(die)])
    assert len(os.listdir(store.path("tmp"))) == 1
    loaded(store, docker_archive(SPEC))
    assert os.listdir(store.path("tmp")) == []
