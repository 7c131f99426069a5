"""Profiles become programs that answer every call as the profile says: against a plain reading of the profile."""

from __future__ import annotations

import errno
import json
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import InvalidInput
from engine.kernel.capabilities import CAPS
from engine.runtime.confinement import CAPABILITIES
from engine.seccomp.compiler import MOST_INSTRUCTIONS, compile_profile
from engine.seccomp.default import SOCKETS, default_profile
from engine.seccomp.numbers import X32_BIT, Abi, abi
from engine.seccomp.profile import (
    ALLOW,
    ENOSYS,
    EPERM,
    ERRNO,
    KILL_PROCESS,
    KILL_THREAD,
    LOG,
    MACHINES,
    TRAP,
    Condition,
    Profile,
    Rule,
    Wish,
    from_json,
)
from tests.support.bpf import run
from tests.support.needs import unmet

ABIS = {name: abi(name) for _, names in MACHINES.values() for name in names}
HERE = Wish("x86_64", frozenset(CAPABILITIES), (6, 18))
PRIVATE = 0xF0000


def holds(condition: Condition, args: Sequence[int]) -> bool:
    arg, value = args[condition.index], condition.value
    return {
        "!=": arg != value,
        "<": arg < value,
        "<=": arg <= value,
        "==": arg == value,
        ">=": arg >= value,
        ">": arg > value,
        "&": arg & condition.mask == value,
    }[condition.operator]


def plain(profile: Profile, own: Abi, number: int, args: Sequence[int]) -> int:
    """What a profile says of a call, read rule by rule."""
    names = [name for name, known in own.numbers.items() if known == number]
    if number & X32_BIT and own.name == "X86_64":
        return ENOSYS if number == 0xFFFFFFFF else KILL_PROCESS
    spoken = [own.numbers[name] for rule in profile.rules for name in rule.names if name in own.numbers]
    last = max([known for known in spoken if known < PRIVATE or known & X32_BIT], default=-1)
    for rule in profile.rules:
        if rule.action == profile.default or not set(rule.names) & set(names):
            continue
        if all(holds(condition, args) for condition in rule.conditions):
            return rule.action
    new = number > last >= 0 and number not in spoken
    return ENOSYS if new and profile.default not in (ALLOW, LOG) else profile.default


def owner(profile: Profile, own: Abi, number: int) -> Abi:
    """The ABI that a number of an architecture belongs to."""
    if own.name in ("X86_64", "X32") and "X32" in profile.abis:
        return ABIS["X32" if number >= X32_BIT else "X86_64"]
    return ABIS["X86_64"] if own.name == "X32" else own


WORDS = st.one_of(st.integers(0, 2**64 - 1), st.integers(0, 40), st.integers(2**32 - 2, 2**32 + 2))
CONDITIONS = st.builds(
    Condition, st.integers(0, 5), st.sampled_from(["!=", "<", "<=", "==", ">=", ">", "&"]), WORDS, WORDS
)
ACTIONS = st.sampled_from([ALLOW, EPERM, ENOSYS, ERRNO | 4095, KILL_PROCESS, KILL_THREAD, TRAP, LOG])
CALLS = ("read", "write", "socket", "clone", "openat2", "mseal", "mmap2", "cacheflush", "ioctl", "arch_prctl")
RULES = st.builds(
    Rule,
    st.lists(st.sampled_from(CALLS), min_size=1, max_size=4).map(tuple),
    ACTIONS,
    st.lists(CONDITIONS, max_size=3).map(tuple),
)
CHOICES = st.sampled_from(
    [("X86_64",), ("X86_64", "X86"), ("X86_64", "X32"), ("X86_64", "X86", "X32"), ("AARCH64",), ("AARCH64", "ARM")]
)
PROFILES = st.builds(Profile, ACTIONS, CHOICES, st.lists(RULES, max_size=12).map(tuple))


@given(PROFILES, st.data())
@settings(max_examples=150, deadline=None)
def test_a_program_answers_as_its_profile_read_rule_by_rule(profile: Profile, data: st.DataObject) -> None:
    program = compile_profile(profile)
    values = [value for rule in profile.rules for test in rule.conditions for value in (test.value, test.mask)]
    near = st.sampled_from([(value + by) % 2**64 for value in [*values, 0] for by in (-1, 0, 1, 2**32)])
    args = data.draw(st.lists(st.one_of(near, WORDS), min_size=6, max_size=6))
    for name in profile.abis:
        own = ABIS[name]
        numbers = {own.numbers.get(call, 7) for call in CALLS} | {0, 450, 466, 467, 600, 0xF0001, 0xFFFFFFFF}
        for number in sorted(numbers | {(call + 1) & 0xFFFFFFFF for call in numbers}):
            expected = plain(profile, owner(profile, own, number), number, args)
            assert run(program, own.audit, number, args)[0] == expected, (name, number)


