"""Archives, manifests and indexes changed at random: the same image, or a clear error and the store as it was."""

from __future__ import annotations

import io
import json
import os
import tempfile
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from engine.archive.load import load
from engine.errors import InvalidInput, StrataError
from engine.oci.manifests import parse_index, parse_manifest
from engine.store.incoming import broken
from engine.store.root import Store
from tests.support.archives import (
    Dir,
    File,
    HardLink,
    ImageSpec,
    Opaque,
    Symlink,
    Whiteout,
    docker_archive,
    oci_archive,
)
from tests.support.needs import needs_root

needs_root()

LAYERS = [
    [Dir("etc"), File("etc/a", b"hello"), HardLink("etc/b", "etc/a"), Symlink("etc/l", "/x")],
    [Whiteout("etc/a"), Dir("srv"), Opaque("srv"), File("srv/x", b"y" * 700, xattrs={"user.k": b"v"})],
]
SPEC = ImageSpec(LAYERS, ["demo"], {"Cmd": ["sh"]})
ARCHIVES = [
    docker_archive(SPEC),
    docker_archive(SPEC, style="docker25", gzip_layers=True),
    docker_archive(SPEC, style="old"),
    oci_archive(SPEC, ref_name="demo:1"),
]
KEYS = (
    "schemaVersion",
    "mediaType",
    "config",
    "layers",
    "manifests",
    "digest",
    "size",
    "annotations",
    "platform",
    "urls",
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.just("sha256:" + "a" * 64),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=6),
    max_leaves=20,
)


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    which=st.integers(0, len(ARCHIVES) - 1),
    changes=st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(1, 255)), max_size=3),
    cut=st.none() | st.integers(0, 1 << 20),
)
@example(which=0, changes=[], cut=None)
def test_a_changed_archive_is_the_same_image_or_refused(
    which: int, changes: list[tuple[int, int]], cut: int | None
) -> None:
    data = bytearray(ARCHIVES[which])
    for position, flip in changes:
        data[position % len(data)] ^= flip
    if cut is not None:
        del data[cut % len(data) :]
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="fuzz-") as directory:
        store = Store(os.path.join(directory, "root"))
        file = io.BytesIO(bytes(data))
        try:
            found = load(store, file)
        except StrataError:
            assert store.images.read() == ({}, {})
            assert not (store.layers.ids() or [*store.blobs.all()] or os.listdir(store.path("tmp")) or broken(store))
        else:
            # A name or an unread byte may have changed; what is digested has not, unless its digest did with it.
            for one in found:
                record = store.images.get(one.image)
                assert len(record.layers) == len(record.config.diff_ids)
        assert sorted(os.listdir(directory)) == ["root"]


@pytest.mark.parametrize("parse", [parse_manifest, parse_index])
@settings(max_examples=300, deadline=None)
@given(document=json_values, raw=st.none() | st.binary(max_size=60))
def test_any_document_is_read_or_refused(parse: Callable[[bytes], object], document: object, raw: bytes | None) -> None:
    data = json.dumps(document).encode() if raw is None else raw
    try:
        parse(data)
    except InvalidInput:
        pass  # anything else fails the test
