"""Limits as writes, in order, to trees of plain files as the kernel has them: v2, v1, and both."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from engine.cgroups import Group, Hierarchy, open_group
from engine.cgroups import limits as held
from engine.cgroups.limits import change, hold, place, possible, weight_of_shares, writes
from engine.settings import Limits

V2 = {
    "memory.max": "max\n",
    "memory.swap.max": "max\n",
    "memory.low": "0\n",
    "cpu.weight": "100\n",
    "cpu.max": "max 100000\n",
    "cpuset.cpus": "\n",
    "cpuset.mems": "\n",
    "cpuset.cpus.effective": "0-3\n",
    "cpuset.mems.effective": "0\n",
    "pids.max": "max\n",
    "io.weight": "default 100\n",
    "io.max": "",
}
UNLIMITED = str(2**63 - 4096)
V1 = {
    "memory": {
        "memory.limit_in_bytes": UNLIMITED,
        "memory.memsw.limit_in_bytes": UNLIMITED,
        "memory.soft_limit_in_bytes": UNLIMITED,
        "memory.swappiness": "60",
        "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n",
    },
    "cpu": {"cpu.shares": "1024", "cpu.cfs_quota_us": "-1", "cpu.cfs_period_us": "100000"},
    "cpuset": {"cpuset.cpus": "0-1", "cpuset.mems": "0", "cpuset.effective_cpus": "0-1", "cpuset.effective_mems": "0"},
    "pids": {"pids.max": "max"},
    "blkio": {
        "blkio.bfq.weight": "100",
        "blkio.bfq.weight_device": "",
        "blkio.throttle.read_bps_device": "",
        "blkio.throttle.write_bps_device": "",
        "blkio.throttle.read_iops_device": "",
        "blkio.throttle.write_iops_device": "",
    },
}
EVERYTHING = Limits(
    memory=64 << 20,
    memory_swap=96 << 20,
    memory_reservation=32 << 20,
    nano_cpus=1_500_000_000,
    cpu_shares=512,
    cpuset_cpus="0-1",
    cpuset_mems="0",
    pids=20,
    blkio_weight=300,
    blkio_weight_device=("/dev/disk:500",),
    device_read_bps=("/dev/disk:1048576",),
    device_write_bps=("/dev/disk:2097152",),
    device_read_iops=("/dev/disk:100",),
    device_write_iops=("/dev/disk:200",),
)


@pytest.fixture(autouse=True)
def disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """/dev/disk is block device 8:16, whatever this machine has."""
    real = os.stat

    def stat(path: str, **choices: bool) -> os.stat_result:
        if path != "/dev/disk":
            return real(path, **choices)
        fields = list(real("/dev/null"))
        fields[0] = 0o060660
        return os.stat_result(fields, {"st_rdev": os.makedev(8, 16)})

    monkeypatch.setattr(os, "stat", stat)


def tree(path: Path, files: dict[str, str]) -> str:
    """A tree with the group strata/box in it; the tree's mount point."""
    directory = path / "strata" / "box"
    directory.mkdir(parents=True)
    for name, text in files.items():
        (directory / name).write_text(text)
    return str(path)


@pytest.fixture
def v2(tmp_path: Path) -> Group:
    return open_group("strata", "box", Hierarchy({}, tree(tmp_path / "unified", V2)))


@pytest.fixture
def v1(tmp_path: Path) -> Group:
    return open_group("strata", "box", Hierarchy({name: tree(tmp_path / name, V1[name]) for name in V1}, ""))


@pytest.fixture
def hybrid(v1: Group, tmp_path: Path) -> Group:
    """v1's controllers, and a v2 tree that has none of them."""
    return open_group("strata", "box", Hierarchy(v1.hierarchy.mounts, tree(tmp_path / "bare", {"cgroup.procs": ""})))


def shown(group: Group, limits: Limits) -> list[tuple[str, str]]:
    return [(os.path.basename(path), value) for path, value in writes(group, limits)]