@given(st.sampled_from(sorted(MACHINES)), st.frozensets(st.sampled_from([name[4:] for name in CAPS])))
@settings(max_examples=12, deadline=None)
def test_the_default_profile_for_any_capabilities_and_all_numbers(machine: str, held: frozenset[str]) -> None:
    profile = default_profile(machine, held)
    program = compile_profile(profile)
    for name in profile.abis:
        own = ABIS[name]
        base = X32_BIT if name == "X32" else 0
        special = {own.numbers[call] for call in ("socket", "clone", "personality")}
        for number in {*range(base, base + 600), *own.numbers.values(), 0xFFFFFFFF}:
            firsts = (0, 1, 0x7E020000, 0x10000000, 0x11, 38, 40, 12, 11, 2**32 + 1) if number in special else (0,)
            for first in firsts:
                expected = plain(profile, owner(profile, own, number), number, (first,) * 6)
                assert run(program, own.audit, number, (first,) * 6)[0] == expected, (name, number, first)


def ask(call: str, *args: int, held: Sequence[str] = CAPABILITIES, name: str = "X86_64") -> int:
    machine = next(machine for machine, (_, names) in MACHINES.items() if name in names)
    own = ABIS[name]
    return run(compile_profile(default_profile(machine, held)), own.audit, own.numbers[call], args)[0]


@pytest.mark.parametrize("name", sorted(ABIS))
def test_what_docker_allows_and_refuses(name: str) -> None:
    for call in ("read", "execve", "openat", "futex", "ptrace", "chroot", "capset", "seccomp", "prctl", "exit_group"):
        assert ask(call, name=name) == ALLOW, call
    for call in ("keyctl", "add_key", "request_key", "bpf", "mount", "umount2", "unshare", "setns", "reboot"):
        assert ask(call, name=name) == EPERM, call
    for call in ("userfaultfd", "io_uring_setup", "pivot_root", "swapon", "init_module", "open_by_handle_at", "fsopen"):
        assert ask(call, name=name) == EPERM, call
    assert ask("clone3", name=name) == ENOSYS
    assert ask("clone", 0x11, name=name) == ALLOW
    for flag in (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000):
        assert ask("clone", flag | 0x11, name=name) == EPERM, hex(flag)
    for call in ("clone3", "clone", "unshare", "mount", "bpf"):
        assert ask(call, 0x10000000, held=["SYS_ADMIN"], name=name) == ALLOW, call
    families = {family for family in range(64) if ask("socket", family, name=name) == ALLOW}
    assert families == {0, *SOCKETS}
    assert not families & {38, 40}
    assert ask("socket", 1 << 32 | 2, name=name) == EPERM  # the kernel would look at the lower half alone
    values = [value for value in (0, 8, 0x20000, 0x20008, 0xFFFFFFFF, 1, 0x40000) if ask("personality", value) == ALLOW]
    assert values == [0, 8, 0x20000, 0x20008, 0xFFFFFFFF]


def test_calls_that_the_profile_does_not_know_do_not_exist() -> None:
    program = compile_profile(default_profile("x86_64", CAPABILITIES))
    for name in MACHINES["x86_64"][1]:
        own = ABIS[name]
        base, last = (X32_BIT, 547) if name == "X32" else (0, 466)  # x32 has its special ones last
        assert run(program, own.audit, base + 466)[0] == ALLOW  # removexattrat, the newest that docker knows
        for number in (base + last + 1, base + last + 4, base + 1000, 0xFFFFFFFF):
            assert run(program, own.audit, number)[0] == ENOSYS
    assert run(program, 0xC00000B7, 63)[0] == KILL_PROCESS  # another machine's calls


