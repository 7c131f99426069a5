"""Images between Strata and docker's daemon, podman, OCI layouts and archives, by skopeo's names for these places."""

from __future__ import annotations

import io
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine import Engine
from engine.errors import InvalidInput, NotFound, StrataError
from engine.progress import Progress
from tests.peers.dockerd import Dockerd
from tests.peers.podman import Podman
from tests.support.archives import Dir, File, ImageSpec, Opaque, Symlink, Whiteout, docker_archive
from tests.support.command import Strata
from tests.support.needs import needs, needs_root
from tests.support.rootfs import tiny_spec

needs_root()
needs("dockerd", "docker", "podman", "buildah", "skopeo")

BASE = [Dir("etc"), File("etc/motd", b"hello" * 50_000), Dir("srv"), File("srv/old", b"x")]
CHANGE = [Whiteout("etc/motd"), Opaque("srv"), File("srv/new", b"y"), Symlink("srv/link", "new")]
SPEC = ImageSpec([BASE, CHANGE], ["demo:1"], {"Cmd": ["sh"], "Labels": {"a": "b"}})
OTHER = ImageSpec([BASE], ["other:2"])
FRESH = ImageSpec([[File("only/here", b"never given to an engine")]], ["fresh:1"])


@pytest.fixture(scope="module")
def dockerd() -> Iterator[Dockerd]:
    with Dockerd() as daemon:
        yield daemon


@pytest.fixture
def at_docker(dockerd: Dockerd, monkeypatch: pytest.MonkeyPatch) -> Dockerd:
    monkeypatch.setenv("DOCKER_HOST", dockerd.env["DOCKER_HOST"])
    return dockerd


@pytest.fixture
def at_podman(peer: Podman, monkeypatch: pytest.MonkeyPatch) -> Podman:
    for key in ("CONTAINERS_CONF", "CONTAINERS_STORAGE_CONF", "TMPDIR"):
        monkeypatch.setenv(key, peer.env[key])
    return peer


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with Engine(str(tmp_path / "root")) as opened:
        yield opened


def loaded(engine: Engine, *specs: ImageSpec) -> None:
    engine.load(io.BytesIO(docker_archive(*specs)))


