"""A large image, with all that layers can hold: loaded and pulled, it is the very tree that podman sees."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.peers.podman import Podman
from tests.peers.test_trees import ON_PURPOSE
from tests.peers.trees import Tree, differences, read_container_tree, read_tree
from tests.support.command import Strata
from tests.support.large import large_archive
from tests.support.needs import needs, needs_root
from tests.support.registry import RegistryServer

LEAST = 40_000  # entries


@pytest.fixture
def disk() -> Iterator[Path]:
    """An ext4 of its own: the machine's may be slow to make files where many were removed."""
    needs_root()
    needs("podman", "runc", "skopeo", "docker-registry", "mmdebstrap", "apt-get", "mkfs.ext4")
    place = Path(tempfile.mkdtemp(prefix="large-", dir="/var/tmp"))
    try:
        image, mounted = place / "disk", place / "m"
        mounted.mkdir()
        with open(image, "wb") as file:
            file.truncate(12 << 30)
        subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)
        subprocess.run(["mount", "-o", "loop", image, mounted], check=True)
        try:
            yield mounted
        finally:
            subprocess.run(["umount", "--lazy", mounted], check=True)
    finally:
        shutil.rmtree(place)


@pytest.mark.timeout(900)  # mmdebstrap and apt ask the network
def test_load_and_pull_of_a_large_image_end_equal_to_podmans_tree(disk: Path) -> None:
    directory = disk / "large"
    directory.mkdir()
    archive = large_archive(directory)
    peer = Podman(str(disk))
    try:
        peer.podman("load", "--quiet", "--input", str(archive))
        theirs = read_tree(peer.mount_image("localhost/large:latest"))
    finally:
        peer.close()
    assert len(theirs) > LEAST
    with Strata(str(disk)) as strata:
        strata("load", "--quiet", "--input", str(archive))
        layers = strata("inspect", "--format", "{{len .RootFS.Layers}}", "large")
        assert int(layers) >= 12
        assert differences(tree_of(strata, "large"), theirs, ON_PURPOSE) == []
        image = strata("images", "--quiet", "--no-trunc", "large")
        strata("rmi", "large")
        with RegistryServer() as registry:
            reference = f"{registry.address}/large:1"
            copy = ["skopeo", "copy", "-q", "--dest-tls-verify=false", f"docker-archive:{archive}"]
            subprocess.run([*copy, f"docker://{reference}"], check=True, timeout=300)
            strata("pull", "--quiet", reference, timeout=300)
        assert strata("images", "--quiet", "--no-trunc", reference) == image
        assert differences(tree_of(strata, reference), theirs, ON_PURPOSE) == []
        assert strata("system", "check") == "The store is whole."


def tree_of(strata: Strata, image: str) -> Tree:
    """What a container of the image sees; the container is gone afterwards."""
    container = strata("run", "--detach", image, "sleep", "1000")
    try:
        return read_container_tree(strata.pid(container))
    finally:
        strata("rm", "--force", container)
