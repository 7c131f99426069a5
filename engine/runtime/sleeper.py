"""A program that sleeps: a few instructions that wait for descriptors and then become another program.

A monitor has nothing to do for hours, and an interpreter that does nothing still keeps 4 MB. So it becomes this: one
page made here, for this one sleep, with everything it needs in it as data. It waits (ppoll(2)) and executes the
interpreter again; the process, its children and its descriptors stay. What the sleeper itself cannot do is short:

    prctl(PR_SET_DUMPABLE, 0); prctl(PR_SET_NAME, name)
    while ppoll(fds, n, timeout, NULL, 8) == -EINTR: pass
    while True: execveat(program, "", argv, [NULL], AT_EMPTY_PATH); nanosleep(second, NULL)

Light: the monitor loads this. Sources: elf(5), ppoll(2), execveat(2), syscall(2) for the registers.
"""

from __future__ import annotations

import os
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_BASE = 0x400000
_HEADERS = 64 + 56
_ROOM = 256
"""Bytes for the instructions; the data comes behind them."""
_POLLIN = 1
_MFD_EXEC = 0x10
"""Linux 6.3; without it `vm.memfd_noexec` may refuse to execute what is in the memfd."""


def known() -> bool:
    """Whether there are instructions for this machine's processor."""
    return os.uname().machine in _MACHINES


def make(fds: Sequence[int], seconds: float, program: int, argv: Sequence[bytes], name: bytes) -> int:
    """The program as a memfd, close-on-exec: for `os.execve(fd, …)`. OSError when the kernel refuses one.

    fds: whose readiness to read, or end, is waited for; seconds: at most so long, negative = for ever; program: an
    open descriptor of what is executed then, with argv and an empty environment; name: what ps shows meanwhile.
    fds and program must stay open across exec; none of argv may hold a NUL byte.
    """
    code = image(os.uname().machine, fds, seconds, program, argv, name)
    try:
        memory = os.memfd_create("strata-monitor", os.MFD_CLOEXEC | _MFD_EXEC)
    except OSError:
        memory = os.memfd_create("strata-monitor", os.MFD_CLOEXEC)
    try:
        os.write(memory, code)
    except BaseException:
        os.close(memory)
        raise
    return memory


def image(machine: str, fds: Sequence[int], seconds: float, program: int, argv: Sequence[bytes], name: bytes) -> bytes:
    """The bytes of the executable; KeyError for a machine that is not known."""
    number, write = _MACHINES[machine]
    data = _Data(_BASE + _HEADERS + _ROOM)
    polled = data.add(b"".join([struct.pack("=ihh", fd, _POLLIN, 0) for fd in fds]))
    whole, part = divmod(max(seconds, 0.0), 1)
    timeout = data.add(struct.pack("=qq", int(whole), int(part * 1e9))) if seconds >= 0 else 0
    second = data.add(struct.pack("=qq", 1, 0))
    words = [data.add(word + b"\0") for word in argv]
    pointers = data.add(struct.pack(f"={len(words) + 1}Q", *words, 0))
    nothing = data.add(bytes(8))  # an empty text, and an empty list
    code = write(
        {
            "name": data.add(name[:15] + b"\0"),
            "fds": polled,
            "count": len(fds),
            "timeout": timeout,
            "program": program,
            "nothing": nothing,
            "argv": pointers,
            "second": second,
        }
    )
    assert len(code) <= _ROOM
    size = _HEADERS + _ROOM + len(data.bytes)
    entry = _BASE + _HEADERS
    elf = b"\x7fELF\2\1\1" + bytes(9) + struct.pack("=HHIQQQIHHHHHH", 2, number, 1, entry, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack("=IIQQQQQQ", 1, 7, 0, _BASE, _BASE, size, size, 0x1000)  # PT_LOAD; the kernel writes to fds
    return elf + segment + code.ljust(_ROOM, b"\0") + bytes(data.bytes)


class _Data:
    """Data behind the instructions, each piece at an address that is a multiple of 8."""

    __slots__ = ("_start", "bytes")

    def __init__(self, start: int) -> None:
        self._start = start
        self.bytes = bytearray()

    def add(self, piece: bytes) -> int:
        """Its address."""
        self.bytes += bytes(-len(self.bytes) % 8)
        place = self._start + len(self.bytes)
        self.bytes += piece
        return place


def _x86_64(at: dict[str, int]) -> bytes:
    """Arguments in edi, esi, edx, r10d, r8d, the call's number in eax; all addresses fit 32 bits."""

    def call(number: int, *arguments: int) -> bytes:
        load = (b"\xbf", b"\xbe", b"\xba", b"\x41\xba", b"\x41\xb8")  # mov edi, … r8d, imm32
        moves = [opcode + struct.pack("<I", value) for opcode, value in zip(load, arguments, strict=False)]
        return b"".join(moves) + b"\xb8" + struct.pack("<I", number) + b"\x0f\x05"  # mov eax, number; syscall

    name = call(157, 4, 0) + call(157, 15, at["name"])
    wait = call(271, at["fds"], at["count"], at["timeout"], 0, 8) + b"\x83\xf8\xfc"  # cmp eax, -EINTR
    wait += b"\x74" + struct.pack("<b", -len(wait) - 2)  # je wait
    run = call(322, at["program"], at["nothing"], at["argv"], at["nothing"], 0x1000)
    run += call(35, at["second"], 0)
    return name + wait + run + b"\xeb" + struct.pack("<b", -len(run) - 2)  # jmp run


def _aarch64(at: dict[str, int]) -> bytes:
    """Arguments in x0 … x4, the call's number in x8; every instruction is 4 bytes."""

    def move(register: int, value: int) -> bytes:
        low = 0xD2800000 | (value & 0xFFFF) << 5 | register  # movz x, #low
        high = 0xF2A00000 | (value >> 16) << 5 | register  # movk x, #high, lsl #16
        return struct.pack("<II", low, high)

    def call(number: int, *arguments: int) -> bytes:
        moves = [move(register, value) for register, value in enumerate(arguments)]
        return b"".join(moves) + move(8, number) + struct.pack("<I", 0xD4000001)  # svc #0

    name = call(167, 4, 0) + call(167, 15, at["name"])
    wait = call(73, at["fds"], at["count"], at["timeout"], 0, 8) + struct.pack("<I", 0x3100101F)  # cmn w0, #EINTR
    wait += struct.pack("<I", 0x54000000 | (-len(wait) // 4 & 0x7FFFF) << 5)  # b.eq wait
    run = call(281, at["program"], at["nothing"], at["argv"], at["nothing"], 0x1000) + call(101, at["second"], 0)
    return name + wait + run + struct.pack("<I", 0x14000000 | (-len(run) // 4 & 0x3FFFFFF))  # b run


_MACHINES = {"x86_64": (62, _x86_64), "aarch64": (183, _aarch64)}
"""EM_X86_64, EM_AARCH64."""
