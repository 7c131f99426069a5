"""One story of limits, told on whatever kernel runs this: the chapters do things, and return what was found as facts.

    python -m tests.uml.story DIRECTORY ANSWER

DIRECTORY: where its store may be. ANSWER: a file for {chapter: facts} as JSON; a broken chapter has the fact "broke".
What the facts must be is in test_story.py. Commands run in forks of this process, since under user-mode Linux to import
them anew takes a second each time.
"""

from __future__ import annotations

import json
import os
import signal
import stat
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.cli.main import run as command
from engine import trace
from engine.cgroups import Group, detect, open_group
from engine.cgroups.limits import place
from engine.cgroups.names import parent_name
from engine.engine import Engine
from engine.store.root import Store
from tests.support.rootfs import tiny_image
from tests.support.waiting import until

PATIENCE = 100  # seconds for a command, and for what comes about by itself
Facts = dict[str, Any]


class Teller:
    """Owns a store, and runs commands on it."""

    def __init__(self, directory: str) -> None:
        self.root = tempfile.mkdtemp(prefix="story-", dir=directory)
        tiny_image(Store(self.root), "tiny")

    def strata(self, *words: str) -> tuple[int, str, str]:
        """A command: (status, output, errors)."""
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, open("/dev/null", "rb") as null:
            if (pid := os.fork()) == 0:
                signal.alarm(PATIENCE)  # one that hangs is a fact like others
                try:
                    for number, file in enumerate((null, out, err)):
                        os.dup2(file.fileno(), number)
                    status = command(["--root", self.root, *words])
                    sys.stdout.flush()
                    sys.stderr.flush()
                except BaseException:
                    os.write(2, traceback.format_exc().encode())
                    status = 99
                finally:
                    os._exit(status)
            status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            texts = []
            for file in (out, err):
                file.seek(0)
                texts.append(file.read().decode())
        return status, texts[0], texts[1]

    def background(self, *words: str) -> str:
        """`run -d`: the container's id."""
        status, out, err = self.strata("run", "-d", *words)
        assert status == 0, err
        return out.strip()

    def group(self, container: str) -> Group:
        return open_group(parent_name(self.root), container)

    def file(self, container: str, field: str) -> str:
        """What the kernel says to a field of Limits."""
        return Path(place(self.group(container), field)).read_text().strip()

    def state(self, container: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.strata("inspect", "-f", "{{json .State}}", container)[1])
        return found

    def remove(self, *containers: str) -> None:
        assert self.strata("rm", "-f", *containers)[0] == 0

    def close(self) -> None:
        with Engine(self.root) as engine:
            for one in engine.containers(all=True):
                engine.remove(one.id, force=True)


def kernel(teller: Teller) -> Facts:
    hierarchy = detect()
    return {"shape": hierarchy.shape, "release": os.uname().release}


def memory(teller: Teller) -> Facts:
    """One that eats memory, one that is killed from outside with the same exit status."""
    eaten = teller.strata("run", "--name", "eater", "-m", "24m", "--memory-swap", "24m", "tiny", "tail", "/dev/zero")
    other = teller.background("--name", "other", "-m", "24m", "--memory-swap", "32m", "tiny", "sleep", "1000")
    held, warnings = teller.file(other, "memory"), eaten[2]
    teller.strata("kill", other)
    rows = teller.strata("ps", "-a", "--format", "{{.Names}}|{{.Status}}")[1].splitlines()
    return {
        "status": eaten[0],
        "warnings": [line for line in warnings.splitlines() if line.startswith("WARNING")],
        "held": held,
        "eater": teller.state("eater"),
        "other": teller.state("other"),
        "rows": {name: text[:12] for name, _, text in (row.partition("|") for row in rows)},
    }


def pids(teller: Teller) -> Facts:
    """A fork bomb: each of its processes becomes two, again and again.

    The first process only lights it: a shell that is refused a fork ends, and with it the container would.
    """
    bomb = "bomb() { bomb & bomb & }; bomb & exec sleep 1000"
    container = teller.background("--pids-limit", "8", "tiny", "sh", "-c", bomb)
    directory = os.path.dirname(place(teller.group(container), "pids"))
    seen: list[int] = []

    def refused() -> bool:
        seen.append(int(Path(directory, "pids.current").read_text()))
        return "max 0" not in Path(directory, "pids.events").read_text()

    until(refused, PATIENCE)
    for _ in range(20):
        refused()
        time.sleep(0.01)
    held = teller.file(container, "pids")
    status, out, _ = teller.strata("update", "--pids-limit", "-1", teller.background("tiny", "sleep", "1000"))
    loose = teller.file(out.strip(), "pids") if status == 0 else out
    teller.remove(container)
    return {"held": held, "most": max(seen), "gone": not os.path.exists(directory), "loose": loose}


