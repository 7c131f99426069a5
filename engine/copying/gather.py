"""Files and directories as a tar stream, read by descriptors: no symlink is followed, nothing but files is opened.

What is opened was looked at before by an O_PATH descriptor, so that no FIFO waits for us and no device notices us.
What vanishes or changes its kind meanwhile is left out, a file that shrinks is filled with zeros: what a container does
to its files while they are read cannot hurt the stream. Sockets are left out: tar has no form for them.
"""

from __future__ import annotations

import errno
import os
import stat

from engine.errors import InvalidInput
from engine.kernel import xattrs
from engine.kernel.paths import RESOLVE_BENEATH, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, openat2
from engine.layers import sparse
from engine.layers.tar_out import END, FLAGS, header, padding
from engine.layers.whiteouts import is_kept

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.layers.sink import Sink

SEALED = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS
MAX_PATH = 4095  # PATH_MAX without its NUL: no process could name a longer one

_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EXDEV)
_KINDS = {
    stat.S_IFREG: "f",
    stat.S_IFDIR: "d",
    stat.S_IFLNK: "l",
    stat.S_IFCHR: "c",
    stat.S_IFBLK: "b",
    stat.S_IFIFO: "p",
}


def gather(fd: int, name: bytes, sink: Sink) -> None:
    """Write what a descriptor (O_PATH) stands for, with all below it, as `name` ("." for the content of a directory).

    OSError as the file system or the sink raises it; InvalidInput for a path that no process could name.
    """
    gathering = _Gathering(sink)
    if stat.S_ISDIR(os.fstat(fd).st_mode):
        gathering.tree(fd, name)
    else:
        gathering.entry(fd, name)
    sink.write(END)
    sink.flush()


class _Gathering:
    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.links: dict[tuple[int, int], bytes] = {}

    def tree(self, top: int, name: bytes) -> None:
        ahead = [b""]
        while ahead:
            path = ahead.pop()
            try:
                fd = openat2(top, path or b".", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, resolve=SEALED)
            except OSError as error:
                if path and error.errno in _GONE:
                    continue
                raise
            try:
                self._member(fd, os.fstat(fd), name + b"/" + path if path else name, "d")
                inside = self._directory(fd, name + b"/", path + b"/" if path else b"")
            finally:
                os.close(fd)
            ahead.extend(reversed(inside))

    def _directory(self, fd: int, top: bytes, prefix: bytes) -> list[bytes]:
        """Write what is in a directory; returns the paths of the directories in it."""
        with os.scandir(fd) as found:
            names = sorted(os.fsencode(item.name) for item in found)
        inside = []
        for name in names:
            if len(top) + len(prefix) + len(name) > MAX_PATH:
                raise InvalidInput(f"a path longer than {MAX_PATH} bytes: /{os.fsdecode(prefix[:200])}…")
            try:
                entry = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
            except FileNotFoundError:
                continue
            try:
                if stat.S_ISDIR(os.fstat(entry).st_mode):
                    inside.append(prefix + name)
                else:
                    self.entry(entry, top + prefix + name)
            finally:
                os.close(entry)
        return inside

    def entry(self, fd: int, member: bytes) -> None:
        """Write one thing that is no directory. fd: O_PATH."""
        found = os.fstat(fd)
        kind = _KINDS.get(stat.S_IFMT(found.st_mode))
        if kind is None:
            return
        if found.st_nlink > 1 and kind != "l":
            first = self.links.setdefault((found.st_dev, found.st_ino), member)
            if first != member:
                self._member(fd, found, member, "h", first)
                return
        if kind != "f":
            self._member(fd, found, member, kind, os.readlink(b"", dir_fd=fd) if kind == "l" else b"")
            return
        data = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        try:
            self._file(data, found, member)
        finally:
            os.close(data)

    def _file(self, fd: int, found: os.stat_result, member: bytes) -> None:
        size = found.st_size
        pieces = sparse.of_file(fd, size) if found.st_blocks * 512 < size else None
        if pieces is None:
            self._member(fd, found, member, "f", size=size)
            self._copy(fd, 0, size)
            stored = size
        else:
            table = sparse.dump_1([*pieces, (size, 0)])  # GNU tar marks the end so
            stored = len(table) + sum(length for _, length in pieces)
            self._member(fd, found, member, "f", size=stored, real_size=size)
            self.sink.write(table)
            for offset, length in pieces:
                self._copy(fd, offset, length)
        self.sink.write(padding(stored))

    def _copy(self, fd: int, offset: int, length: int) -> None:
        missing = length - self.sink.copy(fd, offset, length) if length else 0
        while missing:
            self.sink.write(bytes(min(missing, 1 << 20)))
            missing -= min(missing, 1 << 20)

    def _member(
        self,
        fd: int,
        found: os.stat_result,
        member: bytes,
        kind: str,
        link: bytes = b"",
        *,
        size: int = 0,
        real_size: int = -1,
    ) -> None:
        rdev = (os.major(found.st_rdev), os.minor(found.st_rdev)) if kind in ("b", "c") else (0, 0)
        mode, flag = stat.S_IMODE(found.st_mode), b"1" if kind == "h" else FLAGS[kind]
        kept = self._attributes(fd) if kind in ("f", "d") else ()
        name = member + b"/" if kind == "d" else member
        facts = (name, flag, mode, found.st_uid, found.st_gid, size, found.st_mtime_ns, link, rdev)
        try:
            data = header(*facts, kept, real_size)
        except InvalidInput:  # an attribute that no pax record can hold
            data = header(*facts, [one for one in kept if "=" not in one[0]], real_size)
        self.sink.write(data)

    def _attributes(self, fd: int) -> list[tuple[str, bytes]]:
        kept = []
        try:
            for name in sorted(filter(is_kept, xattrs.list(fd, ""))):
                kept.append((name, xattrs.get(fd, "", name)))
        except OSError as error:
            if error.errno not in (errno.ENODATA, errno.ENOTSUP):
                raise
        return kept
