"""What we save and export, other engines take as what it is, byte for byte and entry by entry; and we what they export.

The image is one of ten layers with everything that archives must carry (`layered`), as podman saved it.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine import Engine
from engine.commands.options import CreateOptions
from tests.peers.conftest import Saved
from tests.peers.podman import Podman
from tests.peers.trees import Tree, differences, read_container_tree, read_tree
from tests.support.command import Strata
from tests.support.needs import needs, needs_root

needs_root()
needs("podman", "skopeo", "tar")

# containers/storage gives the root of every layer mode 0555; a container's root is made at another moment.
ROOT = {".": ("mtime_ns", "mode")}
MOUNTED = {".": ("mtime_ns",)}


@pytest.fixture
def strata() -> Iterator[Strata]:
    with Strata() as command:
        yield command


@pytest.fixture
def other() -> Iterator[Podman]:
    """A podman that never saw the image."""
    podman = Podman()
    try:
        yield podman
    finally:
        podman.close()


@pytest.fixture
def image(strata: Strata, ten_layers: Saved) -> str:
    """The image's id, loaded and named twice."""
    strata("load", "-i", str(ten_layers.archive))
    image = strata("images", "--quiet", "--no-trunc")
    strata("tag", image, "ten:one")
    strata("tag", image, "localhost:5000/some/ten:two")
    return image


def test_podman_and_skopeo_take_what_we_save(
    strata: Strata, ten_layers: Saved, image: str, other: Podman, tmp_path: Path
) -> None:
    one, both = tmp_path / "one.tar", tmp_path / "both.tar"
    strata("save", "-o", str(one), "ten:one")
    strata("save", "-o", str(both), "ten:one", "localhost:5000/some/ten")
    for archive, name in ((one, "ten:one"), (both, "localhost:5000/some/ten:two")):
        other.podman("load", "--quiet", stdin=archive.read_bytes())
        assert other.podman("images", "--quiet", "--no-trunc").split()[0] == image
        assert differences(read_tree(other.mount_image(name)), read_tree(ten_layers.tree), MOUNTED) == []
        other.podman("image", "umount", "--all", "--force")
        other.podman("rmi", "--force", "--all")

    config = subprocess.run(
        ["skopeo", "inspect", "--config", "--raw", f"docker-archive:{both}:localhost:5000/some/ten:two"],
        capture_output=True,
        check=True,
    ).stdout
    assert "sha256:" + hashlib.sha256(config).hexdigest() == image
    with Engine(strata.root) as engine:
        record = engine.image(image)
        manifest = engine.store.blobs.read(record.manifest)
        layers = [layer.digest for layer in engine.store.images.manifest(record).layers]
    raw = subprocess.run(["skopeo", "inspect", "--raw", f"oci-archive:{both}:two"], capture_output=True, check=True)
    assert raw.stdout == manifest
    subprocess.run(["skopeo", "copy", "--quiet", f"oci-archive:{one}", f"dir:{tmp_path}/dir"], check=True)
    for digest in layers:
        data = (tmp_path / "dir" / digest[7:]).read_bytes()
        assert "sha256:" + hashlib.sha256(data).hexdigest() == digest
    assert json.loads((tmp_path / "dir/manifest.json").read_bytes())["config"]["digest"] == image


def test_what_we_export_is_the_tree_that_podman_sees(
    strata: Strata, ten_layers: Saved, image: str, other: Podman, tmp_path: Path
) -> None:
    strata("create", "--name", "box", image, "true")
    strata("export", "-o", str(tmp_path / "flat.tar"), "box")
    theirs = read_tree(ten_layers.tree)
    assert differences(gnu_tar(tmp_path / "flat.tar", tmp_path / "gnu"), theirs, ROOT) == []
    other.podman("import", "--quiet", str(tmp_path / "flat.tar"), "flat")
    assert differences(read_tree(other.mount_image("flat")), theirs, MOUNTED) == []


def test_what_podman_exports_becomes_the_same_tree(
    strata: Strata, ten_layers: Saved, peer: Podman, tmp_path: Path
) -> None:
    container = peer.podman("create", "--network", "none", ten_layers.name, "true")
    peer.podman("export", "--output", str(tmp_path / "theirs.tar"), container)
    mounted = read_tree(peer.podman("mount", container))
    peer.podman("rm", "--force", container)
    image = strata("import", str(tmp_path / "theirs.tar"), "flat")
    with Engine(strata.root) as engine:
        made = engine.create(image, CreateOptions(command=("sleep", "1000")))
        engine.start(made)
        ours = read_container_tree(engine.container(made).state.pid)
    assert differences(ours, mounted, ROOT) == []


def gnu_tar(archive: Path, directory: Path) -> Tree:
    directory.mkdir()
    argv: list[str | Path] = ["tar", "-C", directory, "--xattrs", "--xattrs-include=*", "--numeric-owner"]
    subprocess.run([*argv, "-xpf", archive], check=True)
    return read_tree(directory)
