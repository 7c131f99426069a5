"""docker's notations of devices, rules, sysctls and ulimits, and what it says of those that are none."""

from __future__ import annotations

import pytest

from engine.commands.notation import device, device_rule, sysctl, ulimit
from engine.errors import InvalidInput


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("/dev/fuse", "/dev/fuse:/dev/fuse:rwm"),
        ("/dev/fuse:/dev/x", "/dev/fuse:/dev/x:rwm"),
        ("/dev/fuse:r", "/dev/fuse:/dev/fuse:r"),
        ("/dev/fuse:/x:rw", "/dev/fuse:/x:rw"),
    ],
)
def test_a_device(text: str, meant: str) -> None:
    assert device(text) == meant


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "bad format for path: "),
        ("/a:/b:r:w", "bad format for path: /a:/b:r:w"),
        ("/a::r", "bad format for path: /a::r"),
        ("/dev/fuse:/x:q", "bad mode specified: q"),
        ("/dev/fuse:/x:rr", "bad mode specified: rr"),
        ("fuse", "fuse is not an absolute path"),
        ("/dev/fuse:x", "x is not an absolute path"),
    ],
)
def test_no_device(text: str, why: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        device(text)
    assert str(refused.value) == why


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ("c 1:3 rwm", ("c 1:3 rwm",)),
        ("b *:* m", ("b *:* m",)),
        ("a *:* rwm", ("a",)),
        ("a *:* r", ("b *:* r", "c *:* r")),  # the kernel would take any line with `a` for all devices and all rights
        ("a 7:1 mw", ("b 7:1 mw", "c 7:1 mw")),
    ],
)
def test_a_device_rule(text: str, rules: tuple[str, ...]) -> None:
    assert device_rule(text) == rules


@pytest.mark.parametrize("text", ["", "c", "c 1:3", "c 1:3 x", "d 1:3 r", "c 1 r", "c 1:3:4 r", "c ١:3 r", "c -1:3 r"])
def test_no_device_rule(text: str) -> None:
    with pytest.raises(InvalidInput, match="invalid device cgroup format"):
        device_rule(text)


def test_sysctls_are_those_of_namespaces() -> None:
    assert sysctl("net.ipv4.ip_forward=1") == ("net.ipv4.ip_forward", "1")
    assert sysctl("kernel.sem=1 2 3 4") == ("kernel.sem", "1 2 3 4")
    assert sysctl("fs.mqueue.msg_max=") == ("fs.mqueue.msg_max", "")
    for text in (
        *("kernel.panic=1", "kernel.hostname=x", "vm.swappiness=1", "net.ipv4.ip_forward", "kernel.msgmaxx=1"),
        *("net/../kernel/panic=1", "net..kernel=1", "net.=1", "net.a/../../kernel/panic=1", "net.x\0y=1"),
    ):
        with pytest.raises(InvalidInput, match="is not allowed"):
            sysctl(text)


def test_ulimits() -> None:
    assert ulimit("nofile=1024") == "nofile=1024:1024"
    assert ulimit("nofile=10:20") == "nofile=10:20"
    assert ulimit("core=-1") == "core=-1:-1"
    assert ulimit("core=5:-1") == "core=5:-1"
    for text, why in (
        ("nofile", "invalid ulimit argument: nofile"),
        ("files=1", "invalid ulimit type: files"),
        ("as=1", "invalid ulimit type: as"),
        ("nofile=1:2:3", "too many limit value arguments - 1:2:3, can only have up to two, `soft[:hard]`"),
        ("nofile=20:10", "ulimit soft limit must be less than or equal to hard limit: 20 > 10"),
        ("nofile=-1:10", "ulimit soft limit must be less than or equal to hard limit: -1 > 10"),
        ("nofile=x", "invalid ulimit argument: nofile=x: a limit is a whole number, or -1 for none"),
        (f"nofile={1 << 64}", f"invalid ulimit argument: nofile={1 << 64}: a limit is a whole number, or -1 for none"),
    ):
        with pytest.raises(InvalidInput) as refused:
            ulimit(text)
        assert str(refused.value) == why
