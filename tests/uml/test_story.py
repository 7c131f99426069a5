"""One story on two kernels: this machine's (hybrid where the project is tested, whatever elsewhere) and one with pure
cgroup v2. story.py does things; here is what must be true of them."""

from __future__ import annotations

from typing import Any

import pytest

Told = dict[str, dict[str, Any]]

pytestmark = pytest.mark.timeout(900)


def chapter(told: Told, name: str) -> dict[str, Any]:
    facts = told[name]
    assert "broke" not in facts, facts["broke"]
    return facts


def test_the_guest_has_pure_cgroup_v2(told_by_guest: Told) -> None:
    assert chapter(told_by_guest, "kernel")["shape"] == "v2"


def test_memory_that_runs_out_kills_and_is_reported(told: Told) -> None:
    facts = chapter(told, "memory")
    assert (facts["status"], facts["warnings"], facts["held"]) == (137, [], str(24 << 20))
    assert facts["eater"]["OOMKilled"] is True
    assert facts["eater"]["ExitCode"] == 137
    assert facts["other"]["OOMKilled"] is False, "killed by a person, with the same status"
    assert facts["other"]["ExitCode"] == 137
    assert facts["rows"] == {"eater": "Exited (137)", "other": "Exited (137)"}


def test_a_fork_bomb_is_held(told: Told) -> None:
    facts = chapter(told, "pids")
    assert facts["held"] == "8"
    assert 1 < facts["most"] <= 8
    assert facts["gone"]
    assert facts["loose"] == "max"


def test_processor_time_is_throttled_and_weighed(told: Told, request: pytest.FixtureRequest) -> None:
    facts = chapter(told, "cpu")
    guest = chapter(told, "kernel")["shape"] == "v2"
    assert facts["quota"] == ("20000 100000" if guest else "20000")
    assert facts["later"] == ("50000 100000" if guest else "50000")
    assert facts["shares"] == ("174" if guest else "2048")


def test_the_freezer_holds_and_lets_go(told: Told) -> None:
    facts = chapter(told, "cpu")
    assert (facts["frozen"], facts["paused"], facts["ran while frozen"], facts["thawed"]) == (
        True,
        "paused",
        False,
        True,
    )


def test_the_kernel_kills_the_whole_group(told: Told) -> None:
    facts = chapter(told, "cpu")
    assert facts["processes"] > 1
    assert facts["by the kernel's kill"]
    assert facts["killed"]["ExitCode"] == 137
    assert facts["gone"]


def test_device_nodes_are_refused_and_allowed(told: Told) -> None:
    facts = chapter(told, "devices")
    for refused in (facts["refused"], facts["exec"]):
        assert refused[0] != 0
        assert "Operation not permitted" in refused[2]
    assert facts["fine"] == "fine\n"


def test_input_and_output_of_a_disk_are_limited(told: Told) -> None:
    facts = chapter(told, "io")
    if chapter(told, "kernel")["shape"] == "v2":
        assert facts["read"] == facts["write"] == f"{facts['disk']} rbps=1048576 wbps=max riops=max wiops=100"
    else:
        assert (facts["read"], facts["write"]) == (f"{facts['disk']} 1048576", f"{facts['disk']} 100")


def test_what_it_uses_is_shown(told: Told) -> None:
    facts = chapter(told, "measures")
    assert (facts["status"], facts["errors"]) == (0, "")
    name, memory, share, cpu, block, network, pids = facts["stats"]
    assert (name, network, pids) == ("measured", "0B / 0B", "1")
    assert memory.endswith(" / 64MiB") and not memory.startswith("0B")
    assert share.endswith("%") and cpu.endswith("%") and " / " in block
    titles, process = facts["top"].splitlines()
    assert titles.split() == ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]
    assert process.split()[0] == "root" and process.endswith("sleep 1000")


def test_what_the_kernel_cannot_hold_is_said_and_left_out(told: Told) -> None:
    facts = chapter(told, "warned")
    assert facts["status"] == 0
    assert facts["shown"]["PidsLimit"] == 9
    assert facts["shown"]["MemoryReservation"] == 8 << 20
    said = {
        "CpusetCpus": "cpuset or the cgroup is not mounted. Cpuset discarded.",
        "MemorySwappiness": "memory swappiness capabilities or the cgroup is not mounted. Memory swappiness discarded.",
        "BlkioWeight": "Block I/O weight or the cgroup is not mounted. Weight discarded.",
    }
    wanted = {"CpusetCpus": "0", "MemorySwappiness": 10, "BlkioWeight": 300}
    for name, words in said.items():
        warned = f"WARNING: Your kernel does not support {words}" in facts["errors"]
        assert warned == (facts["shown"][name] != wanted[name]), (name, facts)
    if chapter(told, "kernel")["shape"] == "v2":
        assert len(facts["errors"]) == 3, "user-mode Linux has neither cpuset nor weights, v2 no swappiness"
    else:
        assert facts["errors"] == []
