"""cp by docker and by us: the same words, the same files, the same refusals."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from engine.engine import Engine
from engine.errors import StrataError
from engine.store.root import Store
from tests.peers.dockerd import Dockerd
from tests.support.command import Strata
from tests.support.needs import needs_root
from tests.support.rootfs import tiny_image, tiny_layer

pytestmark = pytest.mark.skipif(not shutil.which("dockerd"), reason="no docker on this machine")

# Both sides have d, a directory with something in it, e, an empty one, f, a file, and links: ld, le, lf, gone.
IN = [
    *(("f", target) for target in ("/e", "/e/new/", "/f", "/ld", "/lf", "/gone", "/d/sub/g/")),
    *(("d", target) for target in ("/e", "/e/new", "/f", "/ld")),
    *(("d/.", target) for target in ("/e", "/e/new")),
    ("ld/", "/e/new"),
    ("lf", "/e"),
]
OUT = [
    *(("/f", target) for target in ("e", "e/new/", "f", "le", "lf")),
    *(("/d", target) for target in ("e/", "e/new", "f")),
    *(("/d/.", target) for target in ("e", "e/new")),
    ("/ld/", "e"),
    ("/lf", "e/new"),
]


@pytest.fixture(scope="module")
def sides() -> Iterator[tuple[Dockerd, Strata]]:
    needs_root()
    with Dockerd() as dockerd, Strata() as strata:
        dockerd.docker("import", "-", "tiny", stdin=tiny_layer())
        tiny_image(Store(strata.root))
        yield dockerd, strata


def furnish(where: Path) -> None:
    """The same for a container and for the host."""
    for name in os.listdir(where):
        if name in ("d", "e", "f", "ld", "lf", "le", "gone"):
            path = where / name
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    (where / "d/sub").mkdir(parents=True)
    (where / "e").mkdir()
    (where / "f").write_text("file of " + where.name)
    (where / "d/sub/g").write_text("g")
    for name, target in (("ld", "d"), ("lf", "f"), ("le", "e"), ("d/l", "sub/g"), ("gone", "e/there")):
        (where / name).symlink_to(target)


def seen(where: Path) -> dict[str, str]:
    """Every path of it, with its kind, mode and content."""
    found = {}
    for name in ("d", "e", "f", "ld", "lf", "le", "gone"):
        for path in (where / name, *(where / name).rglob("*")) if not (where / name).is_symlink() else (where / name,):
            mode = path.lstat().st_mode
            text = os.readlink(path) if stat.S_ISLNK(mode) else path.read_text() if stat.S_ISREG(mode) else ""
            found[str(path.relative_to(where))] = f"{stat.filemode(mode)} {text}"
    return found


def strata_says(act: partial[int]) -> bool:
    try:
        act()
    except (StrataError, OSError):
        return False
    return True


def docker_says(dockerd: Dockerd, *words: str) -> bool:
    return subprocess.run(["docker", "cp", *words], env=dockerd.env, capture_output=True, timeout=120).returncode == 0


def test_in_and_out_as_docker_does(
    sides: tuple[Dockerd, Strata], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dockerd, strata = sides
    dockerd.docker("create", "--name", "theirs", "tiny", "sh")
    ours_id = strata("create", "--name", "ours", "tiny", "sh")
    ours, theirs = Path(strata.root, "layers", ours_id, "diff"), upper(dockerd)
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    engine = Engine(strata.root)
    wrong = []
    done_by_docker = 0
    for number, (source, target) in enumerate([*IN, *OUT]):
        results = []
        for side in (theirs, ours):
            furnish(side)
            (side / "f").write_text("inside")
            furnish(here)
            into = number < len(IN)
            if side is theirs:
                words = (source, f"theirs:{target}") if into else (f"theirs:{source}", target)
                done = docker_says(dockerd, *words)
            else:
                done = strata_says(
                    partial(engine.copy_to, "ours", source, target)
                    if into
                    else partial(engine.copy_from, "ours", source, target)
                )
            results.append((done, seen(side), seen(here)))
        done_by_docker += results[0][0]
        if results[0] != results[1]:
            wrong.append((source, target, *results))
    assert 15 < done_by_docker < number  # some are done, some refused
    assert not wrong, "\n\n".join(map(str, wrong))


def upper(dockerd: Dockerd) -> Path:
    """The read-write layer of docker's container."""
    return Path(dockerd.docker("inspect", "--format", "{{.GraphDriver.Data.UpperDir}}", "theirs"))
