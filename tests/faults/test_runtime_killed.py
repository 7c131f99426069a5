"""SIGKILL at any moment to any of ours: no container without a monitor, no caller without an answer, nothing left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from engine.errors import NotRunning, StartFailed
from engine.runtime.client import Launcher, MonitorLost
from engine.runtime.orphans import bury_container
from engine.runtime.plan import Plan
from tests.support.runtime import Config, Lab, collect, eventually, eventually_empty, gone, lab

__all__ = ["lab"]


def children(pid: int) -> list[int]:
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            if int(Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def spares(launcher: Launcher) -> tuple[int, int]:
    """The (monitor, starter) that wait for the next start."""

    def look() -> list[tuple[int, int]]:
        found = [(monitor, starter) for monitor in children(launcher._pid) for starter in children(monitor)]
        return [pair for pair in found if "strata-starter" in Path(f"/proc/{pair[1]}/comm").read_text()]

    eventually(look)
    return look()[0]


def kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # its work was done


def wait_gone(pid: int) -> None:
    eventually(lambda: gone(pid))


def wait_unwatched(lab: Lab, config: Config) -> None:
    """Until no monitor answers for this container."""
    eventually(lambda: not lab.monitor(config).alive())


def test_a_killed_monitor_takes_its_container_along(lab: Lab) -> None:
    config = lab.running("sh", "-c", "sleep 1000 & setsid sleep 1000 & sleep 1000")
    joined = lab.monitor(config).exec(("sleep", "1000"))
    pid, monitor = lab.pids(config)
    inside = [pid, joined.pid, *children(pid)]
    os.kill(monitor, signal.SIGKILL)
    assert eventually_empty(lambda: [str(number) for number in inside if not gone(number)]) == []
    with pytest.raises(NotRunning):
        lab.monitor(config).info()
    with pytest.raises(MonitorLost):
        joined.wait()
    assert lab.groups() != []
    assert bury_container(str(lab.root), config.id)
    assert not bury_container(str(lab.root), config.id)
    assert lab.groups() == []


def test_a_container_of_a_killed_monitor_starts_again(lab: Lab) -> None:
    config = lab.create("sh", "-c", "echo again; while [ ! -e /stop ]; do sleep 0.02; done")
    lab.start(config)
    os.kill(lab.pids(config)[1], signal.SIGKILL)
    eventually(lambda: not lab.monitor(config).alive())
    session = lab.session(config)
    assert session.read() == ("stdout", b"again\n")
    assert collect(lab.monitor(config).exec(("touch", "/stop"))).status == 0
    assert session.wait() == 0


def test_a_frozen_one_of_a_killed_monitor_is_buried(lab: Lab) -> None:
    config = lab.running()
    pid, monitor = lab.pids(config)
    lab.monitor(config).pause()
    os.kill(monitor, signal.SIGKILL)
    eventually(lambda: not lab.monitor(config).alive())
    assert bury_container(str(lab.root), config.id)
    assert gone(pid)


def test_one_that_shook_its_parents_death_off_is_buried_before_it_starts_again(lab: Lab) -> None:
    """An exec of a set-user-id program clears the parent-death signal (prctl(2))."""
    layer = lab.layer("suid")
    busybox = (lab.root / "layers/base/diff/bin/sleep").resolve()
    (layer / "sleep").write_bytes(Path(os.path.realpath(busybox)).read_bytes())
    (layer / "sleep").chmod(0o4755)
    config = lab.create("sh", "-c", "exec /sleep 1000", layers=("base", "suid"), user="1000")
    pid = lab.start(config).pid
    eventually(lambda: b"/sleep" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"))
    os.kill(lab.pids(config)[1], signal.SIGKILL)
    eventually(lambda: not lab.monitor(config).alive())
    time.sleep(0.1)  # long enough for a death that would come
    assert not gone(pid), "it died: the kernel has changed, and this test proves nothing"
    second = lab.start(config).pid
    assert gone(pid)
    assert not gone(second)


def test_killed_spares_are_replaced(lab: Lab) -> None:
    assert lab.run(lab.create("true")).status == 0
    for which in (0, 1):
        victim = spares(lab.launcher)[which]
        os.kill(victim, signal.SIGKILL)
        wait_gone(victim)
        statuses = []
        for _ in range(3):
            try:
                statuses.append(lab.run(lab.create("true")).status)
            except StartFailed:
                statuses.append(-1)
        assert statuses[1:] == [0, 0]


@pytest.mark.parametrize("who", [0, 1], ids=["monitor", "starter"])
def test_killed_in_the_middle_of_a_start_it_is_answered_and_nothing_is_left(lab: Lab, who: int) -> None:
    """At every half millisecond of a start: it runs, or the caller hears that it does not."""
    outcomes = set()
    for moment in range(40):
        assert lab.run(lab.create("true")).status == 0  # a killed spare was replaced
        config = lab.create("sleep", "1000")
        victim = spares(lab.launcher)[who]
        killer = threading.Timer(moment * 0.0005, kill, (victim,))
        killer.start()
        try:
            pid = lab.start(config).pid
        except StartFailed:
            outcomes.add("failed")
            killer.join()
            bury_container(str(lab.root), config.id)
        else:
            killer.join()
            outcomes.add("ran")
            if who == 1:  # the starter's work was done: the container does not need it any more
                assert lab.pids(config)[0] == pid
                lab.monitor(config).signal(signal.SIGKILL)
                wait_unwatched(lab, config)
            else:
                wait_gone(pid)
                bury_container(str(lab.root), config.id)
        assert eventually_empty(lab.groups) == []
    assert "failed" in outcomes


CALLER = """
import sys
from tests.support.runtime import Config
from engine.runtime.client import Launcher
from engine.runtime.plan import make_plan

