"""Reading, writing, making and removing in a cgroup tree: traced, errors with the path and what was written.

Light: the monitor and init load this.
"""

from __future__ import annotations

import os
import time

from engine.kernel.steps import fail, quote, record


def opened(path: str, flags: int = os.O_RDONLY) -> int:
    """Open an interface file, close-on-exec; FileNotFoundError when the group or its controller is not there."""
    try:
        return os.open(path, flags | os.O_CLOEXEC)
    except OSError as error:
        fail("open", (path, "O_WRONLY" if flags & os.O_WRONLY else "O_RDONLY"), error.errno or 0)


def read(path: str) -> str:
    """The text of an interface file."""
    fd = opened(path)
    try:
        parts = []
        while part := os.read(fd, 65536):
            parts.append(part)
        return b"".join(parts).decode("ascii", "replace")
    except OSError as error:
        fail("read", (path,), error.errno or 0)
    finally:
        os.close(fd)


def fields(path: str) -> dict[str, int]:
    """A file of `name number` lines (memory.stat, cgroup.events …) as a dict."""
    pairs = (line.split(maxsplit=1) for line in read(path).splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


def write(path: str, value: str) -> None:
    """Write one value to an interface file, in one write(2) as the kernel wants it."""
    start = time.monotonic_ns()
    fd = opened(path, os.O_WRONLY)
    try:
        write_to(fd, path, value, start)
    finally:
        os.close(fd)


def write_to(fd: int, path: str, value: str, start: int = 0) -> None:
    """Write one value to an interface file that is open. path: for the trace and errors."""
    start = start or time.monotonic_ns()
    try:
        os.write(fd, value.encode())
    except OSError as error:
        record("write", (path, value), -1, error.errno or 0, start)
        fail("write", (path, value), error.errno or 0)
    record("write", (path, value), len(value), 0, start, lambda: f"echo {quote(value)} > {quote(path)}")


def make(path: str) -> bool:
    """Make a group's directory; False when it is there already. FileNotFoundError when its parent is not."""
    start = time.monotonic_ns()
    try:
        os.mkdir(path, 0o755)
    except FileExistsError:
        return False
    except OSError as error:
        record("mkdir", (path,), -1, error.errno or 0, start)
        fail("mkdir", (path,), error.errno or 0)
    record("mkdir", (path,), 0, 0, start, lambda: f"mkdir {quote(path)}")
    return True


def remove(path: str) -> None:
    """Remove a group's directory; OSError EBUSY while it holds processes or groups."""
    start = time.monotonic_ns()
    try:
        os.rmdir(path)
    except OSError as error:
        record("rmdir", (path,), -1, error.errno or 0, start)
        fail("rmdir", (path,), error.errno or 0)
    record("rmdir", (path,), 0, 0, start, lambda: f"rmdir {quote(path)}")


def below(path: str) -> list[str]:
    """The directories of the groups inside a group, deepest first; empty when the group is gone."""
    found: list[str] = []
    todo = [path]
    while todo:
        directory = todo.pop()
        try:
            with os.scandir(directory) as entries:
                inside = [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
        except FileNotFoundError:
            continue
        found += inside
        todo += inside
    return sorted(found, key=len, reverse=True)
