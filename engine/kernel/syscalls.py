"""The C library through ctypes, and `call`: one system call, traced, its failure an OSError with call and arguments.

Light: the launcher, the monitor and init load this. Nothing here retries, locks or decides.
"""

from __future__ import annotations

import os
import time

from engine import trace
from engine.kernel import clib as ctypes
from engine.kernel.steps import AT_FDCWD, Bits, Descriptor, descriptor_path, fail, quote, record, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = [
    "AT_EMPTY_PATH",
    "AT_FDCWD",
    "AT_RECURSIVE",
    "AT_SYMLINK_NOFOLLOW",
    "LIBC",
    "Bits",
    "Descriptor",
    "call",
    "descriptor_path",
    "fail",
    "quote",
    "record",
    "shown",
]

LIBC = ctypes.CDLL(None)
"""The C library of this process. Its functions release the interpreter's lock while they run."""

AT_EMPTY_PATH = 0x1000
AT_SYMLINK_NOFOLLOW = 0x100
AT_RECURSIVE = 0x8000

_syscall = LIBC.syscall
_syscall.restype = ctypes.c_long


def call(
    name: str,
    function: int | Callable[..., int],
    *args: object,
    show: Sequence[object] | None = None,
    shell: str | Callable[[], str] = "",
) -> int:
    """Make one system call and return its result, which is never negative.

    name: what the trace and an error call it.
    function: a system call number, or a function of `LIBC` that returns -1 and sets errno on failure.
    args: ints, None (a null pointer), bytes, str (as `os.fsencode` makes it) or ctypes values.
    show: the arguments as the trace and an error show them, if not as they are; see `Bits`.
    shell: a command with the same effect, or a function making it that runs only while a trace is open.

    Raises the OSError subclass of the errno, with text like `mount(proc, /x, proc, MS_NOSUID, ''): Device busy`.
    """
    passed = [_passed(arg) for arg in args]
    ctypes.set_errno(0)
    start = time.monotonic_ns()
    result: int = _syscall(ctypes.c_long(function), *passed) if isinstance(function, int) else function(*passed)
    errno = ctypes.get_errno() if result < 0 else 0
    if trace.active():
        record(name, args if show is None else show, result, errno, start, shell)
    if errno:
        fail(name, args if show is None else show, errno)
    return result


def _passed(arg: object) -> object:
    """An argument in the form ctypes hands over whole: a bare int would be cut to 32 bits."""
    if isinstance(arg, int):
        return ctypes.c_long(arg)
    if isinstance(arg, str):
        arg = os.fsencode(arg)
    if isinstance(arg, bytes):
        if 0 in arg:
            raise ValueError(f"a NUL byte inside a name given to the kernel: {arg!r}")
        return ctypes.c_char_p(arg)
    return arg
