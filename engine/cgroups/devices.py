"""Which device nodes a group's processes may make and open: whoever has CAP_MKNOD can make a node of the host's disk.

Rules are texts as the v1 controller takes them: kind (c, b), major:minor (or *), and letters of r(ead), w(rite),
m(knod); what no rule allows is refused with EPERM; "a" allows all. On v2 they become a BPF program.
Light: the monitor loads this. Sources: Documentation/admin-guide/cgroup-v1/devices.rst, cgroup-v2.rst ("Device
controller"), struct bpf_cgroup_dev_ctx in include/uapi/linux/bpf.h.
"""

from __future__ import annotations

import os
import struct

import engine.cgroups.files as files
from engine.kernel import bpf
from engine.kernel.proc import mapped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine.cgroups.groups import Group

DEFAULT_DEVICES = (
    "c *:* m",
    "b *:* m",
    "c 1:3 rwm",  # null
    "c 1:5 rwm",  # zero
    "c 1:7 rwm",  # full
    "c 1:8 rwm",  # random
    "c 1:9 rwm",  # urandom
    "c 5:0 rwm",  # tty
    "c 5:1 rwm",  # console
    "c 5:2 rwm",  # ptmx
    "c 136:* rwm",  # pts/*
)
"""What docker allows: any node may be made (an image may hold some), but only these may be opened."""

_KINDS = {"b": 1, "c": 2}
_ACCESSES = {"m": 1, "r": 2, "w": 4}


def limit_devices(group: Group, rules: Iterable[str] = DEFAULT_DEVICES) -> bool:
    """Let a group's processes use only these devices. False where nothing on this machine can: v1 without a devices
    tree; and where nothing need: in a user namespace."""
    if mapped():
        return False  # no device can be made in a user namespace, nor opened in its file systems
    if group.v1("devices"):
        files.write(group.v1("devices") + "/devices.deny", "a")
        path = group.v1("devices") + "/devices.allow"
        allow = files.opened(path, os.O_WRONLY)
        try:
            for rule in rules:
                files.write_to(allow, path, rule)
        finally:
            os.close(allow)
        return True
    if not group.v2:
        return False
    loaded = bpf.load(bpf.BPF_PROG_TYPE_CGROUP_DEVICE, program(rules))
    try:
        directory = files.opened(group.v2, os.O_DIRECTORY)
        try:
            bpf.attach(directory, loaded, bpf.BPF_CGROUP_DEVICE, bpf.BPF_F_ALLOW_MULTI)
        finally:
            os.close(directory)
    finally:
        os.close(loaded)
    return True


def program(rules: Iterable[str]) -> bytes:
    """The BPF program of these rules: 1 for an access that one of them allows whole, else 0.

    It gets { u32 access << 16 | kind; u32 major; u32 minor }. ValueError for a rule that is none.
    """
    rules = list(rules)
    if "a" in rules:  # by itself: the kernel takes no program with a part that is never reached
        return _instruction(0xB7, 0, 0, 0, 1) + _instruction(0x95)  # r0 = 1; exit
    code = [
        _instruction(0x61, 2, 1, 0),  # r2 = the first word
        _instruction(0xBC, 3, 2),  # w3 = w2
        _instruction(0x54, 2, 0, 0, 0xFFFF),  # w2 &= 0xffff: the kind
        _instruction(0x74, 3, 0, 0, 16),  # w3 >>= 16: the accesses asked for
        _instruction(0x61, 4, 1, 4),  # r4 = major
        _instruction(0x61, 5, 1, 8),  # r5 = minor
    ]
    for rule in rules:
        code += _rule(rule)
    return b"".join([*code, _instruction(0xB7, 0, 0, 0, 0), _instruction(0x95)])  # r0 = 0; exit


def _rule(rule: str) -> list[bytes]:
    """Tests that each jump over the rest of the rule when they fail; after the last of them, allowed."""
    try:
        kind, numbers, letters = rule.split()
        major, minor = (None if number == "*" else int(number) for number in numbers.split(":"))
        allowed = sum(_ACCESSES[letter] for letter in set(letters))
        tests: list[tuple[int, int, int]] = [(0x56, 2, _KINDS[kind])]  # if w2 != kind
    except (ValueError, KeyError):
        raise ValueError(f"not a device rule: {rule!r}; one is like 'c 1:3 rwm'") from None
    if allowed != 7:
        tests.append((0x46, 3, ~allowed & 7))  # if w3 & what this rule does not allow
    if major is not None:
        tests.append((0x56, 4, major))  # if w4 != major
    if minor is not None:
        tests.append((0x56, 5, minor))  # if w5 != minor
    code = []
    for at, (test, register, value) in enumerate(tests):
        code.append(_instruction(test, register, 0, len(tests) - at + 1, value))
    return [*code, _instruction(0xB7, 0, 0, 0, 1), _instruction(0x95)]  # r0 = 1; exit


def _instruction(code: int, target: int = 0, source: int = 0, offset: int = 0, value: int = 0) -> bytes:
    """struct bpf_insn."""
    return struct.pack("=BBhi", code, source << 4 | target, offset, value)
