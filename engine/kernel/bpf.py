"""bpf(2), as far as control groups need it: load a program, attach it to a v2 group.

Light: the monitor loads this. Sources: bpf(2), include/uapi/linux/bpf.h.
"""

from __future__ import annotations

import os
import struct

from engine.kernel import clib as ctypes
from engine.kernel.syscalls import Descriptor, call

BPF_PROG_LOAD = 5
BPF_PROG_ATTACH = 8
BPF_PROG_TYPE_CGROUP_DEVICE = 15
BPF_CGROUP_DEVICE = 6
BPF_F_ALLOW_MULTI = 2

_BPF = {"x86_64": 321, "aarch64": 280}.get(os.uname().machine, -1)
_LICENSE = b"Apache-2.0"


def load(kind: int, instructions: bytes) -> int:
    """BPF_PROG_LOAD: a descriptor of a program that the kernel has verified. kind: BPF_PROG_TYPE_*.

    instructions: eight bytes each. The program lives while it is open or attached.
    """
    code = ctypes.create_string_buffer(instructions, len(instructions))
    terms = ctypes.create_string_buffer(_LICENSE)
    pointers = ctypes.addressof(code), ctypes.addressof(terms)
    attr = struct.pack("=IIQQ24x", kind, len(instructions) // 8, *pointers)
    show = ("BPF_PROG_LOAD", kind, f"{len(instructions) // 8} instructions")
    return call("bpf", _BPF, BPF_PROG_LOAD, ctypes.c_char_p(attr), len(attr), show=show)


def attach(target_fd: int, program_fd: int, point: int, flags: int = 0) -> None:
    """BPF_PROG_ATTACH: let a program decide for a v2 group, by its directory's descriptor (not an O_PATH one)."""
    attr = struct.pack("=IIII", target_fd, program_fd, point, flags)
    show = ("BPF_PROG_ATTACH", Descriptor(target_fd), program_fd, point, flags)
    call("bpf", _BPF, BPF_PROG_ATTACH, ctypes.c_char_p(attr), len(attr), show=show)
