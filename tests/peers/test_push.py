"""Push against Debian's docker-registry, with skopeo and podman to look at what arrived.

`between` stands before the registry, and tells what was really asked and answered.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import random
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine import Engine
from engine.errors import BrokenStore, InvalidInput, NoSuchImage, NotFound
from engine.oci.digests import digest_of
from engine.oci.manifests import DOCKER_MANIFEST, MANIFEST
from engine.progress import Progress
from engine.registry.errors import RegistryError, Unauthorized
from tests.peers.dockerd import Dockerd
from tests.peers.podman import Podman
from tests.peers.trees import differences, read_tree
from tests.support.archives import Dir, File, HardLink, ImageSpec, Opaque, Symlink, Whiteout, docker_archive
from tests.support.between import Between, Request
from tests.support.command import Strata
from tests.support.needs import needs, needs_root
from tests.support.registry import RegistryServer

needs_root()
needs("docker-registry", "skopeo", "openssl", "podman")

NOISE = random.Random(7).randbytes(3 << 20)
BASE = [Dir("etc"), File("etc/motd", b"hello" * 50_000), Dir("srv"), File("srv/old", b"x"), File("noise", NOISE)]
CHANGE = [Whiteout("etc/motd"), Opaque("srv"), File("srv/new", b"y"), HardLink("srv/same", "srv/new")]
SPEC = ImageSpec([BASE, CHANGE, [Symlink("link", "srv")]], ["demo:1", "demo:2"], {"Cmd": ["sh"]})


@pytest.fixture(scope="module")
def registry() -> Iterator[RegistryServer]:
    with RegistryServer() as server:
        yield server


@pytest.fixture
def between(registry: RegistryServer) -> Iterator[Between]:
    with Between(registry.address) as server:
        yield server


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with Engine(str(tmp_path / "root")) as opened:
        opened.load(io.BytesIO(docker_archive(SPEC)))
        yield opened


@pytest.fixture(autouse=True)
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No configuration and no credentials but a test's own."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("STRATA_CONFIG", raising=False)


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A repository for this test alone."""
    return str(request.node.originalname).removeprefix("test_").replace("_", "-")[:40].strip("-")


