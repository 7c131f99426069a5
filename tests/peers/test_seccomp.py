"""The same profile compiled by libseccomp, which runc and podman use: both programs answer every call alike."""

from __future__ import annotations

import ctypes
import itertools
import os
import tempfile

import pytest

from engine.runtime.confinement import CAPABILITIES
from engine.seccomp.compiler import compile_profile
from engine.seccomp.default import default_profile
from engine.seccomp.numbers import abi
from engine.seccomp.profile import (
    ALLOW,
    ENOSYS,
    EPERM,
    ERRNO,
    KILL_PROCESS,
    KILL_THREAD,
    LOG,
    TRAP,
    Condition,
    Profile,
    Rule,
)
from tests.support.bpf import run
from tests.support.needs import unmet

ARCHITECTURES = {"X86_64": 0xC000003E, "X86": 0x40000003, "X32": 0x4000003E, "AARCH64": 0xC00000B7, "ARM": 0x40000028}
OPERATORS = {"!=": 1, "<": 2, "<=": 3, "==": 4, ">=": 5, ">": 6, "&": 7}


class Compare(ctypes.Structure):
    """struct scmp_arg_cmp."""

    _fields_ = (("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64))


@pytest.fixture(scope="module")
def library() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL("libseccomp.so.2")
    except OSError:
        unmet("libseccomp is not installed")
    library.seccomp_init.restype = ctypes.c_void_p
    return library


def theirs(library: ctypes.CDLL, profile: Profile) -> bytes:
    """libseccomp's program for a profile, rule by rule as runc hands them over."""
    context = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(profile.default)))
    try:
        native = library.seccomp_arch_native
        native.restype = ctypes.c_uint32
        for name in profile.abis:
            if ARCHITECTURES[name] != native():
                assert library.seccomp_arch_add(context, ctypes.c_uint32(ARCHITECTURES[name])) == 0
        if native() not in [ARCHITECTURES[name] for name in profile.abis]:
            assert library.seccomp_arch_remove(context, native) == 0
        for rule in profile.rules:
            tests = (Compare * len(rule.conditions))()
            for test, own in zip(tests, rule.conditions, strict=True):
                values = (own.mask, own.value) if own.operator == "&" else (own.value, 0)
                test.arg, test.op, (test.a, test.b) = own.index, OPERATORS[own.operator], values
            for name in rule.names:
                number = library.seccomp_syscall_resolve_name(name.encode())
                if number != -1:  # else it is too old for the call
                    added = library.seccomp_rule_add_array(
                        context, ctypes.c_uint32(rule.action), number, len(tests), tests
                    )
                    assert added == 0, (name, os.strerror(-added))
        with tempfile.TemporaryFile() as file:
            assert library.seccomp_export_bpf(context, file.fileno()) == 0
            file.seek(0)
            return file.read()
    finally:
        library.seccomp_release(context)


def compare(library: ctypes.CDLL, profile: Profile, values: tuple[int, ...], arguments: int) -> int:
    """How many calls were compared: all that both know, with these values as each of the first arguments if they count.

    Upper halves only for 64-bit calls: of x32's and ARM's libseccomp looks at the lower ones alone.
    """
    ours, other = compile_profile(profile), theirs(library, profile)
    judged = {name for rule in profile.rules for name in rule.names if rule.conditions}
    compared = 0
    for name in profile.abis:
        own = abi(name)
        for call, number in own.numbers.items():
            arch = ctypes.c_uint32(ARCHITECTURES[name])
            if library.seccomp_syscall_resolve_name_arch(arch, call.encode()) != number:
                continue
            wide = name in ("X86_64", "AARCH64")
            chosen = [value for value in values if wide or value < 2**32] if call in judged else values[:1]
            for args in itertools.product(chosen, repeat=arguments):
                found, expected = run(ours, own.audit, number, args)[0], run(other, own.audit, number, args)[0]
                if found == ENOSYS and expected == profile.default:
                    continue  # runc, not libseccomp, adds this answer for new calls
                assert found == expected, (name, call, args)
                compared += 1
    return compared


@pytest.mark.parametrize("held", [CAPABILITIES, (), ("SYS_ADMIN", "SYS_PTRACE", "SYS_TIME", "BPF")])
def test_the_default_profile(library: ctypes.CDLL, held: tuple[str, ...]) -> None:
    machine = os.uname().machine
    if machine not in ("x86_64", "aarch64"):
        unmet(f"there are no tables for {machine}")
    values = (0, 1, 11, 12, 38, 40, 0x11, 0x10000011, 0x20000, 0xFFFFFFFF, 2**32 + 1)
    assert compare(library, default_profile(machine, held), values, 1) > 800


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the program is for x86-64")
def test_every_operator_and_action(library: ctypes.CDLL) -> None:
    high = 5 << 32
    names = ("read", "write", "openat", "ioctl", "mmap", "futex", "prctl")
    for value in (7, high, high | 7):
        rules = [
            Rule((name,), action, (Condition(0, operator, value, 0 if operator != "&" else high | 15),))
            for name, operator, action in zip(
                names, OPERATORS, (ALLOW, EPERM, ERRNO | 99, KILL_PROCESS, KILL_THREAD, TRAP, LOG), strict=True
            )
        ]
        rules.append(
            Rule(("clone",), ALLOW, (Condition(0, ">", value), Condition(1, "<=", value), Condition(2, "==", 0)))
        )
        values = (0, 6, 7, 8, high - 1, high, high + 7, high + 8, 2**64 - 1)
        profile = Profile(ERRNO | 5, ("X86_64",), tuple(rules))
        assert compare(library, profile, values, 2) > 800