def test_the_default_program_is_short_and_quick() -> None:
    for machine, (_, names) in MACHINES.items():
        for held in (CAPABILITIES, [name[4:] for name in CAPS], ()):
            program = compile_profile(default_profile(machine, held))
            assert len(program) // 8 < 400  # the monitor keeps it
            for name in names:
                numbers = ABIS[name].numbers.values()
                assert max(run(program, ABIS[name].audit, number)[1] for number in numbers) < 50


def test_a_program_with_far_jumps_still_goes_the_right_way() -> None:
    names = list(ABIS["X86_64"].numbers)[:300]
    rules = tuple(
        Rule((name,), ERRNO | number + 1, (Condition(0, ">", number), Condition(1, "!=", number << 33)))
        for number, name in enumerate(names)
    )
    profile = Profile(KILL_PROCESS, ("X86_64",), rules)
    program = compile_profile(profile)
    assert len(program) // 8 > 2000
    for number in range(480):
        for args in ((number, 0), (2**40, number << 33), (2**40, 1)):
            expected = plain(profile, ABIS["X86_64"], number, (*args, 0, 0, 0, 0))
            assert run(program, ABIS["X86_64"].audit, number, args)[0] == expected


def test_a_profile_too_long_for_the_kernel_is_refused() -> None:
    conditions = tuple(Condition(index, ">", 2**33 + index) for index in range(6))
    rules = tuple(Rule((name,), ERRNO | number, conditions) for number, name in enumerate(ABIS["X86_64"].numbers))
    with pytest.raises(InvalidInput, match=f"too long: [0-9]+ instructions, and the kernel takes {MOST_INSTRUCTIONS}"):
        compile_profile(Profile(EPERM, ("X86_64", "X86"), rules))


# The JSON form.


def read(document: object, wish: Wish = HERE) -> Profile:
    profile = from_json(json.dumps(document), wish)
    assert profile is not None
    return profile


def one(call: Mapping[str, object], **more: object) -> Profile:
    return read({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [call], **more})


