"""A registry that breaks, stalls, lies, redirects: a clear error and the store as before, or the image all the same."""

from __future__ import annotations

import base64
import gzip
import json
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine import Engine
from engine.archive import ingest as ingesting
from engine.errors import InvalidInput, NotFound, StrataError
from engine.oci.digests import digest_of
from engine.oci.manifests import CONFIG, INDEX, LAYER_GZIP, MANIFEST
from engine.registry import session, stream, transport
from engine.registry.credentials import Credentials, config_path, find, forget, keep
from engine.registry.errors import RegistryError
from engine.registry.settings import load_settings
from engine.store.incoming import broken
from tests.support.archives import Dir, File, ImageSpec, layer_tar
from tests.support.lying_registry import Cut, Fault, Instead, LyingRegistry, Stall, Status
from tests.support.needs import needs_root

needs_root()

NOISE = random.Random(7).randbytes(400_000)
SPEC = ImageSpec([[Dir("a"), File("a/noise", NOISE)], [File("b", b"b")]], config={"Cmd": ["sh"]})
LAYERS = [gzip.compress(layer_tar(layer), 1, mtime=0) for layer in SPEC.layers]
BLOB = f"/v2/x/blobs/{digest_of(LAYERS[0])}"
TOP = "/v2/x/manifests/1"


def descriptor(media_type: str, data: bytes) -> dict[str, object]:
    return {"mediaType": media_type, "digest": digest_of(data), "size": len(data)}


def manifest(**changes: object) -> bytes:
    layers = [descriptor(LAYER_GZIP, layer) for layer in LAYERS]
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor(CONFIG, SPEC.document()),
        "layers": layers,
    }
    return json.dumps({**document, **changes}).encode()


@pytest.fixture
def liar() -> Iterator[LyingRegistry]:
    with LyingRegistry() as registry:
        for data in (*LAYERS, SPEC.document()):
            registry.put_blob("x", data)
        registry.put(TOP, manifest(), MANIFEST)
        yield registry


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with Engine(str(tmp_path / "root")) as opened:
        yield opened


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Short waits, and no settings but a test's own."""
    for module in (session, stream):
        monkeypatch.setattr(module, "DELAYS", (0.01, 0.01, 0.01, 0.01))
    monkeypatch.setattr(transport, "TIMEOUT", 0.5)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("STRATA_CONFIG", raising=False)


def untouched(engine: Engine) -> bool:
    store = engine.store
    kept = [*store.layers.ids(), *store.blobs.all(), *os.listdir(store.path("tmp"))]
    return not (store.images.read()[1] or kept or broken(store))


