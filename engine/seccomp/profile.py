"""Profiles: which system calls get which action, as values; and docker's and OCI's JSON form of them.

A profile is written for every machine; `Wish` says for which one it is read. The JSON is that of docker's
`--security-opt seccomp=FILE` (moby's profiles/seccomp), which contains OCI's (runtime-spec, config-linux.md).
"""

from __future__ import annotations

import errno as errnos

from engine.errors import InvalidInput
from engine.values import Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

KILL_PROCESS, KILL_THREAD, TRAP, ERRNO = 0x80000000, 0x00000000, 0x00030000, 0x00050000
LOG, ALLOW = 0x7FFC0000, 0x7FFF0000
"""What a filter may answer (SECCOMP_RET_* in include/uapi/linux/seccomp.h); an errno is in the lower half of ERRNO."""

EPERM, ENOSYS = ERRNO | errnos.EPERM, ERRNO | errnos.ENOSYS

_ACTIONS = {
    "SCMP_ACT_KILL": KILL_THREAD,
    "SCMP_ACT_KILL_THREAD": KILL_THREAD,
    "SCMP_ACT_KILL_PROCESS": KILL_PROCESS,
    "SCMP_ACT_TRAP": TRAP,
    "SCMP_ACT_ERRNO": ERRNO,
    "SCMP_ACT_LOG": LOG,
    "SCMP_ACT_ALLOW": ALLOW,
}
_UNSUPPORTED = {
    "SCMP_ACT_TRACE": "it needs a tracer outside, which a container has not",
    "SCMP_ACT_NOTIFY": "it needs an agent that answers for each call, which this engine does not run",
}
_OPERATORS = {
    "SCMP_CMP_NE": "!=",
    "SCMP_CMP_LT": "<",
    "SCMP_CMP_LE": "<=",
    "SCMP_CMP_EQ": "==",
    "SCMP_CMP_GE": ">=",
    "SCMP_CMP_GT": ">",
    "SCMP_CMP_MASKED_EQ": "&",
}

MOST_ERRNO = 4095
"""MAX_ERRNO: the kernel cuts a higher one down to it."""


class Condition(Values):
    """A test of one argument. index: 0–5; operator: != < <= == >= > with `value`; "&": argument & mask == value."""

    index: int
    operator: str
    value: int
    mask: int = 0


class Rule(Values):
    """These calls, if all conditions hold, get this action (SECCOMP_RET_*)."""

    names: tuple[str, ...]
    action: int = ALLOW
    conditions: tuple[Condition, ...] = ()


class Profile(Values):
    """A profile for one machine and set of capabilities: of the rules for a call the first that holds decides.

    default: the action of a call that no rule speaks of; abis: names of `numbers.abi`; log: also log what is refused.
    """

    default: int
    abis: tuple[str, ...]
    rules: tuple[Rule, ...]
    log: bool = False


class Wish(Values):
    """For what a profile is read. machine: as uname says; capabilities: the bounding set, names without CAP_;
    kernel: (major, minor)."""

    machine: str
    capabilities: frozenset[str]
    kernel: tuple[int, int]


MACHINES = {"x86_64": ("amd64", ("X86_64", "X86", "X32")), "aarch64": ("arm64", ("AARCH64", "ARM"))}
"""By uname's name: Go's name, and the ABIs that its kernel may serve, its own first."""


def from_json(text: str, wish: Wish) -> Profile | None:
    """docker's or OCI's JSON for one machine; None for an empty profile, which means no filter, as with docker.

    InvalidInput, in docker's words where it has some, for what is no profile or cannot be done. Unknown names of calls
    are passed over, as docker does: a profile may speak of calls of other machines and later kernels.
    """
    import json

    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"Decoding seccomp profile failed: {error}") from None
    read = _Reader(wish)
    try:
        return read.profile(document)
    except (TypeError, ValueError, AttributeError, KeyError) as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise InvalidInput(f"Decoding seccomp profile failed: {what}") from None