def test_dockers_form() -> None:
    profile = read(
        {
            "defaultAction": "SCMP_ACT_ERRNO",
            "defaultErrnoRet": 38,
            "archMap": [
                {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"]},
                {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_ARM"]},
            ],
            "syscalls": [
                {"names": ["read", "write"], "action": "SCMP_ACT_ALLOW", "args": [], "comment": "", "includes": {}},
                {
                    "name": "socket",
                    "action": "SCMP_ACT_ERRNO",
                    "errnoRet": 97,
                    "args": [{"index": 0, "value": 40, "op": "SCMP_CMP_EQ"}],
                },
                {
                    "names": ["clone"],
                    "action": "SCMP_ACT_LOG",
                    "args": [{"index": 1, "value": 15, "valueTwo": 3, "op": "SCMP_CMP_MASKED_EQ"}],
                },
            ],
        }
    )
    assert profile == Profile(
        ENOSYS,
        ("X86_64", "X86", "X32"),
        (
            Rule(("read", "write")),
            Rule(("socket",), ERRNO | errno.EAFNOSUPPORT, (Condition(0, "==", 40),)),
            Rule(("clone",), LOG, (Condition(1, "&", 3, 15),)),
        ),
    )


@pytest.mark.parametrize(
    ("filters", "applies"),
    [
        ({"includes": {"caps": ["CAP_CHOWN"]}}, True),
        ({"includes": {"caps": ["CAP_CHOWN", "CAP_SYS_ADMIN"]}}, False),
        ({"excludes": {"caps": ["CAP_CHOWN"]}}, False),
        ({"excludes": {"caps": ["CAP_SYS_ADMIN"]}}, True),
        ({"includes": {"arches": ["amd64", "x32"]}}, True),
        ({"includes": {"arches": ["arm64"]}}, False),
        ({"excludes": {"arches": ["amd64"]}}, False),
        ({"includes": {"minKernel": "6.18"}}, True),
        ({"includes": {"minKernel": "6.19"}}, False),
        ({"excludes": {"minKernel": "4.8"}}, False),
        ({"includes": None, "excludes": None}, True),
    ],
)
def test_rules_for_some_capabilities_machines_and_kernels(filters: dict[str, object], applies: bool) -> None:
    assert bool(one({"names": ["read"], "action": "SCMP_ACT_ALLOW", **filters}).rules) is applies


def test_only_named_architectures_get_in_and_the_machines_own_always() -> None:
    call = {"names": ["read"], "action": "SCMP_ACT_ALLOW"}
    assert one(call).abis == ("X86_64",)
    assert one(call, architectures=["SCMP_ARCH_X86"]).abis == ("X86_64", "X86")
    assert one(call, architectures=["SCMP_ARCH_X86_64", "SCMP_ARCH_ARM"]).abis == ("X86_64",)
    assert one(call, archMap=[{"architecture": "SCMP_ARCH_S390X", "subArchitectures": ["SCMP_ARCH_S390"]}]).abis == (
        "X86_64",
    )


def test_several_tests_of_one_argument_are_alternatives() -> None:
    tests = [{"index": 0, "value": value, "op": "SCMP_CMP_EQ"} for value in (1, 2)]
    rules = one({"names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": tests}).rules
    assert [rule.conditions for rule in rules] == [(Condition(0, "==", 1),), (Condition(0, "==", 2),)]


def test_an_empty_profile_means_no_filter() -> None:
    assert from_json("{}", HERE) is None
    assert from_json('{"syscalls": []}', HERE) is None


def test_calls_of_other_machines_and_times_are_passed_over() -> None:
    program = compile_profile(one({"names": ["s390_runtime_instr", "from_the_future"], "action": "SCMP_ACT_ALLOW"}))
    assert {run(program, 0xC000003E, number)[0] for number in range(600)} == {EPERM}


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("{", "Decoding seccomp profile failed: "),
        ("[" * 100_000, "Decoding seccomp profile failed: "),
        ("[]", "Decoding seccomp profile failed: "),
        ({"defaultAction": "SCMP_ACT_TRACE"}, "SCMP_ACT_TRACE is not supported"),
        ({"defaultAction": "SCMP_ACT_NOTIFY"}, "SCMP_ACT_NOTIFY is not supported"),
        ({"defaultAction": "ALLOW"}, "invalid seccomp action: 'ALLOW'"),
        ({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 5000}, "not a whole number from 0 to 4095"),
        ({"defaultAction": "SCMP_ACT_ERRNO", "flags": ["SECCOMP_FILTER_FLAG_NEW_LISTENER"]}, "is not supported"),
        ({"defaultAction": "SCMP_ACT_ERRNO", "listenerPath": "/x"}, "listenerPath"),
        (
            {"defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_X86"], "archMap": [{}]},
            "both 'architectures' and 'archMap' are specified",
        ),
    ],
)
def test_what_is_no_profile_is_refused_with_a_reason(document: object, words: str) -> None:
    text = document if isinstance(document, str) else json.dumps(document)
    with pytest.raises(InvalidInput, match=words):
        from_json(text, HERE)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ({"names": ["read"], "name": "read", "action": "SCMP_ACT_ALLOW"}, "both 'name' and 'names'"),
        ({"names": ["read"]}, "'action' is missing"),
        ({"names": [3], "action": "SCMP_ACT_ALLOW"}, "no text"),
        ({"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 6, "op": "SCMP_CMP_EQ"}]}, "from 0 to 5"),
        ({"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "op": "=="}]}, "seccomp operator: '=='"),
        (
            {"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": -1, "op": "SCMP_CMP_EQ"}]},
            "-1 is not a whole number",
        ),
        ({"names": ["read"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "new"}}, "Decoding"),
    ],
)
def test_a_bad_rule_is_refused_with_a_reason(call: dict[str, object], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        one(call)


# The numbers.


def test_numbers_are_those_of_libseccomp() -> None:
    """An independent table, where it is installed (runc and podman bring it): same names, same numbers."""
    import ctypes

    try:
        library = ctypes.CDLL("libseccomp.so.2")
    except OSError:
        unmet("libseccomp is not installed")
    compared = 0
    for own in ABIS.values():
        arch = {"X32": 0x4000003E, "ARM": 0x40000028}.get(own.name, own.audit)
        for name, number in own.numbers.items():
            theirs = library.seccomp_syscall_resolve_name_arch(ctypes.c_uint32(arch), name.encode())
            if theirs >= 0:  # below: it does not know the call, or not for this machine
                compared += 1
                assert number == theirs, (own.name, name)
    assert compared > 1500


def test_numbers_are_unique_and_the_newest_are_the_same_everywhere() -> None:
    for own in ABIS.values():
        assert len(set(own.numbers.values())) == len(own.numbers)
        assert own.numbers["removexattrat"] & ~X32_BIT == 466
        assert own.numbers["file_setattr"] & ~X32_BIT == 469
