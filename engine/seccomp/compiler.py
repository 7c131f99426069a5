"""From a profile to the program that the kernel runs before each system call: classic BPF.

    which ABI? → which range of numbers? (a balanced tree of comparisons) → tests of arguments, if any → the answer

What is not a profile's business is answered as docker's runtime does: calls of an ABI that the profile does not allow
end the process, and calls above the highest number that the profile speaks of get ENOSYS, as from an older kernel, so
that the C library falls back on what there was before.
Sources: Documentation/userspace-api/seccomp_filter.rst, include/uapi/linux/{seccomp,filter,bpf_common}.h.
"""

from __future__ import annotations

import struct

from engine.errors import InvalidInput
from engine.seccomp.numbers import X32_BIT, Abi, abi
from engine.seccomp.profile import ALLOW, ENOSYS, KILL_PROCESS, LOG

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.seccomp.profile import Condition, Profile, Rule

MOST_INSTRUCTIONS = 4096
"""BPF_MAXINSNS."""

_LOAD, _AND, _RET, _JA, _JEQ, _JGT, _JGE = 0x20, 0x54, 0x06, 0x05, 0x15, 0x25, 0x35
_NUMBER, _ARCH, _ARGUMENTS = 0, 4, 16
"""Offsets in struct seccomp_data; an argument has 8 bytes, the lower half first on the machines of `numbers`."""

_FAR = 255
_PRIVATE = 0xF0000
"""From here on ARM's private calls, which say nothing about how new the profile is."""

Decision = tuple[tuple[tuple["Condition", ...], int], ...]
"""Rules for one number: (conditions, action), in order; the last one has no conditions."""


def compile_profile(profile: Profile) -> bytes:
    """The program, an array of struct sock_filter (8 bytes each). InvalidInput when it is too long for the kernel."""
    code = _Code()
    trees: dict[int, dict[str, int]] = {}
    for name in profile.abis:
        own = abi(name)
        trees.setdefault(own.audit, {})[name] = _tree(code, _ranges(profile, own))
    label = code.answer(KILL_PROCESS)
    for audit, found in reversed(trees.items()):  # the machine's own last: it will stand first
        label = code.test(_JEQ, audit, _enter(code, found), label)
    code.load(_ARCH)
    if len(code) > MOST_INSTRUCTIONS:
        raise InvalidInput(
            f"the seccomp profile is too long: {len(code)} instructions, and the kernel takes {MOST_INSTRUCTIONS}"
        )
    return code.program()


def _enter(code: _Code, trees: dict[str, int]) -> int:
    """Where calls of one architecture go: x86-64 and x32 share theirs and differ in the number."""
    (own, *_) = (label for name, label in trees.items() if name != "X32")
    if "X32" in trees:
        code.test(_JGE, X32_BIT, trees["X32"], own)
    elif "X86_64" in trees:
        # -1 is no call: a tracer has taken it away.
        strange = code.test(_JEQ, 0xFFFFFFFF, code.answer(ENOSYS), code.answer(KILL_PROCESS))
        code.test(_JGE, X32_BIT, strange, own)
    else:
        code.jump(own)
    return code.load(_NUMBER)


def decisions(profile: Profile, own: Abi) -> tuple[dict[int, Decision], int]:
    """What the profile says of the calls of an ABI, by number; and the highest number it speaks of, -1 for none.

    Rules that say the same as the default say nothing: a later one for the call counts (so in docker's runtime).
    """
    rules: dict[int, list[Rule]] = {}
    last = -1
    for rule in profile.rules:
        for name in rule.names:
            number = own.numbers.get(name)
            if number is None:
                continue
            if number < _PRIVATE or number & X32_BIT:
                last = max(last, number)
            before = rules.setdefault(number, [])
            if rule.action != profile.default and (not before or before[-1].conditions):
                before.append(rule)
    found: dict[int, Decision] = {}
    for number, several in rules.items():
        decision = [(rule.conditions, rule.action) for rule in several]
        if not decision or decision[-1][0]:
            decision.append(((), profile.default))
        found[number] = tuple(decision)
    return found, last


def _ranges(profile: Profile, own: Abi) -> list[tuple[int, Decision]]:
    """Every number an ABI could have, as (first number, decision) of ranges in order; neighbours differ."""
    found, last = decisions(profile, own)
    default: Decision = (((), profile.default),)
    edges: dict[int, Decision] = {0: default}
    for number in sorted(found):
        edges[number] = found[number]
        edges[number + 1] = default
    if profile.default not in (ALLOW, LOG, ENOSYS) and last >= 0:
        for number in [number for number in edges if number > last]:
            if number not in found:
                edges[number] = (((), ENOSYS),)
    ranges: list[tuple[int, Decision]] = []
    for number in sorted(edges):
        if not ranges or ranges[-1][1] != edges[number]:
            ranges.append((number, edges[number]))
    return ranges