def cpu(teller: Teller) -> Facts:
    """A busy loop is throttled, stands still in the freezer, goes on, and is killed with its group."""
    loop = "(while :; do :; done) & while :; do :; done"
    container = teller.background("--cpus", "0.2", "--cpu-shares", "2048", "tiny", "sh", "-c", loop)
    group = teller.group(container)
    path = Path(os.path.dirname(place(group, "cpu_quota")), "cpu.stat")

    def throttled() -> int:
        fields = dict(line.split() for line in path.read_text().splitlines())
        return int(fields["nr_throttled"])

    until(throttled, PATIENCE)
    facts: Facts = {"quota": teller.file(container, "cpu_quota"), "shares": teller.file(container, "cpu_shares")}
    assert teller.strata("update", "--cpus", "0.5", container)[0] == 0
    facts["later"] = teller.file(container, "cpu_quota")

    assert teller.strata("pause", container)[0] == 0
    facts |= {"frozen": group.frozen(), "paused": teller.state(container)["Status"]}
    before = group.cpu()
    time.sleep(0.3)
    facts["ran while frozen"] = group.cpu() != before
    assert teller.strata("unpause", container)[0] == 0
    until(lambda: group.cpu() != before, PATIENCE)
    facts["thawed"] = not group.frozen()

    facts["processes"] = len(group.pids())
    with Engine(teller.root) as engine:
        monitor = engine.container(container).state.monitor_pid
    os.kill(monitor, signal.SIGSTOP)  # or it would remove the group while we look whether all are dead
    trace.begin()
    group.kill()
    steps = trace.end()
    os.kill(monitor, signal.SIGCONT)
    facts["by the kernel's kill"] = any(step.args[0].endswith("/cgroup.kill") for step in steps if step.call == "write")
    until(lambda: teller.state(container)["Status"] == "exited", PATIENCE)
    return facts | {"killed": teller.state(container), "gone": not any(map(os.path.exists, group.directories.values()))}


def devices(teller: Teller) -> Facts:
    """A disk as a device node, for which no capability is asked: whoever is not bound by the group can open it."""
    _, numbers = _disk()
    node = os.path.join(teller.root, "disk")
    os.mknod(node, stat.S_IFBLK | 0o600, numbers)
    os.close(os.open(node, os.O_RDONLY))
    make = f"mknod /dev/disk b {os.major(numbers)} {os.minor(numbers)}"
    refused = teller.strata("run", "--rm", "tiny", "sh", "-c", f"{make} && head -c1 /dev/disk")
    fine = teller.strata("run", "--rm", "tiny", "sh", "-c", "head -c3 /dev/urandom >/dev/null && echo fine")
    container = teller.background("tiny", "sh", "-c", f"{make}; exec sleep 1000")
    until(lambda: teller.strata("exec", container, "test", "-e", "/dev/disk")[0] == 0, PATIENCE)
    later = teller.strata("exec", container, "head", "-c1", "/dev/disk")
    return {"refused": refused, "fine": fine[1], "exec": later}


def io(teller: Teller) -> Facts:
    """A disk's rates."""
    disk, numbers = _disk()
    flags = ("--device-read-bps", f"{disk}:1mb", "--device-write-iops", f"{disk}:100")
    container = teller.background(*flags, "tiny", "sleep", "1000")
    return {
        "disk": f"{os.major(numbers)}:{os.minor(numbers)}",
        "read": teller.file(container, "device_read_bps"),
        "write": teller.file(container, "device_write_iops"),
    }


def _disk() -> tuple[str, int]:
    """Path and device number of the first disk that there is and that can be opened."""
    for name in sorted(os.listdir("/sys/block"), reverse=True):
        try:
            os.close(os.open(f"/dev/{name}", os.O_RDONLY))
            return f"/dev/{name}", os.stat(f"/dev/{name}").st_rdev
        except OSError:
            continue
    raise AssertionError("no disk here can be opened")


def measures(teller: Teller) -> Facts:
    """stats and top."""
    container = teller.background("--name", "measured", "-m", "64m", "tiny", "sleep", "1000")
    shown = "{{.Name}}|{{.MemUsage}}|{{.MemPerc}}|{{.CPUPerc}}|{{.BlockIO}}|{{.NetIO}}|{{.PIDs}}"
    status, out, err = teller.strata("stats", "--no-stream", "--format", shown, container)
    return {"stats": out.strip().split("|"), "errors": err, "status": status, "top": teller.strata("top", container)[1]}


def warned(teller: Teller) -> Facts:
    """Every limit at once: what this kernel cannot hold is said, all else is held."""
    flags = "--cpuset-cpus 0 --memory-swappiness 10 --blkio-weight 300 --memory-reservation 8m --pids-limit 9"
    status, out, err = teller.strata("run", "-d", *flags.split(), "tiny", "sleep", "1000")
    shown = json.loads(teller.strata("inspect", "-f", "{{json .HostConfig}}", out.strip())[1])
    fields = ("CpusetCpus", "MemorySwappiness", "BlkioWeight", "MemoryReservation", "PidsLimit")
    return {"status": status, "errors": err.splitlines(), "shown": {name: shown[name] for name in fields}}


CHAPTERS: tuple[Callable[[Teller], Facts], ...] = (kernel, memory, pids, cpu, devices, io, measures, warned)


def tell(directory: str) -> dict[str, Facts]:
    """Every chapter, whatever happens in the others."""
    told: dict[str, Facts] = {}
    teller = Teller(directory)
    try:
        for chapter in CHAPTERS:
            begin = time.monotonic()
            try:
                told[chapter.__name__] = chapter(teller)
            except BaseException:
                told[chapter.__name__] = {"broke": traceback.format_exc()}
            print(f"{chapter.__name__}: {time.monotonic() - begin:.1f} s", flush=True)
    finally:
        teller.close()
    return told


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(tell(sys.argv[1])))
