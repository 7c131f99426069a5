"""Pull and push against Debian's docker-registry, with skopeo on the other side: nothing changes on the way."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine import Engine
from engine.errors import NotFound
from engine.oci.digests import digest_of
from engine.progress import Progress
from engine.registry.errors import RegistryError, Unauthorized
from tests.support.archives import Dir, File, ImageSpec, Opaque, Whiteout, diff_id, docker_archive
from tests.support.command import Strata
from tests.support.needs import needs, needs_root
from tests.support.registry import RegistryServer
from tests.support.rootfs import tiny_spec

needs_root()
needs("docker-registry", "skopeo", "openssl")

BASE = [Dir("etc"), File("etc/motd", b"hello" * 5000), Dir("srv"), File("srv/old", b"x")]
SPEC = ImageSpec([BASE, [Whiteout("etc/motd"), Opaque("srv"), File("srv/new", b"y")]], ["demo"], {"Cmd": ["sh"]})


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with Engine(str(tmp_path / "root")) as opened:
        yield opened


@pytest.fixture(scope="module")
def registry() -> Iterator[RegistryServer]:
    with RegistryServer() as server:
        yield server


@pytest.fixture(autouse=True)
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No configuration and no credentials but a test's own."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("STRATA_CONFIG", raising=False)


def skopeo(*args: str) -> str:
    done = subprocess.run(["skopeo", *args], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    return done.stdout


def filled(registry: RegistryServer, tmp_path: Path, name: str, *flags: str, spec: ImageSpec = SPEC) -> str:
    """Put an image into the registry by skopeo; returns its reference."""
    archive = tmp_path / f"{name.replace('/', '-').replace(':', '-')}.tar"
    archive.write_bytes(docker_archive(spec))
    reference = f"{registry.address}/{name}"
    skopeo("copy", "-q", "--dest-tls-verify=false", *flags, f"docker-archive:{archive}", f"docker://{reference}")
    return reference


def raw_manifest(reference: str) -> bytes:
    return skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{reference}").encode()


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_a_pulled_image_is_what_skopeo_pushed(
    engine: Engine, registry: RegistryServer, tmp_path: Path, compression: str
) -> None:
    flags = ("--format", "oci", "--dest-compress-format", compression)
    reference = filled(registry, tmp_path, f"demo:{compression}", *flags)
    said: list[Progress] = []
    (pulled,) = engine.pull(reference, report=said.append)
    image = engine.image(reference)
    raw = raw_manifest(reference)
    expected = json.loads(raw)["config"]["digest"]  # skopeo writes the config anew for another format
    assert (pulled.image, pulled.fresh, image.id) == (expected, True, expected)
    assert image.config.diff_ids == tuple(map(diff_id, SPEC.layers))
    assert engine.store.blobs.read(image.manifest) == raw
    assert pulled.digest == image.manifest == digest_of(raw)
    assert [entry.path for entry in engine.store.layers.index(image.layers[1])] == [
        "",
        "etc",
        "etc/motd",
        "srv",
        "srv/new",
    ]
    assert {progress.action for progress in said} >= {"Pulling fs layer", "Extracting"}
    (again,) = engine.pull(f"{registry.address}/demo@{pulled.digest}")
    assert (again.image, again.fresh) == (expected, False)


def test_what_is_pushed_comes_out_the_same(engine: Engine, registry: RegistryServer, tmp_path: Path) -> None:
    first = filled(registry, tmp_path, "from:1", "--format", "oci")
    engine.pull(first)
    second = f"{registry.address}/to/there:2"
    said: list[Progress] = []
    (pushed,) = engine.push(first, second, report=said.append)
    assert raw_manifest(second) == raw_manifest(first)
    assert pushed.digest == digest_of(raw_manifest(first))
    assert "Mounted from from" in {progress.action for progress in said}
    said.clear()
    engine.push(first, second, report=said.append)
    assert {progress.action for progress in said if progress.id} == {"Preparing", "Layer already exists"}


def test_plain_layers_are_compressed_on_the_way_and_the_image_stays(
    engine: Engine, registry: RegistryServer, tmp_path: Path
) -> None:
    archive = tmp_path / "demo.tar"
    archive.write_bytes(docker_archive(SPEC))
    with open(archive, "rb") as file:
        engine.load(file)
    target = f"{registry.address}/compressed:1"
    (pushed,) = engine.push("demo", target)
    manifest = json.loads(raw_manifest(target))
    assert [layer["mediaType"].rpartition("+")[2] for layer in manifest["layers"]] == ["gzip", "gzip"]
    assert manifest["config"]["digest"] == SPEC.id
    (twice,) = engine.push("demo", target)
    assert twice == pushed
    back = tmp_path / "back"
    skopeo("copy", "-q", "--src-tls-verify=false", f"docker://{target}", f"dir:{back}")
    layers = [gzip.decompress((back / layer["digest"][7:]).read_bytes()) for layer in manifest["layers"]]
    assert [digest_of(layer) for layer in layers] == list(engine.image("demo").config.diff_ids)


def test_tls_and_a_password_and_nothing_without_them(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RegistryServer(tls=True, user="me") as server:
        config = tmp_path / "registries.toml"
        config.write_text(f'[registries."{server.address}"]\nca = "{server.ca}"\n')
        monkeypatch.setenv("STRATA_CONFIG", str(config))
        docker_config = tmp_path / "docker" / "config.json"
        docker_config.parent.mkdir()
        docker_config.write_text('{"other": [1]}')
        reference = filled(server, tmp_path, "demo:1", "--dest-creds", "me:secret")
        with pytest.raises(Unauthorized, match="authentication required"):
            engine.pull(reference)
        with pytest.raises(Unauthorized):
            engine.login(server.address, "me", "wrong")
        assert json.loads(docker_config.read_text()) == {"other": [1]}
        assert engine.login(server.address, "me", "secret") == str(docker_config)
        assert os.stat(docker_config).st_mode & 0o777 == 0o600
        assert json.loads(docker_config.read_text())["other"] == [1]
        assert engine.pull(reference)[0].image == SPEC.id
        engine.push(reference, f"{server.address}/other:2")
        assert engine.logout(server.address) and not engine.logout(server.address)
        with pytest.raises(Unauthorized):
            engine.push(reference, f"{server.address}/other:3")
        config.write_text(f'[registries."{server.address}"]\nca = "/etc/ssl/certs/ca-certificates.crt"\n')
        with pytest.raises(RegistryError, match="its certificate is not trusted"):
            engine.pull(reference)


def test_a_mirror_of_docker_hub_serves_short_names(
    engine: Engine, registry: RegistryServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(registry, tmp_path, "library/short:latest")
    config = tmp_path / "registries.toml"
    config.write_text(f'[registries."docker.io"]\nmirrors = ["http://{registry.address}"]\n')
    monkeypatch.setenv("STRATA_CONFIG", str(config))
    assert engine.pull("short")[0].name == "short:latest"
    assert engine.image("short").id == SPEC.id


def test_a_list_gives_the_platform_that_is_wanted(engine: Engine, registry: RegistryServer, tmp_path: Path) -> None:
    layout = tmp_path / "layout"
    entries = []
    for architecture in ("amd64", "arm64"):
        spec = ImageSpec(SPEC.layers, ["x"], extra={"architecture": architecture})
        archive = tmp_path / f"{architecture}.tar"
        archive.write_bytes(docker_archive(spec))
        skopeo("copy", "-q", f"docker-archive:{archive}", f"oci:{layout}:{architecture}")
    for entry in json.loads((layout / "index.json").read_bytes())["manifests"]:
        architecture = entry.pop("annotations")["org.opencontainers.image.ref.name"]
        entries.append({**entry, "platform": {"os": "linux", "architecture": architecture}})
    index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": entries}
    data = json.dumps(index).encode()
    (layout / "blobs/sha256" / digest_of(data)[7:]).write_bytes(data)
    top = {"mediaType": index["mediaType"], "digest": digest_of(data), "size": len(data)}
    top["annotations"] = {"org.opencontainers.image.ref.name": "list"}
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [top]}))
    reference = f"{registry.address}/list:1"
    skopeo("copy", "-q", "--all", "--dest-tls-verify=false", f"oci:{layout}:list", f"docker://{reference}")
    for architecture in ("arm64", "amd64"):
        (pulled,) = engine.pull(reference, platform=f"linux/{architecture}")
        assert engine.image(pulled.image).config.architecture == architecture
        assert pulled.digest == digest_of(data)
    with pytest.raises(NotFound, match=r"no matching manifest for linux/s390x in .* has linux/amd64, linux/arm64$"):
        engine.pull(reference, platform="linux/s390x")
    loaded = engine.load(str(layout), platform="linux/arm64")
    assert engine.image(loaded[0].image).config.architecture == "arm64"


def test_what_is_not_there_is_said(engine: Engine, registry: RegistryServer) -> None:
    with pytest.raises(NotFound, match=f"manifest for {registry.address}/none:1 not found: "):
        engine.pull(f"{registry.address}/none:1")
    with pytest.raises(RegistryError, match=r"cannot reach the registry 127\.0\.0\.1:1: "):
        engine.pull("127.0.0.1:1/x")
    with pytest.raises(NotFound, match="An image does not exist locally with the tag: "):
        engine.push(f"{registry.address}/none:1")


def test_the_command_pulls_what_run_lacks(registry: RegistryServer, tmp_path: Path) -> None:
    reference = filled(registry, tmp_path, "tiny:latest", spec=tiny_spec("tiny"))
    with Strata() as strata:
        done = strata.run("run", "--rm", "--pull", "never", reference, "true")
        assert (done.returncode, done.stderr.split("\n")[0]) == (125, f"strata: No such image: {reference}")
        done = strata.run("run", "--rm", reference, "echo", "hello")
        assert (done.returncode, done.stdout) == (0, "hello\n"), done.stderr
        assert done.stderr.startswith(f"Unable to find image '{reference}' locally\nlatest: Pulling from tiny\n")
        text = strata("pull", f"{registry.address}/tiny")
        assert text.startswith("Using default tag: latest\nlatest: Pulling from tiny\nDigest: sha256:")
        assert text.endswith(f"Status: Image is up to date for {reference}\n{reference}")
        text = strata("push", reference, f"{registry.address}/again:2")
        assert text.split("\n")[0] == f"The push refers to repository [{registry.address}/again]"
        assert "\n2: digest: sha256:" in text
        assert strata("run", "--rm", "--pull", "always", "-q", reference, "echo", "x") == "x"