class _Reader:
    """Reads documents for one wish. ValueError, TypeError, KeyError, AttributeError for what has another form."""

    def __init__(self, wish: Wish) -> None:
        self._wish = wish
        self._go_name, self._abis = MACHINES[wish.machine]

    def profile(self, document: Any) -> Profile | None:
        calls = document.get("syscalls") or []
        if not document.get("defaultAction") and not calls:
            return None
        if document.get("listenerPath"):
            raise InvalidInput("a seccomp profile with a listenerPath needs an agent, which this engine does not run")
        default = self._action(document.get("defaultAction"), document.get("defaultErrnoRet"))
        rules = [rule for call in calls if self._applies(call) for rule in self._rules(call)]
        flags = document.get("flags") or []
        for flag in flags:
            if flag not in ("SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_TSYNC"):
                raise InvalidInput(f"seccomp flag {flag!r} is not supported")
        return Profile(default, self._chosen_abis(document), tuple(rules), "SECCOMP_FILTER_FLAG_LOG" in flags)

    def _chosen_abis(self, document: Mapping[str, Any]) -> tuple[str, ...]:
        """This machine's ABIs that the profile allows; its own is always one of them (runc adds it too)."""
        named, mapped = document.get("architectures") or [], document.get("archMap") or []
        if named and mapped:
            raise InvalidInput(
                "both 'architectures' and 'archMap' are specified in the seccomp profile, use either 'architectures' or"
                " 'archMap'"
            )
        wanted = list(named)
        for entry in mapped:
            if entry["architecture"] == "SCMP_ARCH_" + self._abis[0]:
                wanted += entry.get("subArchitectures") or []
                break
        return (self._abis[0], *(abi for abi in self._abis[1:] if "SCMP_ARCH_" + abi in wanted))

    def _applies(self, call: Mapping[str, Any]) -> bool:
        includes, excludes = call.get("includes") or {}, call.get("excludes") or {}
        held = {"CAP_" + name for name in self._wish.capabilities}
        if self._go_name in (excludes.get("arches") or ()) or held & set(excludes.get("caps") or ()):
            return False
        if excludes.get("minKernel") and self._wish.kernel >= _kernel(excludes["minKernel"]):
            return False
        if includes.get("arches") and self._go_name not in includes["arches"]:
            return False
        if not set(includes.get("caps") or ()) <= held:
            return False
        return not includes.get("minKernel") or self._wish.kernel >= _kernel(includes["minKernel"])

    def _rules(self, call: Mapping[str, Any]) -> list[Rule]:
        names = call.get("names") or []
        if call.get("name"):
            if names:
                raise InvalidInput(
                    "both 'name' and 'names' are specified in the seccomp profile, use either 'name' or 'names'"
                )
            names = [call["name"]]
        if not all(isinstance(name, str) for name in names):
            raise TypeError("a system call's name is no text")
        action = self._action(call["action"], call.get("errnoRet"))
        conditions = [_condition(arg) for arg in call.get("args") or []]
        if len({condition.index for condition in conditions}) < len(conditions):
            # Several tests of one argument are alternatives (runc#2735): what docker's users' profiles rely on.
            return [Rule(tuple(names), action, (condition,)) for condition in conditions]
        return [Rule(tuple(names), action, tuple(conditions))]

    @staticmethod
    def _action(name: str, errno: int | None) -> int:
        if name in _UNSUPPORTED:
            raise InvalidInput(f"seccomp action {name} is not supported: {_UNSUPPORTED[name]}")
        if name not in _ACTIONS:
            raise InvalidInput(f"invalid seccomp action: {name!r}")
        if name != "SCMP_ACT_ERRNO":
            return _ACTIONS[name]
        number = errnos.EPERM if errno is None else _whole(errno, MOST_ERRNO)
        return ERRNO | number


def _condition(arg: Mapping[str, Any]) -> Condition:
    operator = _OPERATORS.get(arg["op"])
    if operator is None:
        raise InvalidInput(f"invalid seccomp operator: {arg['op']!r}")
    index, value = _whole(arg["index"], 5), _whole(arg.get("value", 0), 2**64 - 1)
    if operator == "&":
        return Condition(index, operator, _whole(arg.get("valueTwo", 0), 2**64 - 1), value)
    return Condition(index, operator, value)


def _whole(value: object, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise ValueError(f"{value!r} is not a whole number from 0 to {most}")
    return value


def _kernel(text: str) -> tuple[int, int]:
    """ "4.8" as numbers."""
    major, minor = text.split(".")[:2]
    return int(major), int(minor)
