"""`export` of containers as they are: running, stopped, just made; what of them is their view and what is not."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine import Engine
from engine.commands.options import CreateOptions
from engine.errors import BrokenStore, NoSuchContainer
from tests.support.command import Strata
from tests.support.needs import needs_root
from tests.support.rootfs import tiny_image
from tests.support.waiting import until


@pytest.fixture
def strata() -> Iterator[Strata]:
    needs_root()
    with Strata() as command:
        yield command


@pytest.fixture
def engine(strata: Strata) -> Iterator[Engine]:
    with Engine(strata.root) as found:
        tiny_image(found.store)
        yield found


def make(engine: Engine, *command: str, start: bool = True) -> str:
    container = engine.create("tiny", CreateOptions(name="box", command=command))
    if start:
        engine.start(container)
    return container


def exported(engine: Engine, ref: str) -> dict[str, tarfile.TarInfo]:
    out = io.BytesIO()
    engine.export(ref, out)
    out.seek(0)
    with tarfile.open(fileobj=out) as tar:
        return {member.name: member for member in tar.getmembers()}


def test_a_container_that_never_ran_is_its_image(engine: Engine) -> None:
    found = exported(engine, make(engine, "true", start=False))
    index = engine.store.layers.index(engine.image("tiny").layers[0])
    assert [name for name in found if name != "."] == [entry.path for entry in index if entry.path]


def test_running_and_stopped(engine: Engine) -> None:
    container = make(engine, "sh", "-c", "echo x > /new; rm /etc/group; mkdir /gone; echo ready > /ready; sleep 1000")
    until(lambda: Path(engine.store.layers.diff_path(container), "ready").exists())
    running = exported(engine, container[:12])
    assert "new" in running and "etc/group" not in running and "etc/passwd" in running
    # What is mounted is not the container's: the places alone are there.
    assert not [name for name in running if name.startswith(("proc/", "sys/", "dev/"))]
    assert running["proc"].isdir()
    engine.stop(container, timeout=0)
    assert {name: member.size for name, member in exported(engine, "box").items()} == {
        name: member.size for name, member in running.items()
    }


def test_nobody_and_a_container_removed_meanwhile(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NoSuchContainer, match=r"^No such container: nobody$"):
        engine.export("nobody", io.BytesIO())
    container = make(engine, "true", start=False)

    class Removes(io.BytesIO):
        """Somebody removes the container at the first byte that leaves."""

        def write(self, data: object) -> int:
            engine.remove(container)
            monkeypatch.setattr(self, "write", super().write)
            return super().write(data)  # type: ignore[arg-type]

    with pytest.raises(NoSuchContainer):
        engine.export(container, Removes())


def test_a_missing_layer_is_told(engine: Engine) -> None:
    container = make(engine, "true", start=False)
    shutil.rmtree(engine.store.layers.path(engine.image("tiny").layers[0]))
    with pytest.raises(BrokenStore, match="missing"):
        engine.export(container, io.BytesIO())


def test_the_command(strata: Strata, engine: Engine, tmp_path: Path) -> None:
    container = make(engine, "true", start=False)
    target = tmp_path / "out.tar"
    assert strata("export", "--output", str(target), "box") == ""
    assert os.stat(target).st_mode & 0o777 == 0o600
    piped = subprocess.run(strata.argv("export", container), env=strata.env, capture_output=True, check=True)
    assert piped.stdout == target.read_bytes()
    assert subprocess.run(["tar", "-tf", target], capture_output=True, check=True).stdout.startswith(b"./\n")
    assert strata.run("export", "nobody").stderr == "Error: No such container: nobody\n"


def test_nobody_reads_the_pipe_to_its_end(strata: Strata, engine: Engine) -> None:
    make(engine, "true", start=False)
    script = f"{' '.join(strata.argv('export', 'box'))} | head -c 1000 >/dev/null; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], env=strata.env, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("141\n", "")