launcher = Launcher.spawn()
print("ready", flush=True)
for number in sys.argv[2:]:
    launcher.start(make_plan(Config(number, ("sleep", "1000")), sys.argv[1]), attach=True)
"""


def test_a_caller_killed_in_the_middle_of_its_starts_leaves_whole_containers_or_none(lab: Lab) -> None:
    here = Path(__file__).resolve().parents[2]
    for moment in range(8):
        configs: list[Config] = [lab.create("sleep", "1000") for _ in range(4)]
        argv = [sys.executable, "-c", CALLER, str(lab.root), *(config.id for config in configs)]
        process = subprocess.Popen(argv, cwd=here, stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        time.sleep(moment * 0.008)
        process.kill()
        process.communicate()
        for config in configs:
            wait_settled(lab, config)


def wait_settled(lab: Lab, config: Config) -> None:
    """Until a container either runs, with its monitor, or has left no trace of a process."""
    eventually(lambda: settled(lab, config))


def settled(lab: Lab, config: Config) -> bool:
    path = lab.directory(config) / "state.json"
    if path.exists():
        return bool(json.loads(path.read_text())["status"] == "running" and lab.monitor(config).alive())
    return not [group for group in lab.groups() if group.endswith(config.id)]


class Senseless(Plan):
    """A plan that the starter cannot read."""

    def wire(self) -> dict[str, object]:
        return {"id": "x"}


def test_an_error_of_the_engine_itself_is_told_where_it_came_from(lab: Lab) -> None:
    plan = lab.plan(lab.create("true"))
    senseless = Senseless(**{name: getattr(plan, name) for name in Plan.fields()})
    with pytest.raises(StartFailed, match=r"KeyError: 'directory' \(starter\.py:\d+\)"):
        lab.launcher.start(senseless)
    assert lab.run(lab.create("true")).status == 0


def test_a_full_disk_fails_the_start_and_leaves_nothing(lab: Lab) -> None:
    """The container's own directory lies on a file system without room."""
    config = lab.create("true")
    directory = lab.directory(config)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k,nr_inodes=6", "full", str(directory)], check=True)
    try:
        (directory / "rootfs").mkdir()
        for name in ("hostname", "hosts", "resolv.conf"):
            (directory / name).write_text("x")
        (directory / "fill").write_bytes(b"")
        with pytest.raises(StartFailed, match="No space left on device"):
            lab.start(config)
        assert lab.groups() == []
        assert not (directory / "state.json").exists()
    finally:
        # The monitor has answered, and is on its way out with the directory still open.
        eventually(lambda: subprocess.run(["umount", str(directory)]).returncode == 0)
