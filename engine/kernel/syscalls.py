"""The C library through ctypes, and `call`: one system call, traced, its failure an OSError with call and arguments.

Light: the launcher, the monitor and init load this. Nothing here retries, locks or decides.
"""

from __future__ import annotations

import os
import time

from engine import trace
from engine.kernel import clib as ctypes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import NoReturn

LIBC = ctypes.CDLL(None)
"""The C library of this process. Its functions release the interpreter's lock while they run."""

AT_FDCWD = -100
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


def record(
    name: str, args: Sequence[object], result: object, errno: int, start: int, shell: str | Callable[[], str] = ""
) -> None:
    """Trace one finished step, if a trace is open. start: `time.monotonic_ns()` before it."""
    if trace.active():
        trace.record(
            name, [shown(arg) for arg in args], result, errno, start, shell if isinstance(shell, str) else shell()
        )


def fail(name: str, args: Sequence[object], errno: int, note: str = "") -> NoReturn:
    """Raise the OSError subclass of this errno for a call with these arguments; note: what else the kernel said."""
    raise OSError(errno, f"{name}({', '.join(shown(arg) for arg in args)}): {os.strerror(errno)}" + note)


def shown(value: object) -> str:
    """One argument as an error or the trace prints it: '' for an empty text, bytes decoded, a pointer as null."""
    if value is None:
        return "null"
    return trace.text(value) or "''"


# Made once for the names of a module (its `globals()`, by identity) and a prefix.
_TABLES: dict[tuple[int, str | tuple[str, ...]], list[tuple[int, str]]] = {}
_PLAIN = {ord(char): None for char in "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+=:,./-_"}
"""Characters that no shell gives a meaning, as `str.translate` deletes them."""


class Bits:
    """A flag word, shown as the names of its bits: `MS_NOSUID|MS_NODEV`, and what has no name in hexadecimal.

    prefix, names: the table is those names in `names` (a module's `globals()`, which must not change any more) that
    start with `prefix`, or with one of several.
    """

    __slots__ = ("names", "prefix", "value")

    def __init__(self, value: int, prefix: str | tuple[str, ...], names: Mapping[str, object]) -> None:
        self.value = value
        self.prefix = prefix
        self.names = names

    def __repr__(self) -> str:
        rest, found = self.value, []
        key = id(self.names), self.prefix
        if key not in _TABLES:
            table = [(bit, name) for name, bit in self.names.items() if name.startswith(self.prefix)]
            _TABLES[key] = sorted(((bit, name) for bit, name in table if type(bit) is int), reverse=True)
        for bit, name in _TABLES[key]:
            if bit and rest & bit == bit:
                rest &= ~bit
                found.append(name)
        if rest:
            found.insert(0, hex(rest))
        return "|".join(reversed(found)) or "0"


class Descriptor:
    """A directory or file descriptor among the arguments, shown with its path as strace -y does: `7</etc/hosts>`."""

    __slots__ = ("fd",)

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def __repr__(self) -> str:
        if self.fd == AT_FDCWD:
            return "AT_FDCWD"
        path = descriptor_path(self.fd)
        return f"{self.fd}<{path}>" if path.startswith("/") else str(self.fd)


def quote(value: str | bytes) -> str:
    """A word quoted for a POSIX shell when it needs it (shlex would import re)."""
    word = os.fsdecode(value)
    if word and not word.translate(_PLAIN):
        return word
    return "'" + word.replace("'", "'\"'\"'") + "'"


def descriptor_path(descriptor: int, name: str | bytes = "") -> str:
    """Where a descriptor (or AT_FDCWD) and a name under it lead, for people: a path, or `fd:7` when unknowable."""
    below = os.fsdecode(name)
    if descriptor == AT_FDCWD or below.startswith("/"):
        return below or "."
    try:
        base = os.readlink(f"/proc/self/fd/{descriptor}")
    except OSError:
        base = f"fd:{descriptor}"
    return base.rstrip("/") + "/" + below if below else base