def test_everything_on_v2(v2: Group) -> None:
    assert shown(v2, EVERYTHING) == [
        ("memory.swap.max", str(32 << 20)),
        ("memory.max", str(64 << 20)),
        ("memory.low", str(32 << 20)),
        ("cpu.weight", "59"),
        ("cpu.max", "150000 100000"),
        ("cpuset.cpus", "0-1"),
        ("cpuset.mems", "0"),
        ("pids.max", "20"),
        ("io.weight", str(1 + 290 * 9999 // 990)),
        ("io.weight", f"8:16 {1 + 490 * 9999 // 990}"),
        ("io.max", "8:16 rbps=1048576"),
        ("io.max", "8:16 wbps=2097152"),
        ("io.max", "8:16 riops=100"),
        ("io.max", "8:16 wiops=200"),
    ]


V1_WRITES = [
    ("memory.limit_in_bytes", str(64 << 20)),
    ("memory.memsw.limit_in_bytes", str(96 << 20)),
    ("memory.soft_limit_in_bytes", str(32 << 20)),
    ("memory.swappiness", "10"),
    ("memory.oom_control", "1"),
    ("cpu.shares", "512"),
    ("cpu.cfs_period_us", "100000"),
    ("cpu.cfs_quota_us", "150000"),
    ("cpuset.cpus", "0-1"),
    ("cpuset.mems", "0"),
    ("pids.max", "20"),
    ("blkio.bfq.weight", "300"),
    ("blkio.bfq.weight_device", "8:16 500"),
    ("blkio.throttle.read_bps_device", "8:16 1048576"),
    ("blkio.throttle.write_bps_device", "8:16 2097152"),
    ("blkio.throttle.read_iops_device", "8:16 100"),
    ("blkio.throttle.write_iops_device", "8:16 200"),
]


@pytest.mark.parametrize("shape", ["v1", "hybrid"])
def test_everything_on_v1_and_beside_a_bare_v2_tree(shape: str, request: pytest.FixtureRequest) -> None:
    group: Group = request.getfixturevalue(shape)
    assert shown(group, EVERYTHING.replaced(memory_swappiness=10, oom_kill_disable=True)) == V1_WRITES


def test_holding_writes_the_files(v2: Group) -> None:
    hold(v2, Limits(pids=7, memory=8 << 20, memory_swap=-1))
    assert Path(v2.v2, "pids.max").read_text().startswith("7")
    assert Path(v2.v2, "memory.max").read_text().startswith(str(8 << 20))
    assert Path(v2.v2, "memory.swap.max").read_text() == "max\n"


@pytest.mark.parametrize(
    ("memsw", "first"),
    [
        (32 << 20, "memory.memsw.limit_in_bytes"),
        (64 << 20, "memory.limit_in_bytes"),
        (1 << 40, "memory.limit_in_bytes"),
    ],
)
def test_v1_memory_never_passes_memory_and_swap(v1: Group, memsw: int, first: str) -> None:
    Path(v1.v1("memory"), "memory.memsw.limit_in_bytes").write_text(str(memsw))
    assert writes(v1, EVERYTHING)[0][0].endswith(first)


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        (Limits(), []),
        (Limits(pids=-1), [("pids.max", "max")]),
        (Limits(memory=8 << 20, memory_swap=8 << 20), [("memory.swap.max", "0"), ("memory.max", str(8 << 20))]),
        (Limits(memory=8 << 20, memory_swap=-1), [("memory.swap.max", "max"), ("memory.max", str(8 << 20))]),
        (Limits(cpu_quota=20000), [("cpu.max", "20000 100000")]),
        (Limits(cpu_quota=-1), [("cpu.max", "max 100000")]),
        (Limits(cpu_period=50000), [("cpu.max", "max 50000")]),
        (Limits(device_read_bps=("/dev/disk:0",)), [("io.max", "8:16 rbps=max")]),
    ],
)
def test_what_v2_writes(v2: Group, limits: Limits, expected: list[tuple[str, str]]) -> None:
    assert shown(v2, limits) == expected


def test_shares_become_weights_as_runc_does() -> None:
    # https://github.com/opencontainers/cgroups, TestConvertCPUSharesToCgroupV2Value: minimum, default, maximum …
    assert [weight_of_shares(shares) for shares in (1, 2, 1024, 262144, 999999)] == [1, 1, 100, 10000, 10000]
    weights = [weight_of_shares(shares) for shares in range(2, 262145, 97)]
    assert weights == sorted(weights)


def test_what_no_tree_can_hold_is_an_error_when_it_is_to_be_held(v2: Group) -> None:
    assert {"memory_swappiness", "oom_kill_disable"}.isdisjoint(possible(v2))
    with pytest.raises(OSError, match="no cgroup tree of this machine can hold the container's limit of memory swapp"):
        hold(v2, Limits(memory_swappiness=10))
    Path(v2.v2, "memory.swap.max").unlink()
    with pytest.raises(OSError, match="limit of memory swap"):
        hold(v2, Limits(memory=8 << 20, memory_swap=16 << 20))
    assert shown(v2, Limits(memory=8 << 20, memory_swap=-1)) == [("memory.max", str(8 << 20))]


def test_bfq_is_asked_before_the_general_weight(v2: Group) -> None:
    Path(v2.v2, "io.bfq.weight").write_text("default 100\n")
    assert shown(v2, Limits(blkio_weight=300)) == [("io.bfq.weight", "300")]


def test_only_block_devices_have_rates(v2: Group) -> None:
    with pytest.raises(OSError, match="/dev/null: Block device required") as caught:
        writes(v2, Limits(device_read_bps=("/dev/null:1",)))
    assert caught.value.errno == errno.ENOTBLK
    with pytest.raises(FileNotFoundError, match="/dev/no-such-disk"):
        writes(v2, Limits(device_read_bps=("/dev/no-such-disk:1",)))


def test_each_field_has_its_place(v2: Group, v1: Group) -> None:
    assert possible(v1) == set(Limits.fields())
    assert place(v2, "cpu_quota") == place(v2, "nano_cpus") == f"{v2.v2}/cpu.max"
    assert held.cpus_and_memory_nodes(v2) == ("0-3", "0")
    assert held.cpus_and_memory_nodes(v1) == ("0-1", "0")


def test_a_change_is_whole_or_undone(v2: Group) -> None:
    change(v2, Limits(pids=9))
    assert Path(v2.v2, "pids.max").read_text().startswith("9")
    Path(v2.v2, "pids.max").write_text("max\n")
    path = Path(v2.v2, "pids.max")
    path.unlink()
    path.mkdir()  # whoever writes here fails, after cpu.max has been written
    with pytest.raises(OSError):
        change(v2, Limits(cpu_quota=20000, pids=9))
    assert Path(v2.v2, "cpu.max").read_text().startswith("max 100000")
