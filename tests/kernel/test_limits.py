"""Limits through the command, on this machine's own cgroups: held, shown, changed, refused, measured."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.cgroups import detect, open_group
from engine.cgroups.limits import place
from engine.cgroups.names import parent_name
from engine.store.root import Store
from tests.support.command import Strata
from tests.support.needs import needs, needs_root
from tests.support.rootfs import tiny_image
from tests.support.waiting import until

needs_root()


@pytest.fixture(scope="module")
def strata() -> Iterator[Strata]:
    with Strata() as strata:
        tiny_image(Store(strata.root), "tiny")
        yield strata


@pytest.fixture(scope="module")
def asleep(strata: Strata) -> str:
    """A container that runs for the whole module; each test may change what it needs."""
    return strata("run", "-d", "--name", "asleep", "tiny", "sleep", "1000")


def held(strata: Strata, container: str, field: str) -> str:
    """What the kernel says."""
    return Path(place(open_group(parent_name(strata.root), container), field)).read_text().strip()


def shown(strata: Strata, container: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(strata("inspect", "-f", "{{json .HostConfig}}", container))
    return found


def test_a_running_container_is_changed_at_once_and_stays_so(strata: Strata, asleep: str) -> None:
    assert strata("update", "-m", "64m", "--cpus", "0.5", "--pids-limit", "9", asleep, "asleep") == f"{asleep}\nasleep"
    assert (held(strata, asleep, "memory"), held(strata, asleep, "pids")) == (str(64 << 20), "9")
    config = shown(strata, asleep)
    assert (config["Memory"], config["MemorySwap"], config["NanoCpus"]) == (64 << 20, 128 << 20, 500_000_000)
    assert config["PidsLimit"] == 9
    # Down and up again, over and under what memory and swap together had before.
    strata("update", "-m", "16m", "--memory-swap", "16m", asleep)
    assert held(strata, asleep, "memory") == str(16 << 20)
    strata("update", "-m", "256m", "--memory-swap", "-1", asleep)
    assert (held(strata, asleep, "memory"), shown(strata, asleep)["MemorySwap"]) == (str(256 << 20), -1)
    strata("update", "-m", "32m", "--memory-swap", "48m", asleep)
    assert (held(strata, asleep, "memory"), shown(strata, asleep)["MemorySwap"]) == (str(32 << 20), 48 << 20)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("-m 1m", "Minimum memory limit allowed is 6MB"),
        (
            "-m 512m",
            "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time",
        ),
        ("--memory-swap 8m", "Minimum memoryswap limit should be larger than memory limit, see usage"),
        ("--cpu-quota 5000", "Conflicting options: CPU Quota cannot be updated as NanoCPUs has already been set"),
        ("--cpus 99999", "range of CPUs is from 0.01 to "),
        ("--restart sometimes", "invalid restart policy"),
    ],
)
def test_what_cannot_be_changed_is_refused_and_changes_nothing(strata: Strata, flags: str, words: str) -> None:
    name = "refused"
    if strata.run("inspect", name).returncode:
        flags_then = ("-m", "32m", "--memory-swap", "48m", "--cpus", "0.5")
        strata("create", "--name", name, *flags_then, "tiny", "sleep", "1000")
    before = shown(strata, name)
    done = strata.run("update", *flags.split(), name)
    assert done.returncode == 1
    assert "Cannot update container " in done.stderr and words in done.stderr
    assert shown(strata, name) == before


def test_what_the_kernel_refuses_changes_nothing(strata: Strata) -> None:
    """Memory that is in use and cannot be dropped: v1 refuses a lower limit (EBUSY), v2 would kill."""
    if not detect().mounts.get("memory"):
        pytest.skip("only v1 refuses a limit below what is in use")
    hold = "head -c 33554432 /dev/zero | tail -c 33554432 | sleep 1000"
    busy = strata("run", "-d", "-m", "128m", "--memory-swap", "128m", "--cpus", "0.7", "tiny", "sh", "-c", hold)
    group = open_group(parent_name(strata.root), busy)
    until(lambda: (group.memory() or 0) > 33554432, 60)
    quota, before = held(strata, busy, "cpu_quota"), shown(strata, busy)
    done = strata.run("update", "--cpus", "0.3", "-m", "8m", "--memory-swap", "8m", busy)
    assert done.returncode == 1
    assert "memory.limit_in_bytes" in done.stderr and "busy" in done.stderr
    assert (held(strata, busy, "cpu_quota"), shown(strata, busy)) == (quota, before)
    assert held(strata, busy, "memory") == str(128 << 20)


def test_a_stopped_container_has_the_change_when_it_starts(strata: Strata) -> None:
    container = strata("create", "tiny", "sleep", "1000")
    strata("update", "--pids-limit", "17", "--restart", "on-failure:3", container)
    assert shown(strata, container)["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 3}
    strata("start", container)
    assert held(strata, container, "pids") == "17"


def test_a_running_containers_restart_policy_is_changed(strata: Strata) -> None:
    """It fails when it is told to, and is started anew only since its policy was changed."""
    script = "test -e /told && exec sleep 1000; until test -e /told; do sleep 0.05; done; exit 3"
    container = strata("run", "-d", "tiny", "sh", "-c", script)
    strata("update", "--restart", "always", container)
    strata("exec", container, "touch", "/told")
    until(lambda: strata("inspect", "-f", "{{.RestartCount}} {{.State.Status}}", container) == "1 running", 60)
    strata("update", "--restart", "no", container)
    assert shown(strata, container)["RestartPolicy"]["Name"] == "no"


def test_one_that_removes_itself_gets_no_restart_policy(strata: Strata) -> None:
    container = strata("run", "-d", "--rm", "tiny", "sleep", "1000")
    done = strata.run("update", "--restart", "always", container)
    assert "Restart policy cannot be updated because AutoRemove is enabled for the container" in done.stderr
    strata("kill", container)


def test_update_wants_a_flag_and_a_container(strata: Strata, asleep: str) -> None:
    done = strata.run("update", asleep)
    assert (done.returncode, done.stderr) == (1, "You must provide one or more flags when using this command.\n")
    assert "No such container: nobody" in strata.run("update", "-m", "64m", "nobody").stderr


def test_a_disk_that_is_none_stops_the_start_and_leaves_nothing(strata: Strata) -> None:
    done = strata.run("run", "--name", "diskless", "--device-read-bps", "/dev/no-such-disk:1mb", "tiny", "true")
    assert done.returncode == 125
    assert "/dev/no-such-disk" in done.stderr and "No such file or directory" in done.stderr
    container = strata("inspect", "-f", "{{.Id}}", "diskless")
    group = open_group(parent_name(strata.root), container)
    assert not any(map(os.path.exists, group.directories.values()))


def test_a_killed_child_of_a_running_container_is_told(strata: Strata) -> None:
    """docker says OOMKilled from the first such death on, and of a container that then ends well, too."""
    script = "tail /dev/zero; until test -e /told; do sleep 0.05; done"
    container = strata("run", "-d", "-m", "16m", "--memory-swap", "16m", "tiny", "sh", "-c", script)
    until(lambda: strata("inspect", "-f", "{{.State.OOMKilled}}", container) == "true", 60)
    assert strata("inspect", "-f", "{{.State.Status}}", container) == "running"
    strata("exec", container, "touch", "/told")
    assert strata("wait", container) == "0"
    assert strata("inspect", "-f", "{{.State.OOMKilled}} {{.State.ExitCode}}", container) == "true 0"


def test_stats_in_its_forms(strata: Strata, asleep: str) -> None:
    strata("create", "--name", "idle", "tiny", "true")
    titles, *rows = strata("stats", "--no-stream", "-a").splitlines()
    assert " ".join(titles.split()) == "CONTAINER ID NAME CPU % MEM USAGE / LIMIT MEM % NET I/O BLOCK I/O PIDS"
    names = {row.split()[1]: row for row in rows}
    assert names["idle"].split()[2:] == "0.00% 0B / 0B 0.00% 0B / 0B 0B / 0B 0".split()
    assert names["asleep"].split()[0] == asleep[:12]
    (row,) = strata("stats", "--no-stream", "--no-trunc", "--format", "json", "asleep").splitlines()
    found = json.loads(row)
    assert (found["ID"], found["Name"], found["Container"], found["PIDs"]) == (asleep, "asleep", "asleep", "1")
    assert "No such container: nobody" in strata.run("stats", "--no-stream", "nobody").stderr
    pressure = strata("stats", "--no-stream", "--pressure", "asleep").splitlines()
    assert pressure[0].endswith("CPU PRESSURE   MEM PRESSURE   IO PRESSURE")
    assert pressure[1].split()[-1].endswith(("%", "--"))


def test_stats_go_on_until_they_are_stopped(strata: Strata, asleep: str) -> None:
    argv = strata.argv("stats", "--format", "{{.Name}}", "asleep")
    with subprocess.Popen(argv, env=strata.env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(2)] == ["asleep\n"] * 2
        process.terminate()


def test_top_by_ourselves_and_by_ps(strata: Strata, asleep: str) -> None:
    needs("ps")
    pid = strata.pid("asleep")
    titles, process = strata("top", "asleep").splitlines()
    assert titles.split() == ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]
    assert process.split()[1] == str(pid)
    there = subprocess.run(["ps", "-f", "-p", str(pid)], capture_output=True, text=True, check=True).stdout
    assert process.split() == there.splitlines()[1].split()
    titles, process = strata("top", "asleep", "-o", "pid,args").splitlines()
    assert (titles.split(), process.split()) == (["PID", "COMMAND"], [str(pid), "sleep", "1000"])
    assert "Couldn't find PID field in ps output" in strata.run("top", "asleep", "-o", "args").stderr
    assert "ps: " in strata.run("top", "asleep", "--no-such-option").stderr
    assert "is not running" in strata.run("top", "idle").stderr


def test_stats_on_a_terminal_are_drawn_over_each_other(strata: Strata, asleep: str) -> None:
    master, slave = os.openpty()
    with subprocess.Popen(strata.argv("stats", "asleep"), env=strata.env, stdin=slave, stdout=slave) as process:
        os.close(slave)
        seen = b""
        while seen.count(b"asleep") < 2:
            seen += os.read(master, 65536)
        process.terminate()
    os.close(master)
    assert seen.startswith(b"\x1b[2J\x1b[HCONTAINER ID")
    assert seen.count(b"\x1b[2J") == 1 and seen.count(b"\x1b[H") >= 2
    assert b"PIDS\x1b[K" in seen
