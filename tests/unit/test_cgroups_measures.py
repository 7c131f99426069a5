"""What a group's processes use, read from files as the kernel writes them: v2's and v1's."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.cgroups import Group, Hierarchy, measures, open_group

V2 = {
    "memory.max": "67108864\n",
    "pids.max": "max\n",
    "pids.current": "7\n",
    "io.stat": "8:0 rbytes=4096 wbytes=100 rios=1 wios=1 dbytes=0 dios=0\n8:16 rbytes=4 wbytes=1 rios=1 wios=1\n7:0\n",
    "cpu.pressure": "some avg10=1.50 avg60=0.10 avg300=0.00 total=9\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
    "memory.pressure": "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
}
BLKIO = "8:0 Read 4096\n8:0 Write 100\n8:0 Sync 5\n8:0 Total 4196\n8:16 Read 4\n8:16 Write 1\nTotal 4201\n"
V1 = {
    "memory": {"memory.limit_in_bytes": "67108864\n"},
    "pids": {"pids.max": "20\n", "pids.current": "7\n"},
    "blkio": {"blkio.throttle.io_service_bytes": BLKIO},
}


def tree(path: Path, files: dict[str, str]) -> str:
    directory = path / "strata" / "box"
    directory.mkdir(parents=True)
    for name, text in files.items():
        (directory / name).write_text(text)
    return str(path)


@pytest.fixture(params=["v2", "v1"])
def group(request: pytest.FixtureRequest, tmp_path: Path) -> Group:
    if request.param == "v2":
        return open_group("strata", "box", Hierarchy({}, tree(tmp_path, V2)))
    return open_group("strata", "box", Hierarchy({name: tree(tmp_path / name, V1[name]) for name in V1}, ""))


def test_both_say_the_same(group: Group) -> None:
    assert measures.memory_limit(group) == 67108864
    assert measures.tasks(group) == 7
    assert measures.block_io(group) == (4100, 101)


def test_pressure_is_v2s(group: Group) -> None:
    assert measures.pressure(group) == ({"cpu": 1.5, "memory": 0.0} if group.v2 else {})


def test_no_limit_is_none(group: Group) -> None:
    directory = group.v1("memory") or group.v2
    for path in Path(directory).glob("memory.*m*"):
        path.write_text("max\n" if group.v2 else f"{2**63 - 4096}\n")
    assert measures.memory_limit(group) is None


def test_what_is_not_measured_is_none() -> None:
    bare = open_group("strata", "box", Hierarchy({"freezer": "/nowhere"}, ""))
    assert (measures.memory_limit(bare), measures.tasks(bare), measures.block_io(bare)) == (None, None, None)
    assert measures.pressure(bare) == {}


def test_children_of_a_v1_group_count(tmp_path: Path) -> None:
    files = {"blkio.throttle.io_service_bytes": "", "blkio.throttle.io_service_bytes_recursive": BLKIO}
    group = open_group("strata", "box", Hierarchy({"blkio": tree(tmp_path, files)}, ""))
    assert measures.block_io(group) == (4100, 101)
