"""skopeo reads the archives that tests make, and what it writes of them loads as the same image."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from engine.archive.load import load
from engine.store.root import Store
from tests.support.archives import Dir, File, ImageSpec, Opaque, Symlink, Whiteout, docker_archive
from tests.support.needs import needs, needs_root

needs_root()
needs("skopeo", "tar")

SPEC = ImageSpec(
    [
        [Dir("./"), Dir("etc"), File("etc/motd", b"hello" * 1000), Dir("srv"), File("srv/old", b"x")],
        [Whiteout("etc/motd"), Opaque("srv"), File("srv/new", b"y"), Symlink("link", "/etc")],
        [Whiteout("etc/motd"), Opaque("srv"), File("srv/new", b"y"), Symlink("link", "/etc")],
    ],
    ["docker.io/library/demo:1"],
    {"Cmd": ["sh"], "Labels": {"a": "b"}},
)


def copy(source: str, target: str) -> None:
    subprocess.run(["skopeo", "copy", "--quiet", "--insecure-policy", source, target], check=True)


@pytest.mark.parametrize("form", ["docker-archive", "oci-archive", "oci", "docker-archive gzip"])
@pytest.mark.parametrize("style", ["podman", "docker25", "old"])
def test_the_same_image_comes_back(tmp_path: Path, style: str, form: str) -> None:
    ours, theirs = tmp_path / "ours.tar", tmp_path / "theirs.tar"
    ours.write_bytes(docker_archive(SPEC, style=style))
    if form == "oci":
        copy(f"docker-archive:{ours}", f"oci:{tmp_path}/layout:docker.io/library/demo:1")
        subprocess.run(["tar", "-C", str(tmp_path / "layout"), "-cf", str(theirs), "."], check=True)
    else:
        copy(f"docker-archive:{ours}", f"{form.split()[0]}:{theirs}:docker.io/library/demo:1")
    if form.endswith("gzip"):
        subprocess.run(["gzip", "-1", str(theirs)], check=True)
        theirs = tmp_path / "theirs.tar.gz"
    store = Store(str(tmp_path / "root"))
    with open(theirs, "rb") as stream:
        (loaded,) = load(store, stream)
    assert loaded.names == ("docker.io/library/demo:1",)
    image = store.images.get(loaded.image)
    assert (image.config.cmd, image.config.labels) == (["sh"], {"a": "b"})
    # A converted config may be spelled anew, but it means the same layers.
    reference = Store(str(tmp_path / "reference"))
    with open(ours, "rb") as stream:
        (original,) = load(reference, stream)
    assert image.layers == reference.images.get(original.image).layers
    for layer_id in image.layers:
        assert store.layers.index(layer_id) == reference.layers.index(layer_id)
        assert store.layers.get(layer_id) == reference.layers.get(layer_id)