@pytest.mark.parametrize("many", [False, True], ids=["one process", "workers"])
@pytest.mark.parametrize(
    "faults",
    [
        [Cut(1000), Cut(150_000), Cut(0), Cut(50_000)],
        [Stall(200_000, 2), Status(503), Status(429, {"Retry-After": "0"}), Cut(10)],
        [Status(500, body=b"\x1b[31m" * 100)],
    ],
)
def test_what_breaks_is_gone_on_with(
    engine: Engine, liar: LyingRegistry, faults: list[Fault], many: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if many:
        monkeypatch.setattr(ingesting, "SMALL", -1)
    liar.faults[BLOB] = list(faults)
    assert engine.pull(f"{liar.address}/x:1")[0].image == SPEC.id
    ranges = [headers.get("Range") for headers in liar.asked(BLOB)]
    assert len(ranges) == len(faults) + 1
    if isinstance(faults[0], Cut):
        assert ranges == [None, "bytes=1000-", "bytes=151000-", "bytes=151000-", "bytes=201000-"]
    assert engine.check(deep=True).problems == () and engine.check().leftovers == ()


def test_a_registry_that_never_goes_on_is_given_up_and_the_next_try_has_less_to_do(
    engine: Engine, liar: LyingRegistry
) -> None:
    liar.faults[BLOB] = [Cut(100_000), *[Cut(0)] * 20]
    with pytest.raises(
        RegistryError, match=r"broke off .* after 100000 of \d+ bytes: .*; try again, what came is kept"
    ):
        engine.pull(f"{liar.address}/x:1")
    assert engine.images() == [] and engine.check().problems == ()
    liar.faults.clear()
    liar.requests.clear()
    engine.pull(f"{liar.address}/x:1")
    assert [headers.get("Range") for headers in liar.asked(BLOB)] == ["bytes=100000-"]


@pytest.mark.parametrize("many", [False, True], ids=["one process", "workers"])
@pytest.mark.parametrize(
    ("path", "fault", "says"),
    [
        (BLOB, Instead(LAYERS[0][:-1] + b"?"), "layer 1 of 2 is damaged"),
        (BLOB, Instead(b"x" * len(LAYERS[0])), "layer 1 of 2"),
        (BLOB, Instead(LAYERS[0] + b"more"), r"has \d+ bytes of sha256:\w+, its manifest says \d+"),
        (BLOB, Status(404), "not found"),
        (TOP, Instead(b"x" * (5 << 20)), "larger than the 4194304 bytes"),
        (TOP, Instead(b"[" * 100_000), "nested too deeply|not valid JSON"),
        (TOP, Instead(b"{}"), "schemaVersion"),
        (TOP, Instead(b'{"schemaVersion": 1, "fsLayers": []}'), "schema 1, which is no longer in use"),
        (TOP, Instead(manifest(manifests=[])), "ambiguous"),
        (TOP, Instead(manifest(mediaType=INDEX)), "ambiguous"),
        (TOP, Instead(manifest(config=descriptor("application/vnd.cncf.helm.config.v1+json", b"{}"))), "is no image"),
        (TOP, Instead(manifest(layers=[])), "layers length mismatch"),
        (TOP, Instead(manifest(layers=[{"mediaType": LAYER_GZIP, "digest": "sha256:../../x", "size": 1}])), "digest"),
        (TOP, Status(200, {"Docker-Content-Digest": "sha256:" + "a" * 64}, manifest()), "is damaged"),
        (TOP, Status(302, {"Location": TOP}), "redirects without end"),
        (
            TOP,
            Status(403, body=b'{"errors": [{"code": "DENIED", "message": "no\\u001b[31m"}]}'),
            "access denied: denied: no",
        ),
        (TOP, Status(401), "unauthorized|authentication"),
    ],
)
def test_a_lie_is_found_and_leaves_nothing(
    engine: Engine,
    liar: LyingRegistry,
    path: str,
    fault: Fault,
    says: str,
    many: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if many:
        monkeypatch.setattr(ingesting, "SMALL", -1)
    liar.faults[path] = [fault] * 30
    with pytest.raises(StrataError, match=says) as found:
        engine.pull(f"{liar.address}/x:1")
    assert str(found.value).isprintable()
    if isinstance(found.value, (InvalidInput, NotFound)) or path == TOP:
        assert not engine.images() and engine.check().problems == ()
    if isinstance(found.value, InvalidInput):
        assert untouched(engine)


def test_credentials_stay_with_their_host(engine: Engine, liar: LyingRegistry) -> None:
    keep(liar.address, Credentials("me", "secret"))
    basic = "Basic " + base64.b64encode(b"me:secret").decode()
    challenge = Status(401, {"WWW-Authenticate": 'Basic realm="x"'})
    with LyingRegistry() as elsewhere:
        liar.faults[TOP] = [challenge]
        elsewhere.put("/cdn", LAYERS[0])
        liar.faults[BLOB] = [Status(307, {"Location": f"http://{elsewhere.address}/cdn"})]
        assert engine.pull(f"{liar.address}/x:1")[0].image == SPEC.id
        assert [headers.get("Authorization") for headers in elsewhere.asked("/cdn")] == [None]
        assert liar.asked(TOP)[-1]["Authorization"] == basic
        assert liar.asked(TOP)[0].get("Authorization") is None


def test_one_token_for_all_layers_and_only_from_the_server_that_is_named(engine: Engine, liar: LyingRegistry) -> None:
    with LyingRegistry() as tokens:
        tokens.put("/token", b'{"token": "t0ken", "expires_in": 300}')
        realm = f'Bearer realm="http://{tokens.address}/token",service="s",scope="repository:x:pull"'
        liar.faults[TOP] = [Status(401, {"WWW-Authenticate": realm})]
        engine.pull(f"{liar.address}/x:1")
        assert len(tokens.asked("/token")) == 1
        assert all(headers["Authorization"] == "Bearer t0ken" for headers in liar.asked(BLOB))


def test_helpers_and_dockers_own_entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = tmp_path / "docker"
    directory.mkdir()
    helper = tmp_path / "docker-credential-test"
    helper.write_text(
        '#!/bin/sh\nread server\necho "$1 $server" >> ' + str(tmp_path / "said") + "\n"
        'case "$server" in *known*) echo \'{"ServerURL":"x","Username":"<token>","Secret":"s"}\';;\n'
        "*) echo 'credentials not found in native keychain'; exit 1;; esac\n"
    )
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    auth = base64.b64encode(b"me:pass:word").decode()
    document = {
        "auths": {"https://plain.example/v1/": {"auth": auth}},
        "credHelpers": {"known.example": "test"},
        "x": 1,
    }
    Path(config_path()).write_text(json.dumps(document))
    assert find("known.example") == Credentials("", "", "s")
    assert find("plain.example") == Credentials("me", "pass:word")
    assert find("other.example") is None
    assert forget("plain.example") and not forget("plain.example")
    assert json.loads(Path(config_path()).read_text()) == {**document, "auths": {}}
    Path(config_path()).write_text("{")
    with pytest.raises(InvalidInput, match="is not valid JSON"):
        find("plain.example")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[registries", "is not valid TOML"),
        ('[registries."x"]\nmirror = []', "unknown key 'mirror'"),
        ('[registries."x"]\ninsecure = "yes"', "insecure must be a bool"),
        ('[registries."x"]\nmirrors = ["mirror.example"]', "a mirror must be an http"),
        ("[other]", "expected tables"),
    ],
)
def test_settings_that_are_wrong_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, says: str
) -> None:
    path = tmp_path / "registries.toml"
    path.write_text(text)
    monkeypatch.setenv("STRATA_CONFIG", str(path))
    with pytest.raises(InvalidInput, match=says):
        load_settings()
