"""A container's paths, resolved by the kernel inside its root: no symlink leads out, whoever swaps what meanwhile."""

from __future__ import annotations

import errno
import os
import stat

from engine.errors import InvalidInput
from engine.kernel.paths import RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, openat2

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

INSIDE = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS
LINKS = 40  # followed at the end of one path, as the kernel's own limit
MISSING = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EXDEV)


def split(path: bytes) -> tuple[bytes, bytes, bool]:
    """A path as (parent, last part, whether it can only be a directory: it ends with "/" or "/.").

    The last part is b"" for the root, and for what ends with `..`, whose parent is then the whole.
    """
    parts = [part for part in path.split(b"/") if part not in (b"", b".")]
    closed = path.endswith((b"/", b"/.")) or path in (b"", b".")
    if not parts or parts[-1] == b"..":
        return b"/" + b"/".join(parts), b"", True
    return b"/" + b"/".join(parts[:-1]), parts[-1], closed


def open_directory(root: int, path: bytes) -> int:
    """A directory of the container, links followed. OSError ENOENT, ENOTDIR, ELOOP."""
    return openat2(root, path, os.O_RDONLY | os.O_DIRECTORY, resolve=INSIDE)


def find(root: int, path: bytes, *, follow: bool) -> int:
    """An O_PATH descriptor of what is at a path: a symlink itself unless `follow`, or the path says "directory"."""
    parent, name, closed = split(path)
    flags = os.O_PATH | (os.O_DIRECTORY if closed else 0) | (0 if follow or closed else os.O_NOFOLLOW)
    return openat2(root, parent.rstrip(b"/") + b"/" + name, flags, resolve=INSIDE)


def look(root: int, path: bytes, *, follow: bool) -> dict[str, Any] | None:
    """What is at a path: kind (as in `entry`), name and size; None when there is nothing. OSError ENOTDIR for a file
    whose path says "directory"."""
    try:
        fd = find(root, path, follow=follow)
    except OSError as error:
        if error.errno == errno.ENOTDIR and _is_file(root, path):
            raise OSError(errno.ENOTDIR, "not a directory") from None
        if error.errno in MISSING:
            return None
        raise
    try:
        found = os.fstat(fd)
    finally:
        os.close(fd)
    return {"directory": stat.S_ISDIR(found.st_mode), "name": split(path)[1], "size": found.st_size}


def _is_file(root: int, path: bytes) -> bool:
    try:
        fd = openat2(root, path.rstrip(b"/."), os.O_PATH, resolve=INSIDE)
    except OSError:
        return False
    os.close(fd)
    return True


def destination(root: int, path: bytes) -> dict[str, Any]:
    """Where something copied to a path would go: {"parent": its directory's path or None when there is none such,
    "name", "exists", "directory"}. Symlinks at the end are followed, the way a write would go."""
    parent, name, closed = split(path)
    for _ in range(LINKS):
        try:
            where = open_directory(root, parent)
        except OSError as error:
            if error.errno in MISSING:
                return {"parent": None, "name": name, "exists": False, "directory": False}
            raise
        try:
            if not name:
                return {"parent": parent, "name": b"", "exists": True, "directory": True}
            try:
                mode = os.lstat(name, dir_fd=where).st_mode
                link = os.readlink(name, dir_fd=where) if stat.S_ISLNK(mode) else b""
            except FileNotFoundError:
                return {"parent": parent, "name": name, "exists": False, "directory": False, "closed": closed}
        finally:
            os.close(where)
        if not link:
            kind = stat.S_ISDIR(mode)
            return {"parent": parent, "name": name, "exists": True, "directory": kind, "closed": closed}
        parent, name, more = split(link if link.startswith(b"/") else parent.rstrip(b"/") + b"/" + link)
        closed = closed or more
    raise InvalidInput(f"{os.fsdecode(path)}: too many symbolic links")
