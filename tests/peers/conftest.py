"""A peer engine for the whole session, and the archives that it saved."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.peers import layered
from tests.peers.podman import Podman
from tests.support.needs import needs, needs_root

# Engines mount their own files over these: they must exist, or making mount points changes the image's directories.
MOUNT_POINTS = '--customize-hook=touch "$1/etc/hosts" "$1/etc/hostname" "$1/etc/resolv.conf"'


@dataclass(frozen=True, slots=True)
class Saved:
    """An image as a peer saved it: its name, the archive, and the peer's own merged tree of that archive."""

    name: str
    archive: Path
    tree: Path


@pytest.fixture(scope="session")
def peer() -> Iterator[Podman]:
    needs_root()
    needs("podman", "buildah", "runc")
    podman = Podman()
    yield podman
    podman.close()


@pytest.fixture(scope="session")
def debian(peer: Podman) -> Saved:
    """A Debian system made by mmdebstrap, imported and saved by podman: one layer, thousands of entries."""
    needs("mmdebstrap", "apt-get")
    tarball = peer.base / "debian.tar"
    done = subprocess.run(
        ["mmdebstrap", "--quiet", "--variant=minbase", MOUNT_POINTS, "bookworm", str(tarball)],
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    peer.podman("import", "--quiet", str(tarball), "debian")
    tarball.unlink()
    return saved(peer, "debian", "docker-archive")


@pytest.fixture(scope="session", params=["docker-archive", "oci-archive"])
def ten_layers(peer: Podman, request: pytest.FixtureRequest) -> Saved:
    """An image of ten layers with everything that archives must carry, in both forms of archive."""
    layered.build(peer, "ten")
    return saved(peer, "ten", request.param)


def saved(peer: Podman, name: str, form: str) -> Saved:
    """Save the image, forget it, load it again: the peer's tree must come from the archive, as ours does."""
    archive = peer.base / f"{name}.{form}"
    peer.podman("save", "--quiet", "--format", form, "--output", str(archive), name)
    peer.podman("rmi", "--force", name)  # others stay, and stay mounted
    peer.podman("load", "--quiet", "--input", str(archive))
    return Saved(name, archive, peer.mount_image(name))
