"""One step, as the trace and an error show it: arguments, flag words by name, descriptors with their paths.

Light, and without the C library: commands that make no system call of our own load this alone.
"""

from __future__ import annotations

import os

from engine import trace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import NoReturn

AT_FDCWD = -100


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
