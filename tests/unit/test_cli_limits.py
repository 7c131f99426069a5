"""Limits on the command line, in docker's notation and with docker's words for what is wrong."""

from __future__ import annotations

import pytest

from app.cli import limits
from app.cli.flags import BadChoice, Parser, UsageError
from app.cli.sizes import memory_size, swap_size
from engine.settings import Limits


def chosen(*words: str) -> Limits:
    parser = Parser("strata run")
    limits.add_flags(parser)
    found = limits.chosen(parser.parse(words)).get("limits", Limits())
    assert isinstance(found, Limits)
    return found


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("0", 0),
        ("6291456", 6 << 20),
        ("64m", 64 << 20),
        ("64M", 64 << 20),
        ("64mb", 64 << 20),
        ("64MiB", 64 << 20),
        ("64 m", 64 << 20),
        ("1.5g", 3 << 29),
        (".5k", 512),
        ("10b", 10),
        ("2t", 2 << 40),
        ("1p", 1 << 50),
    ],
)
def test_sizes(text: str, count: int) -> None:
    assert memory_size(text) == swap_size(text) == count


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "invalid size: ''"),
        ("x", "invalid size: 'x'"),
        ("-1", "invalid size: '-1'"),
        ("1.2.3", "invalid size: '1.2.3'"),
        ("1x", "invalid suffix: 'x'"),
        ("1bb", "invalid suffix: 'bb'"),
        ("1mi", "invalid suffix: 'mi'"),
        ("64mbb", "invalid suffix: 'mbb'"),
        ("٣m", "invalid size: '٣m'"),
    ],
)
def test_sizes_that_are_none(text: str, problem: str) -> None:
    with pytest.raises(ValueError) as caught:
        memory_size(text)
    assert str(caught.value) == problem


def test_every_flag_reaches_its_field() -> None:
    words = (
        "-m 64m --memory-swap -1 --memory-reservation 32m --memory-swappiness 10 --oom-kill-disable --cpus 1.5 "
        "-c 512 --cpu-quota 20000 --cpu-period 50000 --cpuset-cpus 0-1 --cpuset-mems 0 --pids-limit 20 "
        "--blkio-weight 300 --blkio-weight-device /dev/sda:500 --device-read-bps /dev/sda:1mb "
        "--device-write-bps /dev/sda:2048 --device-read-iops /dev/sda:100 --device-write-iops=/dev/sdb:0200"
    )
    assert chosen(*words.split()) == Limits(
        memory=64 << 20,
        memory_swap=-1,
        memory_reservation=32 << 20,
        memory_swappiness=10,
        oom_kill_disable=True,
        nano_cpus=1_500_000_000,
        cpu_shares=512,
        cpu_quota=20000,
        cpu_period=50000,
        cpuset_cpus="0-1",
        cpuset_mems="0",
        pids=20,
        blkio_weight=300,
        blkio_weight_device=("/dev/sda:500",),
        device_read_bps=("/dev/sda:1048576",),
        device_write_bps=("/dev/sda:2048",),
        device_read_iops=("/dev/sda:100",),
        device_write_iops=("/dev/sdb:200",),
    )
    assert chosen() == Limits()
    assert chosen("--pids-limit", "0").pids == chosen("--pids-limit=-1").pids == -1
    assert chosen("--memory-swappiness", "0").memory_swappiness == 0


@pytest.mark.parametrize(
    ("text", "nano"), [("0.01", 10**7), ("2", 2 * 10**9), (".5", 5 * 10**8), ("1.", 10**9), ("-1", -(10**9))]
)
def test_cpus(text: str, nano: int) -> None:
    assert limits.nano_cpus(text) == nano


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ("--memory x", 'invalid argument "x" for "-m, --memory" flag: invalid size: \'x\''),
        ("--cpus two", 'invalid argument "two" for "--cpus" flag: failed to parse two as a rational number'),
        ("--cpus 0.0000000001", 'invalid argument "0.0000000001" for "--cpus" flag: value is too precise'),
        ("--blkio-weight 70000", "value out of range"),
        ("--blkio-weight-device /dev/sda", "bad format: /dev/sda"),
        ("--blkio-weight-device sda:100", "bad format for device path: sda:100"),
        ("--blkio-weight-device /dev/sda:5", "invalid weight for device: /dev/sda:5"),
        ("--device-read-bps /dev/sda:-1", "invalid rate for device: /dev/sda:-1. The correct format is "),
        ("--device-write-iops /dev/sda:1mb", "Number must be a positive integer"),
    ],
)
def test_what_cannot_be_read_is_named(words: str, problem: str) -> None:
    with pytest.raises(UsageError) as caught:
        chosen(*words.split())
    assert problem in str(caught.value)
    assert caught.value.exit_status == 125


def test_swappiness_has_its_range() -> None:
    with pytest.raises(BadChoice, match=r"invalid value: 101\. Valid memory swappiness range is 0-100"):
        chosen("--memory-swappiness", "101")
