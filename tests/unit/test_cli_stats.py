"""Rows of stats as docker writes them; what ps prints, read back; a net namespace's bytes."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from app.cli.stats import Reading, binary_size, stats_row
from engine.commands.stats import Stats, network
from engine.commands.top import clock, parsed, started_at, terminal
from engine.errors import InvalidInput

ID = "0123456789abcdef" * 4
NOW = Stats(
    cpu=2_500_000_000,
    memory=300 * 1024**2,
    memory_limit=1024**3,
    pids=3,
    received=1450,
    sent=0,
    read=12_300_000,
    written=4096,
    pressure={"cpu": 1.5},
    oom_kills=0,
    at=11.0,
)
BEFORE = NOW.replaced(cpu=1_000_000_000, at=10.0)


def row(reading: Reading, before: Stats | None = None, short: bool = True) -> dict[str, object]:
    found = stats_row(reading, before, short)
    return {name: found[name] for name in found}


def test_a_row_has_dockers_words() -> None:
    assert row(Reading("web", ID, "web", NOW), BEFORE) == {
        "Container": "web",
        "ID": ID[:12],
        "Name": "web",
        "CPUPerc": "150.00%",
        "MemUsage": "300MiB / 1GiB",
        "MemPerc": "29.30%",
        "NetIO": "1.45kB / 0B",
        "BlockIO": "12.3MB / 4.1kB",
        "PIDs": "3",
        "CPUPressure": "1.50%",
        "MemPressure": "--",
        "IOPressure": "--",
    }
    assert row(Reading(ID, ID, "web", NOW), BEFORE, short=False)["ID"] == ID
    assert row(Reading(ID, ID, "web", NOW), BEFORE)["Container"] == ID[:12]


def test_one_that_does_not_run_uses_nothing_and_one_that_is_gone_is_dashes() -> None:
    stopped = row(Reading("web", ID, "web", None), NOW)
    assert [stopped[name] for name in ("CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDs")] == (
        ["0.00%", "0B / 0B", "0.00%", "0B / 0B", "0B / 0B", "0"]
    )
    gone = row(Reading("web", "", "", None, gone=True))
    assert [gone[name] for name in ("ID", "Name", "CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDs")] == (
        ["--", "--", "--", "-- / --", "--", "--", "--", "--"]
    )


def test_what_is_not_measured_is_dashes() -> None:
    found = row(Reading("web", ID, "web", NOW.replaced(cpu=None, memory=None, read=None, written=None)), BEFORE)
    assert (found["CPUPerc"], found["MemUsage"], found["MemPerc"], found["BlockIO"]) == ("--", "-- / --", "--", "--")


def test_a_new_start_is_no_negative_share() -> None:
    assert row(Reading("web", ID, "web", BEFORE), NOW.replaced(at=9.0))["CPUPerc"] == "0.00%"


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0B"), (1023, "1023B"), (1536, "1.5KiB"), (1.95 * 1024**3, "1.95GiB"), (2**60, "1EiB")]
)
def test_binary_sizes(count: float, text: str) -> None:
    assert binary_size(count) == text


def test_the_loopback_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "dev"
    path.write_text(
        "Inter-|   Receive                                                |  Transmit\n"
        " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls\n"
        "    lo: 9999 1 0 0 0 0 0 0 9999 1 0 0 0 0 0 0\n"
        "  eth0: 100 1 0 0 0 0 0 0 20 1 0 0 0 0 0 0\n"
        "eth1:1000 1 0 0 0 0 0 0 200 1 0 0 0 0 0 0\n"
    )
    assert network(str(path)) == (1100, 220)


PS = """USER       PID %CPU COMMAND
root        12  0.0 sleep 10 20
nobody      13  0.1 sh -c  a   b
-            -  0.0 -
root        14  0.0 init
-            -  0.0 -
root       123  0.0 evil
"""


def test_ps_is_read_with_its_threads_and_only_for_the_containers_processes() -> None:
    found = parsed(PS, [13, 12])
    assert found.titles == ("USER", "PID", "%CPU", "COMMAND")
    assert found.processes == (
        ("root", "12", "0.0", "sleep 10 20"),
        ("nobody", "13", "0.1", "sh -c  a   b"),
        ("-", "-", "0.0", "-"),
    )


def test_ps_without_pids_is_refused() -> None:
    with pytest.raises(InvalidInput, match="Couldn't find PID field in ps output"):
        parsed("COMMAND\nsleep\n", [12])
    with pytest.raises(InvalidInput, match="Unexpected pid 'x'"):
        parsed("PID\nx\n", [12])


def test_times_and_terminals_as_ps_has_them() -> None:
    assert [clock(seconds) for seconds in (0, 65, 86399, 183600)] == ["00:00:00", "00:01:05", "23:59:59", "2-03:00:00"]
    now = time.mktime((2026, 12, 1, 14, 5, 0, 0, 0, -1))
    assert started_at(now - 60, now) == "14:04"
    assert started_at(now - 86400, now) == "Nov30"
    assert started_at(now - 366 * 86400, now) == "2025"
    assert [terminal(os.makedev(*pair)) for pair in ((136, 3), (137, 0), (4, 1), (4, 64), (0, 0))] == (
        ["pts/3", "pts/256", "tty1", "ttyS0", "?"]
    )
