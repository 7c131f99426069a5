"""A small interpreter of classic BPF, for what seccomp uses of it: what the kernel does with a filter, in Python."""

from __future__ import annotations

import struct
from collections.abc import Sequence

MASK = 0xFFFFFFFF


def run(program: bytes, audit: int, number: int, args: Sequence[int] = ()) -> tuple[int, int]:
    """(what the filter answers, how many instructions that took) for a call. args: up to six 64-bit values.

    ValueError for an instruction that the kernel's check would refuse (kernel/seccomp.c, seccomp_check_filter), or a
    jump out of the program.
    """
    values = [*args, 0, 0, 0, 0, 0, 0][:6]
    data = struct.pack("<IIQ6Q", number & MASK, audit, 0, *values)
    code = [struct.unpack_from("<HBBI", program, at) for at in range(0, len(program), 8)]
    at, taken, accumulator = 0, 0, 0
    while at < len(code):
        operation, yes, no, value = code[at]
        at, taken = at + 1, taken + 1
        if operation == 0x20:  # BPF_LD|BPF_W|BPF_ABS
            if value % 4 or value >= 64:
                raise ValueError(f"a load at offset {value}")
            (accumulator,) = struct.unpack_from("<I", data, value)
        elif operation == 0x54:  # BPF_ALU|BPF_AND|BPF_K
            accumulator &= value
        elif operation == 0x05:  # BPF_JMP|BPF_JA
            at += value
        elif operation in (0x15, 0x25, 0x35):  # BPF_JMP|BPF_JEQ, JGT, JGE|BPF_K
            holds = {0x15: accumulator == value, 0x25: accumulator > value, 0x35: accumulator >= value}[operation]
            at += yes if holds else no
        elif operation == 0x06:  # BPF_RET|BPF_K
            return value, taken
        else:
            raise ValueError(f"instruction {operation:#x}")
    raise ValueError("the program has no end")
