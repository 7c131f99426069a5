"""`import`: any flat tar, however compressed and wherever from, is an image of one layer; nothing else gets in."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import json
import lzma
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import zstandard

from engine import Engine
from engine.errors import InvalidInput, StrataError
from engine.oci.platforms import host_platform
from engine.progress import Progress
from tests.faults.test_store_crash import check
from tests.support.archives import CharDevice, Dir, File, layer_tar
from tests.support.needs import needs_root

needs_root()

TREE = layer_tar([Dir(".", 0o711), Dir("etc"), File("etc/motd", b"hello" * 1000)])
DIFF_ID = "sha256:" + hashlib.sha256(TREE).hexdigest()
GZIP, ZSTD = gzip.compress(TREE, mtime=0), zstandard.ZstdCompressor().compress(TREE)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with Engine(str(tmp_path / "root")) as found:
        yield found


@pytest.mark.parametrize(
    ("data", "kept", "suffix"),
    [
        (TREE, TREE, ""),
        (GZIP, GZIP, "+gzip"),
        (ZSTD, ZSTD, "+zstd"),
        (lzma.compress(TREE), TREE, ""),
        (bz2.compress(TREE), TREE, ""),
    ],
)
def test_compressed_in_any_way(engine: Engine, data: bytes, kept: bytes, suffix: str) -> None:
    image = engine.image(engine.import_image(io.BytesIO(data), "demo"))
    assert image.config.diff_ids == (DIFF_ID,)
    (layer,) = engine.store.images.manifest(image).layers
    assert layer.media_type == "application/vnd.oci.image.layer.v1.tar" + suffix
    assert engine.store.blobs.read(layer.digest) == kept
    assert [entry.path for entry in engine.store.layers.index(image.layers[0])] == ["", "etc", "etc/motd"]


def test_the_config_is_what_dockers_import_makes(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "tree.tar").write_bytes(TREE)
    image = engine.import_image(
        str(tmp_path / "tree.tar"), "host:5000/a/b:v1", changes=["CMD sh -c true", "ENV A=1 B=2", "EXPOSE 80"]
    )
    record = engine.image(image)
    assert record.names == ("host:5000/a/b:v1",)
    created = record.config.created
    system, architecture, variant = host_platform()
    assert json.loads(engine.store.blobs.read(image)) == {
        "architecture": architecture,
        **({"variant": variant} if variant else {}),
        "os": system,
        "created": created,
        "comment": "Imported from -",
        "config": {
            "Cmd": ["/bin/sh", "-c", "sh -c true"],
            "Env": ["A=1", "B=2"],
            "ExposedPorts": {"80/tcp": {}},
        },
        "history": [{"created": created, "comment": "Imported from -"}],
        "rootfs": {"type": "layers", "diff_ids": [DIFF_ID]},
    }


def test_message_and_platform_and_no_name(engine: Engine) -> None:
    record = engine.image(engine.import_image(io.BytesIO(TREE), message="by hand", platform="linux/arm/v7"))
    assert (record.names, record.config.comment) == ((), "by hand")
    assert (record.config.architecture, record.config.variant) == ("arm", "v7")
    assert [row.comment for row in engine.history(record.id)] == ["by hand"]


def test_a_name_moves_to_the_new_image(engine: Engine) -> None:
    first = engine.import_image(io.BytesIO(TREE), "demo")
    second = engine.import_image(io.BytesIO(layer_tar([File("other", b"")])), "demo")
    assert engine.image("demo").id == second != first
    assert engine.image(first).names == ()


@pytest.mark.parametrize(
    ("data", "more", "problem"),
    [
        (b"", {}, "there is nothing to import"),
        (b"no archive" * 1000, {}, "no tar archive"),
        (TREE[:-5000], {}, "archive"),
        (GZIP[:-20], {}, "ends in the middle"),
        (GZIP[:60] + b"\0\0\0\0" + GZIP[64:], {}, "damaged"),
        (layer_tar([File("../escape", b"x")]), {}, r"'\.\.'"),
        (layer_tar([CharDevice("white", 0, 0)]), {}, "0:0"),
        (TREE, {"name": "UPPER"}, "must be lowercase"),
        (TREE, {"name": "demo@sha256:" + "a" * 64}, "cannot import digest reference"),
        (TREE, {"changes": ["RUN true"]}, "RUN is not a valid change command"),
        (TREE, {"platform": "windows/amd64"}, "operating system is not supported"),
        (TREE, {"platform": "a/b/c/d"}, "is not a platform"),
    ],
)
def test_what_is_wrong_is_told_and_leaves_the_store_as_it_was(
    engine: Engine, data: bytes, more: dict[str, object], problem: str
) -> None:
    with pytest.raises(InvalidInput, match=problem):
        engine.import_image(io.BytesIO(data), **{"name": "demo", **more})  # type: ignore[arg-type]
    store = check(engine.root)
    assert (store.images.read(), store.layers.ids(), list(store.blobs.all())) == (({}, {}), [], [])


def test_from_an_address(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(GZIP) + ("cut" in self.path)))
            self.end_headers()
            self.wfile.write(GZIP)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            url = f"127.0.0.1:{server.server_address[1]}/tree.tgz"
            with pytest.raises(StrataError, match="broke off"):
                engine.import_image(f"http://{url}?cut", "demo")
            assert engine.store.images.read() == ({}, {})
            told: list[Progress] = []
            image = engine.import_image(f"http://me:secret@{url}?key=secret", "demo", report=told.append)
        finally:
            server.shutdown()
            thread.join()
    assert engine.image("demo").id == image
    assert [row.comment for row in engine.history("demo")] == [f"Imported from http://{url}"]
    assert told[-1] == Progress("archive", "Downloading", len(GZIP), len(GZIP))


def test_it_tells_how_far_it_is(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "tree.tar").write_bytes(TREE)
    told: list[Progress] = []
    engine.import_image(str(tmp_path / "tree.tar"), report=told.append)
    assert told[-1] == Progress("archive", "Importing", len(TREE), len(TREE))
