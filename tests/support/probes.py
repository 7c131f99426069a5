"""Tiny static programs that make system calls and write down what the kernel answered: raw ELF, no C library.

    layer = {"probe": probe([Call("unshare", 0)])}   →   answers(output) == [-errno.EPERM]

For x86-64 processors: 64-bit programs, which may also make 32-bit calls (int 0x80), and 32-bit ones.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

from engine.seccomp.numbers import abi

_BASE = 0x400000
_ANSWERS = 0x600000  # zeroed memory
SCRATCH = _ANSWERS + 0x800


class Call(NamedTuple):
    """A system call by name (or number) with up to six arguments. abi: X86_64, X86 or X32."""

    name: str | int
    args: tuple[int, ...] = ()
    abi: str = "X86_64"

    @property
    def number(self) -> int:
        return self.name if isinstance(self.name, int) else abi(self.abi).numbers[self.name]


EUID = Call("geteuid")


def probe(calls: Sequence[Call]) -> bytes:
    """A 64-bit program: makes the calls, writes each answer as a signed 64-bit number to standard output, exits 0."""
    code = b"".join(_call(call) + b"\x48\xa3" + struct.pack("<Q", _ANSWERS + 8 * at) for at, call in enumerate(calls))
    return _program(code + _call(Call("write", (1, _ANSWERS, 8 * len(calls)))) + _call(Call("exit_group", (0,))))


def verdict(call: Call, stored: bytes = bytes(8)) -> bytes:
    """A 64-bit program that makes one call and exits with its errno, or 256 less its result. stored: 8 bytes that it
    puts at SCRATCH before."""
    store = b"\x48\xb8" + stored + b"\x48\xa3" + struct.pack("<Q", SCRATCH)
    return _program(store + _call(call) + b"\x48\x89\xc7\x48\xf7\xdf\xb8" + struct.pack("<I", 231) + b"\x0f\x05")


def _program(code: bytes) -> bytes:
    header = struct.pack("<16sHHIQQQIHHHHHH", _ident(2), 2, 62, 1, _BASE + 0xB0, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    segments = struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, 0xB0 + len(code), 0xB0 + len(code), 0x1000)
    segments += struct.pack("<IIQQQQQQ", 1, 6, 0, _ANSWERS, _ANSWERS, 0, 0x1000, 0x1000)
    return header + segments + code


def probe32(calls: Sequence[Call]) -> bytes:
    """The same as a 32-bit program; its calls are of the ABI X86."""
    code = b"".join(_call32(call) + b"\xa3" + struct.pack("<I", _ANSWERS + 8 * at) for at, call in enumerate(calls))
    code += _call32(Call("write", (1, _ANSWERS, 8 * len(calls)), "X86")) + _call32(Call("exit_group", (0,), "X86"))
    header = struct.pack("<16sHHIIIIIHHHHHH", _ident(1), 2, 3, 1, _BASE + 0x74, 52, 0, 0, 52, 32, 2, 0, 0, 0)
    segments = struct.pack("<IIIIIIII", 1, 0, _BASE, _BASE, 0x74 + len(code), 0x74 + len(code), 5, 0x1000)
    segments += struct.pack("<IIIIIIII", 1, 0, _ANSWERS, _ANSWERS, 0, 0x1000, 6, 0x1000)
    return header + segments + code


def answers(output: bytes) -> list[int]:
    """What a probe wrote: results, or -errno."""
    found = struct.unpack(f"<{len(output) // 8}Q", output)
    return [_signed(value, 32) if value >> 31 == 1 else _signed(value, 64) for value in found]


def _signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> (bits - 1) & 1 else value


def _ident(width: int) -> bytes:
    return b"\x7fELF" + bytes([width, 1, 1])


def _call(call: Call) -> bytes:
    if call.abi == "X86":
        return _call32(call)  # these instructions mean the same in 64-bit code
    registers = (b"\x48\xbf", b"\x48\xbe", b"\x48\xba", b"\x49\xba", b"\x49\xb8", b"\x49\xb9")  # rdi rsi rdx r10 r8 r9
    values = [*call.args, 0, 0, 0, 0, 0, 0]
    code = b"".join(name + struct.pack("<Q", value % 2**64) for name, value in zip(registers, values, strict=False))
    return code + b"\x48\xb8" + struct.pack("<Q", call.number) + b"\x0f\x05"


def _call32(call: Call) -> bytes:
    registers = (b"\xbb", b"\xb9", b"\xba", b"\xbe", b"\xbf", b"\xbd")  # ebx ecx edx esi edi ebp
    values = [*call.args, 0, 0, 0, 0, 0, 0]
    code = b"".join(name + struct.pack("<I", value % 2**32) for name, value in zip(registers, values, strict=False))
    return code + b"\xb8" + struct.pack("<I", call.number) + b"\xcd\x80"
