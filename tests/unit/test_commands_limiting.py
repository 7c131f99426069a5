"""docker's rules for limits, in docker's words; and what a machine cannot hold is told and left out."""

from __future__ import annotations

import os

import pytest

from engine.commands.limiting import Possible, host_config, numbers, verified
from engine.errors import InvalidInput
from engine.settings import Limits

ALL = Possible(frozenset(Limits.fields()), "0-3", "0")
NONE = Possible(frozenset(), "", "")
COUNT = os.cpu_count()


def silent(text: str) -> None:
    raise AssertionError(f"a warning where none is due: {text}")


@pytest.mark.parametrize(
    ("limits", "problem"),
    [
        (Limits(memory=(6 << 20) - 1), "Minimum memory limit allowed is 6MB"),
        (Limits(memory=8 << 20, memory_swap=7 << 20), "Minimum memoryswap limit should be larger than memory limit"),
        (Limits(memory_swap=8 << 20), "You should always set the Memory limit when using Memoryswap limit, see usage"),
        (Limits(memory_swappiness=101), "Invalid value: 101, valid memory swappiness range is 0-100"),
        (Limits(memory_reservation=1), "Minimum memory reservation allowed is 6MB"),
        (Limits(memory=8 << 20, memory_reservation=9 << 20), "can not be less than memory reservation limit"),
        (Limits(nano_cpus=1, cpu_period=1000), "Conflicting options: Nano CPUs and CPU Period cannot both be set"),
        (Limits(nano_cpus=1, cpu_quota=1000), "Conflicting options: Nano CPUs and CPU Quota cannot both be set"),
        (
            Limits(nano_cpus=10**15),
            f"range of CPUs is from 0.01 to {COUNT}.00, as there are only {COUNT} CPUs available",
        ),
        (Limits(nano_cpus=-1), "range of CPUs is from 0.01 to"),
        (Limits(cpu_period=999), "CPU cfs period can not be less than 1ms"),
        (Limits(cpu_period=1_000_001), "or larger than 1s (i.e. 1000000)"),
        (Limits(cpu_quota=999), "CPU cfs quota can not be less than 1ms (i.e. 1000)"),
        (Limits(cpuset_cpus="4"), "Requested CPUs are not available - requested 4, available: 0-3"),
        (Limits(cpuset_mems="1"), "Requested memory nodes are not available - requested 1, available: 0"),
        (Limits(cpuset_cpus="0-"), "Invalid value 0- for cpuset cpus: invalid format: 0-"),
        (Limits(cpuset_mems="x"), "Invalid value x for cpuset mems: invalid format: x"),
        (Limits(cpuset_cpus="0-99999999"), "Invalid value 0-99999999 for cpuset cpus"),
        (Limits(blkio_weight=9), "Range of blkio weight is from 10 to 1000"),
        (Limits(blkio_weight=1001), "Range of blkio weight is from 10 to 1000"),
    ],
)
def test_what_breaks_a_rule(limits: Limits, problem: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        verified(limits, ALL, silent)
    assert problem in str(caught.value)


def test_memory_alone_means_as_much_swap() -> None:
    assert verified(Limits(memory=8 << 20), ALL, silent) == Limits(memory=8 << 20, memory_swap=16 << 20)
    assert verified(Limits(memory=8 << 20, memory_swap=-1), ALL, silent).memory_swap == -1


@pytest.mark.parametrize(
    ("limits", "warning"),
    [
        (Limits(memory=8 << 20), "memory limit capabilities or the cgroup is not mounted. Limitation discarded."),
        (
            Limits(memory_swappiness=9),
            "memory swappiness capabilities or the cgroup is not mounted. Memory swappiness discarded.",
        ),
        (
            Limits(memory_reservation=8 << 20),
            "memory soft limit capabilities or the cgroup is not mounted. Limitation discarded.",
        ),
        (Limits(oom_kill_disable=True), "OomKillDisable. OomKillDisable discarded."),
        (Limits(pids=9), "PIDs limit capabilities or the cgroup is not mounted. PIDs limit discarded."),
        (Limits(cpu_shares=9), "CPU shares or the cgroup is not mounted. Shares discarded."),
        (Limits(cpu_quota=1000, cpu_period=2000), "CPU CFS scheduler. CPU period/quota discarded."),
        (Limits(cpu_quota=1000), "CPU CFS scheduler. CPU period/quota discarded."),
        (Limits(cpuset_cpus="0", cpuset_mems="0"), "cpuset or the cgroup is not mounted. Cpuset discarded."),
        (Limits(blkio_weight=99), "Block I/O weight or the cgroup is not mounted. Weight discarded."),
        (
            Limits(blkio_weight_device=("/dev/a:99",)),
            "Block I/O weight_device or the cgroup is not mounted. Weight-device discarded.",
        ),
        (
            Limits(device_read_bps=("/dev/a:9",)),
            "BPS Block I/O read limit or the cgroup is not mounted. Block I/O BPS read limit discarded.",
        ),
        (
            Limits(device_write_iops=("/dev/a:9",)),
            "IOPS Block write limit or the cgroup is not mounted. Block I/O IOPS write limit discarded.",
        ),
    ],
)
def test_what_cannot_be_held_is_told_once_and_left_out(limits: Limits, warning: str) -> None:
    told: list[str] = []
    assert verified(limits, NONE, told.append) == Limits()
    assert told == [f"Your kernel does not support {warning}"]
    assert verified(limits, ALL, told.append) != Limits()


def test_memory_without_swap_accounting_is_held_alone() -> None:
    told: list[str] = []
    machine = ALL.replaced(settable=ALL.settable - {"memory_swap"})
    assert verified(Limits(memory=8 << 20), machine, told.append) == Limits(memory=8 << 20, memory_swap=-1)
    words = "swap limit capabilities or the cgroup is not mounted. Memory limited without swap."
    assert told == [f"Your kernel does not support {words}"]


def test_cpus_without_a_scheduler_for_them_are_refused() -> None:
    with pytest.raises(InvalidInput, match="NanoCPUs can not be set, as your kernel does not support"):
        verified(Limits(nano_cpus=10**9), NONE, silent)


def test_a_container_that_never_dies_of_memory_is_warned_of() -> None:
    told: list[str] = []
    verified(Limits(oom_kill_disable=True), ALL, told.append)
    assert len(told) == 1 and told[0].startswith("OOM killer is disabled for the container, but no memory limit is set")


def test_lists_of_numbers() -> None:
    assert numbers("0-2,4") == {0, 1, 2, 4}
    assert numbers("") == set()


def test_inspect_has_dockers_fields() -> None:
    shown = host_config(Limits(memory=9, pids=-1, device_read_bps=("/dev/a:b:9",), blkio_weight_device=("/dev/a:10",)))
    assert shown["Memory"] == 9
    assert shown["PidsLimit"] == -1
    assert shown["MemorySwappiness"] is None
    assert shown["BlkioDeviceReadBps"] == [{"Path": "/dev/a:b", "Rate": 9}]
    assert shown["BlkioWeightDevice"] == [{"Path": "/dev/a", "Weight": 10}]
    assert host_config(Limits())["PidsLimit"] is None
