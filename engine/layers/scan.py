"""The entries of a layer's directory as it is on disk now, read by descriptors: of a read-write layer, at any moment.

What vanishes while we look was removed by the container, and is left out.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from dataclasses import replace

from engine.errors import InvalidInput
from engine.kernel.paths import RESOLVE_BENEATH, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, openat2
from engine.layers import whiteouts
from engine.layers.entry import Entries, Entry, decode, encode, tree_key

MAX_PATH = 4095  # PATH_MAX without its NUL
CHUNK = 1 << 20

_SEALED = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS
_KINDS = {
    stat.S_IFREG: "f",
    stat.S_IFDIR: "d",
    stat.S_IFLNK: "l",
    stat.S_IFCHR: "c",
    stat.S_IFBLK: "b",
    stat.S_IFIFO: "p",
    stat.S_IFSOCK: "s",
}


def scan(diff_path: str | bytes | int, *, digests: bool = False, userxattr: bool | None = None) -> Entries:
    """The entries of the layer directory (path or descriptor), in tree order, the root first.

    digests: read every file and say its content's digest. userxattr: the layer is of an overlay mounted with
    `userxattr`, whose marks are `user.overlay.*`; they are not believed otherwise, as anybody may set them. None: as
    this process mounts them.
    InvalidInput for a path longer than PATH_MAX, which a container can make, and no process can name.
    """
    fd = os.dup(diff_path) if isinstance(diff_path, int) else open_root(diff_path)
    try:
        marks = whiteouts.marks() if userxattr is None else whiteouts.USER if userxattr else whiteouts.TRUSTED
        return _Scan(fd, digests, marks).run()
    finally:
        os.close(fd)


def open_root(diff_path: str | bytes) -> int:
    """A descriptor of a layer's directory."""
    return os.open(diff_path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)


def open_below(root_fd: int, path: bytes, flags: int) -> int:
    """Open a path of a layer, below its directory's descriptor and over no symlink; b"" is the directory itself."""
    return openat2(root_fd, path or b".", flags | os.O_NOFOLLOW | os.O_NONBLOCK, resolve=_SEALED)


def content_digest(diff_path: str | bytes | int, path: str) -> str:
    """The digest of a file of a layer now, 64 hex digits. OSError when it is gone; ValueError when it is no file."""
    root = os.dup(diff_path) if isinstance(diff_path, int) else open_root(diff_path)
    try:
        fd = open_below(root, encode(path), os.O_RDONLY)
    finally:
        os.close(root)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise ValueError(f"not a regular file: {path}")
        sha = hashlib.sha256()
        while chunk := os.read(fd, CHUNK):
            sha.update(chunk)
        return sha.hexdigest()
    finally:
        os.close(fd)


class _Scan:
    """One walk over a layer's directory."""

    def __init__(self, root_fd: int, digests: bool, marks: str) -> None:
        self.root_fd = root_fd
        self.digests = digests
        self.opaque = marks + "opaque"
        self.whiteout = marks + "whiteout"
        self.found: list[Entry] = []
        self.links: dict[tuple[int, int], list[int]] = {}

    def run(self) -> Entries:
        root = os.fstat(self.root_fd)
        self._add("", root, b"/proc/self/fd/%d/." % self.root_fd)
        ahead = [b""]
        while ahead:
            path = ahead.pop()
            try:
                fd = open_below(self.root_fd, path, os.O_RDONLY | os.O_DIRECTORY)
            except OSError as error:
                if path and error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                    continue
                raise
            try:
                ahead.extend(self._directory(fd, path))
            finally:
                os.close(fd)
        return self._sorted()

    def _directory(self, fd: int, path: bytes) -> list[bytes]:
        """Add what is in a directory; returns the paths of the directories in it."""
        prefix = path + b"/" if path else b""
        # bytes names: what os.scandir makes of a descriptor's names depends on the locale's encoding being UTF-8.
        here = b"/proc/self/fd/%d/" % fd
        inside = []
        with os.scandir(fd) as names:
            for item in names:
                name = os.fsencode(item.name)
                try:
                    found = item.stat(follow_symlinks=False)
                    self._add(decode(prefix + name), found, here + name)
                except FileNotFoundError:
                    continue
                if stat.S_ISDIR(found.st_mode):
                    if len(prefix) + len(name) > MAX_PATH:
                        raise InvalidInput(f"a path longer than {MAX_PATH} bytes: /{decode(prefix[:200])}…")
                    inside.append(prefix + name)
        return inside

    def _add(self, path: str, found: os.stat_result, place: bytes) -> None:
        """Add one entry. place: a path to it through /proc/self/fd that follows no link."""
        kind = _KINDS[stat.S_IFMT(found.st_mode)]
        mtime_ns = found.st_mtime_ns
        if kind == "c" and found.st_rdev == 0:
            self.found.append(Entry(path, "w", 0, mtime_ns=mtime_ns))
            return
        xattrs: tuple[tuple[str, bytes], ...] = ()
        opaque = False
        names = os.listxattr(place, follow_symlinks=False)
        if names:
            if kind == "f" and self.whiteout in names:
                self.found.append(Entry(path, "w", 0, mtime_ns=mtime_ns))
                return
            opaque = kind == "d" and self.opaque in names and _get(place, self.opaque) == b"y"
            kept = [(name, _get(place, name)) for name in names if whiteouts.is_kept(name)]
            xattrs = tuple(sorted((name, value) for name, value in kept if value is not None))
        if kind != "d" and found.st_nlink > 1:
            self.links.setdefault((found.st_dev, found.st_ino), []).append(len(self.found))
        self.found.append(
            Entry(
                path,
                kind,
                stat.S_IMODE(found.st_mode),
                found.st_uid,
                found.st_gid,
                found.st_size if kind == "f" else 0,
                mtime_ns,
                decode(os.readlink(place)) if kind == "l" else "",
                (os.major(found.st_rdev), os.minor(found.st_rdev)) if kind in ("b", "c") else (0, 0),
                xattrs,
                content_digest(self.root_fd, path) if kind == "f" and self.digests else "",
                "",
                opaque,
            )
        )

    def _sorted(self) -> Entries:
        """In tree order, each hard link saying which comes first."""
        first: dict[str, str] = {}
        for numbers in self.links.values():
            group = sorted((self.found[number] for number in numbers), key=tree_key)
            first.update((entry.path, group[0].path) for entry in group[1:])
        self.found.sort(key=tree_key)
        if first:
            return Entries(replace(one, link=first[one.path]) if one.path in first else one for one in self.found)
        return Entries(self.found)


def _get(place: bytes, name: str) -> bytes | None:
    try:
        return os.getxattr(place, name, follow_symlinks=False)
    except OSError as error:
        if error.errno == errno.ENODATA:  # removed meanwhile
            return None
        raise
