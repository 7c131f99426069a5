"""A group's numbers and switches, read from and written to files of the kernel's formats (v2's, which few test machines
have; what the machine has is tested for real in tests/kernel)."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from engine.cgroups import Group, Hierarchy, open_group


@pytest.fixture
def group(tmp_path: Path) -> Group:
    """A v2 group of plain files: 700 kB of memory in use, 200 of them cache that could be dropped."""
    directory = tmp_path / "strata" / "box"
    directory.mkdir(parents=True)
    for name, text in {
        "cgroup.controllers": "cpu io memory pids\n",
        "cgroup.procs": "7\n3\n",
        "cgroup.events": "populated 1\nfrozen 0\n",
        "cgroup.freeze": "0\n",
        "memory.current": "700000\n",
        "memory.stat": "anon 400000\nfile 300000\ninactive_file 200000\nactive_file 100000\n",
        "memory.events": "low 0\nhigh 0\nmax 4\noom 2\noom_kill 1\noom_group_kill 0\n",
        "cpu.stat": "usage_usec 1234\nuser_usec 1000\nsystem_usec 234\n",
    }.items():
        (directory / name).write_text(text)
    return open_group("strata", "box", Hierarchy({}, str(tmp_path)))


def test_v2_numbers_are_in_bytes_nanoseconds_and_kills(group: Group) -> None:
    assert group.memory() == 500_000
    assert group.cpu() == 1_234_000
    assert group.oom_kills() == 1
    assert group.pids() == [3, 7]


def test_what_the_machine_does_not_measure_is_none(group: Group) -> None:
    Path(group.v2, "cgroup.controllers").write_text("pids\n")
    assert group.memory() is None
    assert group.oom_kills() is None
    assert open_group("strata", "box", Hierarchy({"pids": "/nowhere"}, "")).cpu() is None


def test_processes_of_groups_inside_count(group: Group) -> None:
    inside = Path(group.v2, "a", "b")
    inside.mkdir(parents=True)
    (inside.parent / "cgroup.procs").write_text("")
    (inside / "cgroup.procs").write_text("21\n")
    assert group.pids() == [3, 7, 21]


def test_a_group_that_does_not_stand_still_in_time_runs_on(group: Group) -> None:
    with pytest.raises(TimeoutError, match=r"strata/box: not every process stood still within 0\.05 s"):
        group.freeze(0.05)
    assert Path(group.v2, "cgroup.freeze").read_text() == "0\n"
    assert not group.frozen()


def test_a_frozen_group_says_so(group: Group) -> None:
    Path(group.v2, "cgroup.events").write_text("populated 1\nfrozen 1\n")
    group.freeze()
    assert group.frozen()
    assert Path(group.v2, "cgroup.freeze").read_text() == "1\n"


def test_a_group_that_is_gone_is_an_error_with_its_path(tmp_path: Path) -> None:
    gone = open_group("strata", "gone", Hierarchy({}, str(tmp_path)))
    for act in (gone.pids, gone.cpu, gone.freeze, gone.thaw, gone.join):
        with pytest.raises(FileNotFoundError, match="strata/gone"):
            act()


def test_without_a_freezer_the_error_says_what_is_missing() -> None:
    with pytest.raises(OSError, match="neither a v1 freezer nor a v2 tree") as caught:
        open_group("strata", "box", Hierarchy({"pids": "/nowhere"}, "")).freeze()
    assert caught.value.errno == errno.ENODEV
