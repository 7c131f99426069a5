"""Extended attributes of a file named by directory descriptor and name, never following a link.

The kernel's own …xattrat(2) calls came with Linux 6.13; `/proc/self/fd/<dirfd>/<name>` with the l…xattr(2)
calls does the same: the magic link leads to the directory, and the last name is not followed. An empty name
means the descriptor's own file, O_PATH descriptors included.
"""

from __future__ import annotations

import os
import time

from engine import trace
from engine.kernel.syscalls import Descriptor, fail, record

TYPE_CHECKING = False
if TYPE_CHECKING:
    import builtins
    from collections.abc import Callable
    from typing import TypeVar

    Result = TypeVar("Result")
    Names = builtins.list[str]


def list(dirfd: int, name: str | bytes) -> Names:
    """The names of a file's attributes, in the kernel's order; those that are not UTF-8 with surrogate escapes."""
    return _do("llistxattr", dirfd, name, (), lambda path, follow: os.listxattr(path, follow_symlinks=follow))


def get(dirfd: int, name: str | bytes, attribute: str | bytes) -> bytes:
    """An attribute's value; OSError ENODATA when the file has none of this name."""

    def act(path: bytes, follow: bool) -> bytes:
        return os.getxattr(path, attribute, follow_symlinks=follow)

    return _do("lgetxattr", dirfd, name, (attribute,), act)


def set(dirfd: int, name: str | bytes, attribute: str | bytes, value: bytes) -> None:
    """Make an attribute, or give it another value."""

    def act(path: bytes, follow: bool) -> None:
        os.setxattr(path, attribute, value, follow_symlinks=follow)

    _do("lsetxattr", dirfd, name, (attribute, value), act)


def remove(dirfd: int, name: str | bytes, attribute: str | bytes) -> None:
    """Remove an attribute; OSError ENODATA when there is none of this name."""

    def act(path: bytes, follow: bool) -> None:
        os.removexattr(path, attribute, follow_symlinks=follow)

    _do("lremovexattr", dirfd, name, (attribute,), act)


def _do(
    call: str,
    dirfd: int,
    name: str | bytes,
    more: tuple[str | bytes, ...],
    act: Callable[[bytes, bool], Result],
) -> Result:
    """Act on a file by the path that leads to it and whether its last part is to be followed; traced."""
    path = b"/proc/self/fd/%d" % dirfd + (b"/" + os.fsencode(name) if name else b"")
    show = (Descriptor(dirfd), name, *more)
    start = time.monotonic_ns()
    try:
        result = act(path, not name)
    except OSError as error:
        record(call, show, -1, error.errno or 0, start)
        fail(call, show, error.errno or 0)
    if trace.active():
        record(call, show, "" if result is None else result, 0, start)
    return result
