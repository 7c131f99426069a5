"""Images in and out: load, pull, save, export and rmi of a large image, against podman and GNU tar."""

from __future__ import annotations

import gc
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.measure import Row, milliseconds
from tests.bench.sides import Sides
from tests.support.large import large_archive
from tests.support.registry import RegistryServer

ROUNDS = 4  # each takes half a minute for all rows
NAME = "large:latest"


class Large:
    """The image on the sides' disk, and both engines' stores without it."""

    def __init__(self, sides: Sides) -> None:
        self.sides = sides
        self.directory = sides.disk / "large"
        self.directory.mkdir()
        self.archive = large_archive(self.directory)
        self.layers = sorted(self.directory.glob("layer-*.tar"))
        self.target = sides.disk / "unpacked"

    def quiet(self) -> None:
        """Nothing waits to be written, and the archives are in memory, whoever comes next."""
        os.sync()
        gc.collect()

    def timed(self, work: Callable[[], object]) -> float:
        self.quiet()
        return milliseconds(work)

    def tar(self, options: str, suffix: str) -> None:
        """Unpack the layers one after the other, each into a directory of its own, with all that layers hold."""
        for layer in self.layers:
            into = self.target / layer.stem
            into.mkdir(parents=True)
            argv = ["tar", options, f"{layer}{suffix}", "-C", str(into), "--numeric-owner", "--xattrs"]
            done = subprocess.run([*argv, "--xattrs-include=*"], capture_output=True)
            # It cannot make the marker that hides a name of 255 bytes; all else it must.
            assert done.returncode == 0 or b"File name too long" in done.stderr, done.stderr

    def clean_tar(self) -> None:
        subprocess.run(["rm", "-rf", str(self.target)], check=True)


def transfers(sides: Sides, rounds: int) -> list[Row]:
    """All rows, in one interleaved run: each round brings the image in, sends it out and removes it, side by side."""
    large = Large(sides)
    samples: dict[str, tuple[list[float], list[float]]] = {}

    def note(name: str, ours: float, theirs: float) -> None:
        samples.setdefault(name, ([], []))[0].append(ours)
        samples[name][1].append(theirs)

    for layer in large.layers:
        subprocess.run(["gzip", "-1", "--keep", str(layer)], check=True)
    strata, podman, archive = sides.strata, sides.podman, str(large.archive)
    out = str(sides.disk / "out.tar")
    peaks: list[float] = []
    with RegistryServer() as registry:
        reference = f"{registry.address}/large:1"
        push = ["skopeo", "copy", "-q", "--dest-tls-verify=false", f"docker-archive:{archive}", f"docker://{reference}"]
        subprocess.run(push, check=True)
        for number in range(rounds + 1):
            with peak(peaks):
                ours = large.timed(strata("load", "-q", "-i", archive))
            theirs = large.timed(podman("load", "-q", "-i", archive))
            unpack = large.timed(lambda: large.tar("-xpf", ""))
            large.clean_tar()
            rows = [("load / podman", ours, theirs), ("load / tar -x", ours, unpack)]
            for verb, mine, other in (
                ("save", ("save", "-o", out, NAME), ("save", "-q", "-o", out, f"localhost/{NAME}")),
            ):
                first = large.timed(strata(*mine))
                Path(out).unlink()
                rows.append((f"{verb} / podman", first, large.timed(podman(*other))))
                Path(out).unlink()
            strata("create", "--name", "bench-export", NAME)()
            podman("create", "--name", "bench-export", f"localhost/{NAME}")()
            first = large.timed(strata("export", "-o", out, "bench-export"))
            Path(out).unlink()
            rows.append(("export / podman", first, large.timed(podman("export", "-o", out, "bench-export"))))
            Path(out).unlink()
            strata("rm", "bench-export")()
            podman("rm", "bench-export")()
            first = large.timed(strata("rmi", NAME))
            rows.append(("rmi / podman", first, large.timed(podman("rmi", f"localhost/{NAME}"))))
            with peak(peaks):
                ours = large.timed(strata("pull", "-q", reference))
            theirs = large.timed(podman("pull", "-q", "--tls-verify=false", reference))
            unpack = large.timed(lambda: large.tar("-xzpf", ".gz"))
            large.clean_tar()
            rows += [("pull / podman", ours, theirs), ("pull / tar -xz", ours, unpack)]
            strata("rmi", reference)()
            podman("rmi", reference)()
            if number:
                for name, mine_took, other_took in rows:
                    note(name, mine_took, other_took)
            print(f"\rround {number}/{rounds}", end="", flush=True)
    print()
    found = [Row(name, "ms", tuple(one), tuple(other), BARS[name]) for name, (one, other) in samples.items()]
    return [*found, Row("peak memory of load and pull", "MB", tuple(peaks), (), 120.0)]


BARS = {
    "load / podman": 0.5,
    "load / tar -x": 1.6,
    "save / podman": 0.4,
    "export / podman": 0.6,
    "rmi / podman": 0.7,
    "pull / podman": 0.5,
    "pull / tar -xz": 1.0,
}


@contextmanager
def peak(found: list[float]) -> Iterator[None]:
    """Note the most memory that this process's children had at once meanwhile: the sum of their PSS, in MB."""
    ended = threading.Event()
    most = [0.0]

    def watch() -> None:
        while not ended.is_set():
            most[0] = max(most[0], sum(map(_pss, _descendants(os.getpid()))))
            time.sleep(0.02)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        found.append(most[0])


def _descendants(pid: int) -> list[int]:
    found: list[int] = []
    ahead = [pid]
    while ahead:
        try:
            children = Path(f"/proc/{ahead.pop()}/task").iterdir()
            here = [int(child) for task in children for child in (task / "children").read_text().split()]
        except (FileNotFoundError, ProcessLookupError):
            continue
        found += here
        ahead += here
    return found


def _pss(pid: int) -> float:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return 0.0
    if b"docker-registry" in command:
        return 0.0
    line = next((line for line in text.splitlines() if line.startswith("Pss:")), "Pss: 0 kB")
    return int(line.split()[1]) * 1024 / 1e6