def _tree(code: _Code, ranges: Sequence[tuple[int, Decision]]) -> int:
    """Find a number's range in as few comparisons as there are bits in how many ranges there are."""
    if len(ranges) == 1:
        return code.decide(ranges[0][1])
    middle = len(ranges) // 2
    above = _tree(code, ranges[middle:])
    below = _tree(code, ranges[:middle])
    return code.test(_JGE, ranges[middle][0], above, below)


class _Code:
    """A program that grows from its end, since BPF only jumps forward. A label is an instruction's place from the end.

    Everything that gives a label leaves that instruction as the newest one or has it somewhere behind.
    """

    def __init__(self) -> None:
        self._code: list[tuple[int, int, int, int]] = []
        self._answers: dict[int, int] = {}
        self._decided: dict[Decision, int] = {}

    def __len__(self) -> int:
        return len(self._code)

    def program(self) -> bytes:
        return b"".join(struct.pack("=HBBI", *instruction) for instruction in reversed(self._code))

    def answer(self, action: int) -> int:
        """End with this action."""
        label = self._answers.get(action)
        if label is None or len(self) - label > _FAR - 8:  # a second one is no longer than the jump to the first
            label = self._answers[action] = self._put(_RET, 0, 0, action)
        return label

    def load(self, offset: int) -> int:
        """Take a word of struct seccomp_data, and go on with the newest instruction."""
        return self._put(_LOAD, 0, 0, offset)

    def jump(self, label: int) -> int:
        """Go there; nothing at all where it is the next instruction."""
        distance = len(self) - 1 - label
        return label if not distance else self._put(_JA, 0, 0, distance)

    def test(self, comparison: int, value: int, yes: int, no: int) -> int:
        """Compare what was taken with a value, and go to one of two places."""
        while True:
            far = [len(self) - 1 - label for label in (yes, no)]
            if far[0] > _FAR:
                yes = self._put(_JA, 0, 0, far[0])
            elif far[1] > _FAR:
                no = self._put(_JA, 0, 0, far[1])
            else:
                return self._put(comparison, far[0], far[1], value)

    def decide(self, decision: Decision) -> int:
        """Find the first rule whose conditions hold."""
        if len(decision) == 1:
            return self.answer(decision[0][1])
        label = self._decided.get(decision)
        if label is not None:
            return label
        *rules, (_, otherwise) = decision
        label = self.answer(otherwise)
        while rules:
            several = _alike(rules)
            if several > 1:
                label = self._one_of([rule[0][0] for rule in rules[-several:]], rules[-1][1], label)
                del rules[-several:]
            else:
                conditions, action = rules.pop()
                no, label = label, self.answer(action)
                for condition in reversed(conditions):
                    label = self._condition(condition, label, no)
        self._decided[decision] = label
        return label

    def _one_of(self, conditions: Sequence[Condition], action: int, no: int) -> int:
        """Whether an argument is one of several values whose upper halves are the same."""
        index, yes, label = conditions[0].index, self.answer(action), no
        for condition in reversed(conditions):
            label = self.test(_JEQ, condition.value & 0xFFFFFFFF, yes, label)
        label = self.load(_half(index, 0))
        self.test(_JEQ, conditions[0].value >> 32, label, no)
        return self.load(_half(index, 1))

    def _condition(self, condition: Condition, yes: int, no: int) -> int:
        """Compare 64 bits in two halves."""
        index, operator, value = condition.index, condition.operator, condition.value
        if operator in ("!=", "<", "<="):
            operator, yes, no = {"!=": "==", "<": ">=", "<=": ">"}[operator], no, yes
        low, high = value & 0xFFFFFFFF, value >> 32
        if operator in ("==", "&"):
            masks = (
                (0xFFFFFFFF, 0xFFFFFFFF) if operator == "==" else (condition.mask & 0xFFFFFFFF, condition.mask >> 32)
            )
            label = self._half_is(_half(index, 0), masks[0], low, yes, no)
            return self._half_is(_half(index, 1), masks[1], high, label, no)
        self.test(_JGE if operator == ">=" else _JGT, low, yes, no)
        label = self.load(_half(index, 0))
        label = self.test(_JEQ, high, label, no)
        self.test(_JGT, high, yes, label)
        return self.load(_half(index, 1))

    def _half_is(self, offset: int, mask: int, value: int, yes: int, no: int) -> int:
        self.test(_JEQ, value, yes, no)
        if mask != 0xFFFFFFFF:
            self._put(_AND, 0, 0, mask)
        return self.load(offset)

    def _put(self, code: int, yes: int, no: int, value: int) -> int:
        self._code.append((code, yes, no, value))
        return len(self._code) - 1


def _half(index: int, half: int) -> int:
    """Where the lower (0) or upper (1) half of an argument is."""
    return _ARGUMENTS + 8 * index + 4 * half


def _alike(rules: Sequence[tuple[tuple[Condition, ...], int]]) -> int:
    """How many of the last rules ask whether one argument has a value, with one upper half and one action."""
    count, kind = 0, None
    for conditions, action in reversed(rules):
        if len(conditions) != 1 or conditions[0].operator != "==":
            break
        own = conditions[0].index, conditions[0].value >> 32, action
        if kind not in (None, own):
            break
        kind, count = own, count + 1
    return count