def skopeo(*args: str) -> str:
    done = subprocess.run(["skopeo", *args], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    return done.stdout


def raw_manifest(reference: str) -> bytes:
    return skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{reference}").encode()


def raw(engine: Engine, image: str) -> bytes:
    return engine.store.blobs.read(engine.image(image).manifest)


def actions(said: list[Progress]) -> list[str]:
    return [one.action for one in said if one.id]


def test_podman_pulls_what_was_pushed(engine: Engine, registry: RegistryServer, peer: Podman, name: str) -> None:
    reference = f"{registry.address}/{name}:1"
    (pushed,) = engine.push("demo:1", reference)
    assert pushed.digest == digest_of(raw_manifest(reference)) and pushed.size == len(raw_manifest(reference))
    config = json.loads(skopeo("inspect", "--config", "--tls-verify=false", f"docker://{reference}"))
    assert tuple(config["rootfs"]["diff_ids"]) == engine.image("demo:1").config.diff_ids
    assert peer.podman("pull", "-q", "--tls-verify=false", reference) == SPEC.id[7:]
    pulled = read_tree(peer.mount_image(reference))
    peer.podman("image", "umount", reference)
    peer.podman("rmi", reference)
    peer.podman("load", "-q", stdin=docker_archive(SPEC))
    # Directories that unpacking itself changes last: podman gives them the time of that.
    unpacked = dict.fromkeys((".", "etc", "srv"), ("mtime_ns",))
    assert differences(pulled, read_tree(peer.mount_image("demo:1")), unpacked) == []


def test_docker_pulls_what_was_pushed_and_we_what_docker_pushes(
    engine: Engine, registry: RegistryServer, tmp_path: Path, name: str
) -> None:
    needs("dockerd", "docker")
    reference = f"{registry.address}/{name}:1"
    (pushed,) = engine.push("demo:1", reference)
    with Dockerd() as dockerd:
        said = dockerd.docker("pull", reference)
        assert f"Digest: {pushed.digest}" in said
        assert dockerd.docker("image", "inspect", "--format", "{{.Id}}", reference) == SPEC.id
        dockerd.docker("tag", reference, f"{registry.address}/{name}/by-docker:1")
        dockerd.docker("push", f"{registry.address}/{name}/by-docker:1")
    with Engine(str(tmp_path / "second")) as second:
        (pulled,) = second.pull(f"{registry.address}/{name}/by-docker:1")
        assert pulled.image == SPEC.id
        (again,) = second.push(f"{registry.address}/{name}/by-docker:1", f"{registry.address}/{name}/again:1")
        assert again.digest == pulled.digest


def test_a_second_push_sends_nothing(engine: Engine, between: Between, name: str) -> None:
    reference = f"{between.address}/{name}:1"
    said: list[Progress] = []
    first = engine.push("demo:1", reference, report=said.append)
    ids = [diff_id[7:19] for diff_id in engine.image("demo:1").config.diff_ids]
    assert [one.id for one in said[1:4]] == ids and actions(said)[:3] == ["Preparing"] * 3
    assert {one.id for one in said if one.action == "Pushed"} == set(ids)
    bars = [one for one in said if one.action == "Pushing" and one.id == ids[0]]
    assert bars[-1].current == bars[-1].total > len(NOISE)
    assert between.uploads()
    between.seen.clear()
    said.clear()
    assert engine.push("demo:1", reference, report=said.append) == first
    assert between.uploads() == []
    assert actions(said) == ["Preparing"] * 3 + ["Layer already exists"] * 3
    assert os.listdir(engine.store.path("tmp")) == []


def test_another_store_makes_the_same_manifest(
    engine: Engine, registry: RegistryServer, tmp_path: Path, name: str
) -> None:
    (first,) = engine.push("demo:1", f"{registry.address}/{name}:1")
    with Engine(str(tmp_path / "second")) as second:
        second.load(io.BytesIO(docker_archive(SPEC)))
        (again,) = second.push("demo:1", f"{registry.address}/{name}:2")
    assert again.digest == first.digest


def test_layers_are_mounted_from_the_repository_that_has_them(engine: Engine, between: Between, name: str) -> None:
    engine.push("demo:1", f"{between.address}/{name}/from:1")
    between.seen.clear()
    said: list[Progress] = []
    engine.push("demo:1", f"{between.address}/{name}/to:1", report=said.append)
    assert actions(said) == ["Preparing"] * 3 + [f"Mounted from {name}/from"] * 3
    mounts = [one for one in between.seen if one.method == "POST" and "mount=" in one.path]
    assert [one.status for one in mounts] == [201] * 3
    assert [one.size for one in between.uploads() if one.size] == [len(SPEC.document())]  # the config alone


def test_what_cannot_be_mounted_is_uploaded(engine: Engine, between: Between, name: str) -> None:
    engine.push("demo:1", f"{between.address}/{name}/from:1")
    between.refuse = lambda request: 403 if "mount=" in request.path else 0
    said: list[Progress] = []
    engine.push("demo:1", f"{between.address}/{name}/to:1", report=said.append)
    assert actions(said).count("Pushed") == 3


def test_only_repositories_that_share_the_layer_are_asked(engine: Engine, between: Between, name: str) -> None:
    other = ImageSpec([[File("other", b"other")]], ["other:1"])
    engine.load(io.BytesIO(docker_archive(other)))
    engine.push("demo:1", f"{between.address}/{name}/from:1")
    between.seen.clear()
    engine.push("other:1", f"{between.address}/{name}/to:1")
    assert [one for one in between.seen if "mount=" in one.path] == []


@pytest.mark.parametrize("form", ["oci", "v2s2"])
def test_a_pulled_image_pushed_elsewhere_keeps_its_manifest_to_the_byte(
    engine: Engine, registry: RegistryServer, tmp_path: Path, name: str, form: str
) -> None:
    layout = tmp_path / "layout"
    engine.push("demo:1", f"oci:{layout}:noted")
    if form == "oci":
        index = json.loads((layout / "index.json").read_text())
        blob = layout / "blobs/sha256" / index["manifests"][0]["digest"][7:]
        document = json.loads(blob.read_text())
        document["annotations"] = {"who": "me"}
        document["layers"][0]["annotations"] = {"of": "a layer"}
        document["x-unknown"] = {"kept": [1, 2.5]}
        data = json.dumps(document, indent=3).encode()
        (layout / "blobs/sha256" / digest_of(data)[7:]).write_bytes(data)
        index["manifests"][0] |= {"digest": digest_of(data), "size": len(data)}
        (layout / "index.json").write_text(json.dumps(index))
    first, second = f"{registry.address}/{name}-{form}:1", f"{registry.address}/{name}-{form}/else:1"
    skopeo("copy", "-q", "--dest-tls-verify=false", "--format", form, f"oci:{layout}:noted", f"docker://{first}")
    kept = raw_manifest(first)
    with Engine(str(tmp_path / "second")) as pulling:
        pulling.pull(first)
        (pushed,) = pulling.push(first, second)
        assert raw_manifest(second) == kept and pushed.digest == digest_of(kept)
        assert f"{registry.address}/{name}-{form}/else@{pushed.digest}" in pulling.image(first).names
    assert json.loads(kept).get("mediaType", MANIFEST) == (MANIFEST if form == "oci" else DOCKER_MANIFEST)


def test_annotations_and_unknown_fields_survive_compression(
    engine: Engine, registry: RegistryServer, tmp_path: Path, name: str
) -> None:
    layout = tmp_path / "layout"
    engine.push("demo:1", f"oci:{layout}:noted")
    index = json.loads((layout / "index.json").read_text())
    document = json.loads((layout / "blobs/sha256" / index["manifests"][0]["digest"][7:]).read_text())
    document |= {"annotations": {"who": "me"}, "x-unknown": [1]}
    document["layers"][1]["annotations"] = {"of": "a layer"}
    data = json.dumps(document).encode()
    (layout / "blobs/sha256" / digest_of(data)[7:]).write_bytes(data)
    index["manifests"][0] |= {"digest": digest_of(data), "size": len(data)}
    (layout / "index.json").write_text(json.dumps(index))
    with Engine(str(tmp_path / "second")) as second:
        (loaded,) = second.load(str(layout))
        reference = f"{registry.address}/{name}:1"
        second.push(loaded.image, reference)
    pushed = json.loads(raw_manifest(reference))
    assert (pushed["annotations"], pushed["x-unknown"]) == ({"who": "me"}, [1])
    assert pushed["layers"][1]["annotations"] == {"of": "a layer"}
    assert {layer["mediaType"].rpartition(".")[2] for layer in pushed["layers"]} == {"tar+gzip"}


@pytest.mark.parametrize("compression", ["gzip", "zstd", "none"])
def test_compressions(
    engine: Engine, registry: RegistryServer, peer: Podman, tmp_path: Path, name: str, compression: str
) -> None:
    reference = f"{registry.address}/{name}:{compression}"
    engine.push("demo:1", reference, compression=compression)
    end = {"gzip": "tar+gzip", "zstd": "tar+zstd", "none": "tar"}[compression]
    assert {layer["mediaType"].rpartition(".")[2] for layer in json.loads(raw_manifest(reference))["layers"]} == {end}
    assert peer.podman("pull", "-q", "--tls-verify=false", reference) == SPEC.id[7:]
    peer.podman("rmi", reference)
    with Engine(str(tmp_path / "second")) as second:
        (pulled,) = second.pull(reference)
        assert pulled.image == SPEC.id
        (again,) = second.push(reference, f"{registry.address}/{name}/again:1")
        assert again.digest == pulled.digest  # plain layers too: the registry had them so
    with pytest.raises(InvalidInput, match="no such compression: 'lzma'"):
        engine.push("demo:1", reference, compression="lzma")


def test_dockers_manifest_becomes_ocis_for_zstd(
    engine: Engine, registry: RegistryServer, peer: Podman, tmp_path: Path, name: str
) -> None:
    layout = tmp_path / "old.tar"
    engine.push("demo:1", f"docker-archive:{layout}:demo:1")
    first = f"{registry.address}/{name}/old:1"
    skopeo("copy", "-q", "--format", "v2s2", f"docker-archive:{layout}", f"dir:{tmp_path}/plain")
    with Engine(str(tmp_path / "second")) as second:
        plain = json.loads((tmp_path / "plain/manifest.json").read_text())
        assert plain["mediaType"] == DOCKER_MANIFEST
        shaped = tmp_path / "shaped"
        (shaped / "blobs/sha256").mkdir(parents=True)
        data = (tmp_path / "plain/manifest.json").read_bytes()
        for part in (plain["config"], *plain["layers"]):
            hexdigits = part["digest"][7:]
            (shaped / "blobs/sha256" / hexdigits).write_bytes((tmp_path / "plain" / hexdigits).read_bytes())
        (shaped / "blobs/sha256" / digest_of(data)[7:]).write_bytes(data)
        entry = {"mediaType": DOCKER_MANIFEST, "digest": digest_of(data), "size": len(data)}
        (shaped / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
        (loaded,) = second.load(str(shaped))
        # skopeo calls these plain layers gzip: what is pushed is what it is called.
        assert {layer["mediaType"].rpartition(".")[2] for layer in plain["layers"]} == {"gzip"}
        second.push(loaded.image, first)
        old = json.loads(raw_manifest(first))
        assert old["mediaType"] == DOCKER_MANIFEST
        assert {layer["mediaType"].rpartition(".")[2] for layer in old["layers"]} == {"gzip"}
        assert old["layers"][0]["size"] < plain["layers"][0]["size"]
        second.push(loaded.image, first, compression="zstd")
    pushed = json.loads(raw_manifest(first))
    assert pushed["mediaType"] == MANIFEST and pushed["layers"][0]["mediaType"].endswith("tar+zstd")
    assert peer.podman("pull", "-q", "--tls-verify=false", first) == loaded.image[7:]
    peer.podman("rmi", first)


def test_a_registry_that_refuses_oci_manifests_gets_dockers(
    engine: Engine, between: Between, peer: Podman, name: str
) -> None:
    between.refuse = lambda request: 415 if request.kind == MANIFEST else 0
    reference = f"{between.address}/{name}:1"
    said: list[Progress] = []
    (pushed,) = engine.push("demo:1", reference, report=said.append)
    assert said[-1].action == f"{between.address} takes no OCI manifests: pushed as docker's"
    data = raw_manifest(reference)
    assert json.loads(data)["mediaType"] == DOCKER_MANIFEST and digest_of(data) == pushed.digest
    assert peer.podman("pull", "-q", "--tls-verify=false", reference) == SPEC.id[7:]
    peer.podman("rmi", reference)


@pytest.mark.parametrize("status", [400, 403, 507])
def test_a_refusal_that_is_not_of_the_type_is_the_error(
    engine: Engine, between: Between, name: str, status: int
) -> None:
    between.refuse = lambda request: status if "/manifests/" in request.path else 0
    with pytest.raises(RegistryError, match=f"{name}:1|access denied"):
        engine.push("demo:1", f"{between.address}/{name}:1")
    kinds = [one.kind for one in between.seen if "/manifests/" in one.path]
    assert kinds == ([MANIFEST, DOCKER_MANIFEST] if status == 400 else [MANIFEST])
    assert not any("@" in one for one in engine.image("demo:1").names)


def test_uploads_in_chunks(engine: Engine, between: Between, name: str) -> None:
    engine.push("demo:1", f"{between.address}/{name}:1", chunk=1 << 20)
    chunks = [one.size for one in between.seen if one.method == "PATCH"]
    assert max(chunks) == 1 << 20 and len(chunks) >= 4 + 2
    assert all(one.size == 0 for one in between.seen if one.method == "PUT" and "/blobs/" in one.path)
    assert between.seen[-1].status == 201
    raw_manifest(f"{between.address}/{name}:1")


def test_layers_too_large_for_one_request_go_in_chunks(engine: Engine, between: Between, name: str) -> None:
    from engine.commands import sending

    reference = f"{between.address}/{name}:1"
    between.refuse = lambda request: 413 if request.size > 1000 and "/blobs/" in request.path else 0
    with pytest.raises(RegistryError, match="answered 413"):
        engine.push("demo:1", reference)
    between.refuse = lambda request: 413 if request.size > 2 << 20 else 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sending, "SMALLER", 1 << 20)
        engine.push("demo:1", reference)
    assert max(one.size for one in between.seen if one.status != 413) == 1 << 20
    raw_manifest(reference)


def test_an_upload_that_breaks_is_tried_again(engine: Engine, between: Between, name: str) -> None:
    failed: list[str] = []

    def refuse(request: Request) -> int:
        if request.method == "PUT" and "/blobs/" in request.path and len(failed) < 2:
            failed.append(request.path)
            return 503
        return 0

    between.refuse = refuse
    said: list[Progress] = []
    engine.push("demo:1", f"{between.address}/{name}:1", report=said.append)
    assert len(failed) == 2 and "Retrying in 1 second" in {one.action for one in said}
    raw_manifest(f"{between.address}/{name}:1")


def test_one_layer_that_fails_ends_the_push(engine: Engine, between: Between, name: str) -> None:
    Path(engine.store.blobs.path(engine.store.images.manifest(engine.image("demo:1")).layers[0].digest)).unlink()
    with pytest.raises(BrokenStore, match="missing from the store"):
        engine.push("demo:1", f"{between.address}/{name}:1")
    assert not any("/manifests/" in one.path for one in between.seen)
    assert os.listdir(engine.store.path("tmp")) == []


def test_all_tags(engine: Engine, registry: RegistryServer, name: str) -> None:
    repository = f"{registry.address}/{name}"
    pushed = engine.push("demo", repository, all_tags=True)
    assert [one.name for one in pushed] == [f"{repository}:1", f"{repository}:2"]
    tags = json.loads(skopeo("list-tags", "--tls-verify=false", f"docker://{repository}"))["Tags"]
    assert sorted(tags) == ["1", "2"]
    engine.tag("demo:1", f"{repository}:3")
    assert [one.name for one in engine.push(repository, all_tags=True)] == [f"{repository}:3"]
    with pytest.raises(InvalidInput, match="tag can't be used with --all-tags/-a"):
        engine.push("demo:1", all_tags=True)
    with pytest.raises(NotFound, match="An image does not exist locally with the tag: none"):
        engine.push("none", all_tags=True)


def test_names_that_cannot_be_pushed(engine: Engine, registry: RegistryServer, name: str) -> None:
    reference = f"{registry.address}/{name}"
    with pytest.raises(NotFound, match=f"An image does not exist locally with the tag: {reference}$"):
        engine.push(f"{reference}:1")
    with pytest.raises(NoSuchImage, match="No such image: none"):
        engine.push("none", reference)
    with pytest.raises(InvalidInput, match="cannot push a digest reference"):
        engine.push(f"demo@sha256:{'0' * 64}")
    with pytest.raises(InvalidInput, match="invalid reference format"):
        engine.push("demo:1", "Bad Name")


def test_a_push_without_the_right_to_says_what_to_do(engine: Engine) -> None:
    with RegistryServer(user="me") as server:
        with pytest.raises(Unauthorized, match=f"strata login {server.address}"):
            engine.push("demo:1", f"{server.address}/demo:1")
        engine.login(server.address, "me", "secret")
        engine.push("demo:1", f"{server.address}/demo:1")


def test_an_image_that_is_removed_while_it_is_pushed_goes_out_whole(
    engine: Engine, between: Between, name: str
) -> None:
    removed: list[str] = []

    def refuse(request: Request) -> int:
        if not removed:
            removed.append("")  # the first request of several at once
            engine.remove_image("demo:1", force=True)
            removed.extend(engine.remove_image("demo:2", force=True))
        return 0

    between.refuse = refuse
    reference = f"{between.address}/{name}:1"
    (pushed,) = engine.push("demo:1", reference)
    assert any(text.startswith("Deleted") for text in removed)
    assert digest_of(raw_manifest(reference)) == pushed.digest
    with pytest.raises(NoSuchImage):
        engine.image("demo:1")


def test_interrupted_it_ends_though_the_registry_does_not_answer(between: Between, tmp_path: Path, name: str) -> None:
    archive = tmp_path / "demo.tar"
    archive.write_bytes(docker_archive(SPEC))
    arrived, over = threading.Event(), threading.Event()

    def stall(request: Request) -> int:
        if request.method == "PUT":
            arrived.set()
            over.wait(90)
        return 0

    between.refuse = stall
    with Strata() as strata:
        strata("load", "-q", "-i", str(archive))
        argv = strata.argv("push", "demo:1", f"{between.address}/{name}:1")
        with subprocess.Popen(argv, env=strata.env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as pushing:
            assert arrived.wait(60)
            pushing.send_signal(signal.SIGINT)
            assert (pushing.wait(60), pushing.stderr.read()) == (130, b"")  # type: ignore[union-attr]
        assert os.listdir(Path(strata.root) / "tmp") == []
    over.set()


def test_compressed_layers_are_what_gzip_reads(engine: Engine, tmp_path: Path) -> None:
    from engine.archive.compress import compress

    data = bytes(100_000) + NOISE[:100_000]
    (tmp_path / "plain").write_bytes(data)
    told: list[int] = []
    digest, size = compress(str(tmp_path / "plain"), str(tmp_path / "out"), "gzip", told.append)
    packed = (tmp_path / "out").read_bytes()
    assert (gzip.decompress(packed), digest_of(packed), len(packed)) == (data, digest, size)
    assert told[-1] == len(data)
    assert packed[4:8] == bytes(4) and not packed[3]  # no time, no name


def test_a_damaged_memory_of_compression_is_no_harm(engine: Engine, registry: RegistryServer, name: str) -> None:
    reference = f"{registry.address}/{name}:1"
    first = engine.push("demo:1", reference)
    for text in ("{", "[]", '{"x": 1}', json.dumps({SPEC.id: {"gzip": "x"}})):
        Path(engine.store.path("compressed.json")).write_text(text)
        assert engine.push("demo:1", reference) == first


def test_the_command(registry: RegistryServer, tmp_path: Path, name: str) -> None:
    archive = tmp_path / "demo.tar"
    archive.write_bytes(docker_archive(SPEC))
    reference = f"{registry.address}/{name}"
    with Strata() as strata:
        strata("load", "-q", "-i", str(archive))
        text = strata("push", "demo:1", f"{reference}:1").split("\n")
        assert text[0] == f"The push refers to repository [{reference}]"
        assert sum(line.endswith(": Preparing") for line in text) == 3
        assert sum(line.endswith((": Pushed", ": Layer already exists")) for line in text) == 3
        assert text[-1].startswith("1: digest: sha256:") and " size: " in text[-1]
        assert strata("push", "-q", "--compression", "zstd", "--chunk-size", "1m", "demo:1", f"{reference}:2") == (
            f"{reference}:2"
        )
        strata("tag", "demo:1", f"{reference}:latest")
        text = strata("push", reference).split("\n")
        assert text[0] == "Using default tag: latest"
        assert text[-1].startswith("latest: digest: sha256:")
        done = strata.run("push", f"{reference}:none")
        assert (done.returncode, done.stderr) == (
            1,
            f"Error: An image does not exist locally with the tag: {reference}\n",
        )
        done = strata.run("push", "--chunk-size", "many", "demo:1")
        assert done.returncode == 125 and 'invalid size: "many"' in done.stderr