def skopeo(*args: str) -> str:
    done = subprocess.run(["skopeo", *args], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    return done.stdout


def archived(engine: Engine, image: str) -> bytes:
    """What the store says of an image and its layers, down to every entry: equal for equal images."""
    record = engine.image(image)
    entries = [repr(engine.store.layers.index(layer)).encode() for layer in record.layers]
    return b"\n".join([record.id.encode(), *entries])


def bottom(engine: Engine, image: str) -> Path:
    """The archive of an image's lowest layer."""
    return Path(engine.store.blobs.path(engine.store.images.manifest(engine.image(image)).layers[0].digest))


def test_through_dockers_daemon_and_back(engine: Engine, at_docker: Dockerd, tmp_path: Path) -> None:
    loaded(engine, SPEC)
    said: list[Progress] = []
    assert engine.push("demo:1", "docker-daemon:there/demo:2", report=said.append) == []
    assert said[-1] == Progress("", "demo:1: copied to docker-daemon:there/demo:2")
    (found,) = json.loads(at_docker.docker("image", "inspect", "there/demo:2"))
    assert found["Id"] == SPEC.id
    assert tuple(found["RootFS"]["Layers"]) == engine.image("demo:1").config.diff_ids
    with Engine(str(tmp_path / "second")) as second:
        (pulled,) = second.pull("docker-daemon:there/demo:2")
        assert (pulled.name, pulled.image) == ("there/demo:2", SPEC.id)
        assert archived(second, "there/demo:2") == archived(engine, "demo:1")
        (by_id,) = second.pull(f"docker-daemon:{SPEC.id[7:19]}")
        assert (by_id.name, by_id.image) == ("", SPEC.id)


def test_a_container_runs_in_docker_from_what_we_pushed(engine: Engine, at_docker: Dockerd) -> None:
    loaded(engine, tiny_spec("tiny:1"))
    engine.push("tiny:1", "docker-daemon:tiny:1")
    container = at_docker.docker("create", "--network", "none", "tiny:1", "true")
    exported = subprocess.run(
        ["docker", "export", container], env=at_docker.env, capture_output=True, timeout=100, check=True
    )
    assert b"etc/passwd" in exported.stdout
    at_docker.docker("rm", container)


def test_what_docker_lacks_or_refuses_is_said(
    engine: Engine, at_docker: Dockerd, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(NotFound, match=r"docker did not give none:1: reference does not exist"):
        engine.pull("docker-daemon:none:1")
    loaded(engine, FRESH)
    blob = bottom(engine, "fresh:1")
    blob.write_bytes(b"\xff" * blob.stat().st_size)
    with pytest.raises(StrataError, match=r"docker did not take the image: .*(tar|diffID|archive)"):
        engine.push("fresh:1", "docker-daemon:broken:1")
    blob.unlink()
    with pytest.raises(StrataError, match="missing from the store"):
        engine.push("fresh:1", "docker-daemon:broken:1")
    assert "broken" not in at_docker.docker("images")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(NotFound, match=r"cannot connect to the docker daemon at unix://.*none\.sock: No such file"):
        engine.pull("docker-daemon:demo")
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    with pytest.raises(InvalidInput, match="only a daemon on this machine"):
        engine.push("fresh:1", "docker-daemon:demo")


def test_an_archive_that_breaks_off_is_no_image_for_docker(
    engine: Engine, at_docker: Dockerd, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engine.archive import save

    loaded(engine, SPEC)
    whole = save.save

    def half(store: object, images: object, out: io.BytesIO) -> None:
        kept = io.BytesIO()
        whole(store, images, kept)  # type: ignore[arg-type]
        out.write(kept.getvalue()[:3000])
        raise OSError(5, "our disk is broken")

    monkeypatch.setattr(save, "save", half)
    with pytest.raises(OSError, match="our disk is broken"):
        engine.push("demo:1", "docker-daemon:half:1")
    assert "half" not in at_docker.docker("images")


@pytest.mark.parametrize("word", ["podman", "containers-storage"])
def test_through_podman_and_back(engine: Engine, at_podman: Podman, tmp_path: Path, word: str) -> None:
    loaded(engine, SPEC)
    engine.push("demo:1", f"{word}:example.org/{word}:2")
    (found,) = json.loads(at_podman.podman("image", "inspect", f"example.org/{word}:2"))
    assert found["Id"] == SPEC.id[7:]
    assert tuple(found["RootFS"]["Layers"]) == engine.image("demo:1").config.diff_ids
    with Engine(str(tmp_path / "second")) as second:
        (pulled,) = second.pull(f"{word}:example.org/{word}:2")
        assert (pulled.name, pulled.image) == (f"example.org/{word}:2", SPEC.id)
        assert archived(second, pulled.image) == archived(engine, "demo:1")


def test_annotations_survive_the_way_through_podman(engine: Engine, at_podman: Podman, tmp_path: Path) -> None:
    container = at_podman.buildah("from", "scratch")
    at_podman.buildah("config", "--annotation", "who=me", container)
    at_podman.buildah("commit", "--quiet", "--rm", container, "noted:1")
    engine.pull("podman:localhost/noted:1")
    record = engine.image("localhost/noted:1")
    (found,) = json.loads(at_podman.podman("image", "inspect", "noted:1"))
    assert (record.id, json.loads(engine.store.blobs.read(record.manifest))["annotations"]["who"]) == (
        "sha256:" + found["Id"],
        "me",
    )
    at_podman.podman("rmi", "noted:1")
    engine.push("localhost/noted:1", "podman:localhost/noted:2")
    (again,) = json.loads(at_podman.podman("image", "inspect", "noted:2"))
    assert (again["Id"], again["Annotations"]["who"]) == (found["Id"], "me")
    assert again["RepoTags"] == ["localhost/noted:2"]


def test_what_podman_lacks_or_refuses_is_said(
    engine: Engine, at_podman: Podman, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(NotFound, match=r"podman.*none: .*(not known|no such image)"):
        engine.pull("podman:none")
    loaded(engine, FRESH)
    blob = bottom(engine, "fresh:1")
    blob.write_bytes(b"\xff" * blob.stat().st_size)
    with pytest.raises(StrataError, match="`podman load` failed: "):
        engine.push("fresh:1", "podman:broken:1")
    blob.unlink()
    with pytest.raises(StrataError, match="missing from the store"):
        engine.push("fresh:1", "podman:broken:1")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotFound, match="podman is not installed"):
        engine.pull("podman:demo")


def test_a_hostile_image_in_podman_is_our_error_not_podmans(
    engine: Engine, at_podman: Podman, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded(engine, SPEC)
    engine.push("demo:1", "podman:big:1")
    from engine.archive import received

    monkeypatch.setattr(received, "MAX_MEMBERS", 1)
    with pytest.raises(InvalidInput, match="holds more than 1 files"):
        engine.pull("podman:big:1")


def test_a_layout_takes_one_image_after_another_and_gives_each_by_its_tag(engine: Engine, tmp_path: Path) -> None:
    loaded(engine, SPEC, OTHER)
    layout = tmp_path / "layout"
    engine.push("demo:1", f"oci:{layout}:first")
    engine.push("other:2", f"oci:{layout}:second")
    assert skopeo("inspect", "--format", "{{.Digest}}", f"oci:{layout}:first") != ""
    copied = tmp_path / "copied.tar"
    skopeo("copy", "-q", f"oci:{layout}:first", f"docker-archive:{copied}:checked:1")
    with open(copied, "rb") as file:
        assert engine.load(file)[0].image == SPEC.id
    with Engine(str(tmp_path / "second")) as second:
        (pulled,) = second.pull(f"oci:{layout}:second")
        assert pulled.image == OTHER.id and len(second.images()) == 1
        with pytest.raises(InvalidInput, match=r"names no image 'third': it has first, second"):
            second.pull(f"oci:{layout}:third")
        assert {one.image for one in second.pull(f"oci:{layout}")} == {SPEC.id, OTHER.id}


def test_archives_are_written_whole_and_read_by_name(engine: Engine, tmp_path: Path) -> None:
    loaded(engine, SPEC, OTHER)
    docker, oci = tmp_path / "docker.tar", tmp_path / "oci.tar"
    docker.write_bytes(b"what was there before")
    engine.push("demo:1", f"docker-archive:{docker}:host:5000/named:3")
    engine.push("demo:1", f"oci-archive:{oci}:three")
    for place in (f"docker-archive:{docker}:host:5000/named:3", f"oci-archive:{oci}:three"):
        config = json.loads(skopeo("inspect", "--config", place))
        assert config["rootfs"]["diff_ids"] == list(engine.image("demo:1").config.diff_ids)
        with Engine(str(tmp_path / place[:3])) as second:
            (pulled,) = second.pull(place)
            assert pulled.image == SPEC.id
            assert pulled.name == ("host:5000/named:3" if place.startswith("docker") else "")
    with pytest.raises(InvalidInput, match=r"has no image 'other': it has host:5000/named:3"):
        engine.pull(f"docker-archive:{docker}:other")
    before = docker.read_bytes()
    bottom(engine, "demo:1").unlink()
    with pytest.raises(StrataError, match="missing from the store"):
        engine.push("demo:1", f"docker-archive:{docker}:x:1")
    assert docker.read_bytes() == before
    assert sorted(os.listdir(tmp_path)) == ["doc", "docker.tar", "oci", "oci.tar", "root"]
    with pytest.raises(FileNotFoundError):
        engine.pull(f"docker-archive:{tmp_path}/none.tar")


def test_the_command_speaks_of_places(at_docker: Dockerd, tmp_path: Path) -> None:
    archive = tmp_path / "tiny.tar"
    archive.write_bytes(docker_archive(tiny_spec("tiny:1")))
    with Strata() as strata:
        strata.env |= {"DOCKER_HOST": at_docker.env["DOCKER_HOST"]}
        text = strata("pull", f"docker-archive:{archive}:tiny:1")
        assert text.endswith("Status: Downloaded newer image for tiny:1\ndocker.io/library/tiny:1"), text
        assert strata("push", "tiny:1", "docker-daemon:said:1") == "tiny:1: copied to docker-daemon:said:1"
        assert strata("push", "-q", "tiny:1", "docker-daemon:said:1") == ""
        assert at_docker.docker("images", "-q", "said:1") != ""
        done = strata.run("push", "none", "docker-daemon:said:1")
        assert (done.returncode, done.stderr) == (1, "Error: No such image: none\n")
        done = strata.run("push", "tiny:1", "docker-daemon:")
        assert done.returncode == 1 and "expected docker-daemon:NAME" in done.stderr
