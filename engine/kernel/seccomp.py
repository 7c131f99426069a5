"""Seccomp: the filter that decides on every later system call of this process and its children.

Light: init and the monitor load this. Sources: seccomp(2), Documentation/userspace-api/seccomp_filter.rst.
"""

from __future__ import annotations

import os
import struct

from engine.kernel import clib as ctypes
from engine.kernel.syscalls import call

SECCOMP_SET_MODE_FILTER = 1
SECCOMP_FILTER_FLAG_LOG = 2
SECCOMP_FILTER_FLAG_SPEC_ALLOW = 4

_SECCOMP = {"x86_64": 317, "aarch64": 277}.get(os.uname().machine, -1)


def install(program: bytes, flags: int = 0) -> None:
    """Put this process under a filter, for good. program: an array of struct sock_filter; flags: SECCOMP_FILTER_FLAG_*.

    Needs CAP_SYS_ADMIN or no_new_privs. OSError: EACCES without either, EINVAL for a program the kernel does not take.
    """
    code = ctypes.create_string_buffer(program, len(program))
    # struct sock_fprog
    where = ctypes.create_string_buffer(struct.pack("=H6xQ", len(program) // 8, ctypes.addressof(code)), 16)
    show = ("SECCOMP_SET_MODE_FILTER", flags, f"{len(program) // 8} instructions")
    call("seccomp", _SECCOMP, SECCOMP_SET_MODE_FILTER, flags, where, show=show)
