"""SIGKILL at twenty random moments of a load and of a pull: the store is whole each time, and the next try succeeds and
uses what was whole."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from engine.store.root import Store
from tests.support.archives import Dir, File, ImageSpec, Member, docker_archive
from tests.support.command import Strata
from tests.support.needs import needs, needs_root
from tests.support.registry import RegistryServer

needs_root()

MOMENTS = 20


def layer(number: int) -> list[Member]:
    noise = random.Random(number)
    many = [File(f"d{number}/{name}", noise.randbytes(3000)) for name in range(250)]
    return [Dir(f"d{number}"), *many, File(f"big{number}", noise.randbytes(2_000_000))]


SPEC = ImageSpec([layer(number) for number in range(6)], ["demo"], {"Cmd": ["sh"]})


def kill_often(strata: Strata, words: list[str]) -> None:
    def once() -> float:
        begun = time.monotonic()
        strata(*words)
        return time.monotonic() - begun

    lasts = max(once(), (strata("rmi", "-f", SPEC.id), once())[1])
    chosen = random.Random(42)
    interrupted = 0
    for _ in range(MOMENTS):
        strata("rmi", "-f", SPEC.id)
        strata("system", "prune", "-f")
        process = subprocess.Popen(
            strata.argv(*words), env=strata.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        # From early to late, whatever the machine is busy with: a moment of its own for each try.
        time.sleep(chosen.uniform(0.1, 1.0) * lasts)
        process.send_signal(signal.SIGKILL)
        interrupted += process.wait() != 0
        done = strata.run("system", "check", "--deep")
        assert done.returncode == 0, done.stdout
        store = Store(strata.root)
        whole = {name: os.stat(store.layers.path(name)).st_ino for name in store.layers.ids()}
        strata(*words)
        assert store.images.find(SPEC.id) == SPEC.id
        after = {name: os.stat(store.layers.path(name)).st_ino for name in store.layers.ids()}
        assert whole.items() <= after.items(), "layers that were whole are used, not made again"
        assert len(after) == len(SPEC.layers)
        assert "leftover" not in strata("system", "check", "--deep")
    assert interrupted, "no try was killed in the middle"


@pytest.mark.timeout(400)
def test_killed_loads(tmp_path: Path) -> None:
    archive = tmp_path / "demo.tar"
    archive.write_bytes(docker_archive(SPEC))
    with Strata() as strata:
        kill_often(strata, ["load", "-q", "-i", str(archive)])


@pytest.mark.timeout(400)
def test_killed_pulls(tmp_path: Path) -> None:
    needs("docker-registry", "skopeo")
    archive = tmp_path / "demo.tar"
    archive.write_bytes(docker_archive(SPEC))
    with RegistryServer() as registry, Strata() as strata:
        reference = f"{registry.address}/demo:1"
        argv = ["skopeo", "copy", "-q", "--dest-tls-verify=false", f"docker-archive:{archive}", f"docker://{reference}"]
        subprocess.run(argv, check=True, timeout=100)
        kill_often(strata, ["pull", "-q", reference])
