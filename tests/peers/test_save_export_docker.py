"""docker takes what we save, images and names; what it exports and saves comes in, and its own archive of it agrees."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard

from engine import Engine
from tests.peers.dockerd import Dockerd
from tests.support.archives import Dir, File, HardLink, Symlink, layer_tar
from tests.support.command import Strata
from tests.support.needs import needs, needs_root
from tests.support.rootfs import tiny_image

needs_root()
needs("dockerd", "docker", "tar")

TREE = [
    Dir("./"),
    Dir("d", 0o750, uid=7),
    File("d/f", b"x" * 5000, 0o4755),
    HardLink("h", "d/f", mode=0o4755),
    Symlink("s", "d/f"),
]


@pytest.fixture
def dockerd() -> Iterator[Dockerd]:
    with Dockerd() as daemon:
        yield daemon


@pytest.fixture
def strata() -> Iterator[Strata]:
    with Strata() as command:
        yield command


def test_docker_loads_what_we_save_and_exports_what_we_import(strata: Strata, dockerd: Dockerd, tmp_path: Path) -> None:
    with Engine(strata.root) as engine:
        ids = {
            "tiny": tiny_image(engine.store),
            "zstd": engine.import_image(io.BytesIO(zstandard.compress(layer_tar(TREE))), "zstd", changes=["CMD sh"]),
        }
    strata("tag", "tiny", "localhost:5000/a/b:two")
    strata("save", "-o", str(tmp_path / "saved.tar"), "tiny", "localhost:5000/a/b:two", "zstd")
    dockerd.docker("load", "--input", str(tmp_path / "saved.tar"))
    shown = dockerd.docker("images", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}")
    assert sorted(shown.splitlines()) == [
        f"localhost:5000/a/b:two {ids['tiny']}",
        f"tiny:latest {ids['tiny']}",
        f"zstd:latest {ids['zstd']}",
    ]

    # The same image as docker saves it is the same image; the same container as docker exports it is the same tree.
    dockerd.docker("save", "--output", str(tmp_path / "theirs.tar"), "tiny")
    with Strata() as elsewhere:
        elsewhere("load", "-i", str(tmp_path / "theirs.tar"))
        assert elsewhere("images", "--quiet", "--no-trunc") == ids["tiny"]
    container = dockerd.docker("create", "zstd")
    dockerd.docker("export", "--output", str(tmp_path / "docker.tar"), container)
    strata("create", "--name", "box", "zstd")
    strata("export", "--output", str(tmp_path / "strata.tar"), "box")
    ours, theirs = members(tmp_path / "strata.tar"), members(tmp_path / "docker.tar")
    # docker has its mount points and .dockerenv in it, and no entry for the root.
    assert ours.pop(".")[0] == tarfile.DIRTYPE
    extra = theirs.keys() - ours.keys()
    assert all(name.split("/")[0] in (".dockerenv", "dev", "etc", "proc", "sys") for name in extra)
    assert {name: theirs[name] for name in ours} == ours


def members(archive: Path) -> dict[str, tuple[Any, ...]]:
    """What a tar says of each member, to the second: docker's has no fractions."""
    with tarfile.open(archive) as tar:
        return {
            one.name: (one.type, one.mode & 0o7777, one.uid, one.gid, one.size, int(one.mtime), one.linkname)
            for one in tar
        }


def test_import_makes_the_config_that_docker_makes(strata: Strata, dockerd: Dockerd, tmp_path: Path) -> None:
    (tmp_path / "tree.tar").write_bytes(layer_tar(TREE))
    changes = [
        "CMD a b",
        'ENTRYPOINT ["e"]',
        "ENV A=1",
        "EXPOSE 80",
        "USER 5",
        "VOLUME /v",
        "WORKDIR /w",
        "ONBUILD RUN x",
    ]
    flags = [word for change in changes for word in ("--change", change)]
    dockerd.docker("import", *flags, "--message", "m", str(tmp_path / "tree.tar"), "demo")
    strata("import", *flags, "--message", "m", str(tmp_path / "tree.tar"), "demo")
    (theirs,) = json.loads(dockerd.docker("image", "inspect", "demo"))
    (ours,) = json.loads(strata("inspect", "demo"))
    assert ours["RootFS"] == theirs["RootFS"]
    for key in ("Architecture", "Os", "Comment"):
        assert ours.get(key) == theirs[key]
    keys = ("Cmd", "Entrypoint", "Env", "ExposedPorts", "User", "Volumes", "WorkingDir", "OnBuild")
    assert {key: ours["Config"].get(key) for key in keys} == {key: theirs["Config"].get(key) for key in keys}
