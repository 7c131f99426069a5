"""A tar stream becomes files below a directory that may hold others, by descriptors.

docker's rules for what is in the way (pkg/archive with NoOverwriteDirNonDir): a directory joins one that is there and
gives it its attributes; a directory and something else never replace each other; anything else is replaced, a symlink
too, never followed. Each file is made under a name of its own and renamed into its place, so that nothing half-made and
no link of somebody who races can be there; what something is mounted on (a container's /etc/hosts) is written in place.
"""

from __future__ import annotations

import errno
import os
import stat

from engine.copying.gather import SEALED
from engine.copying.lookup import INSIDE
from engine.errors import Conflict, InvalidInput
from engine.kernel.paths import openat2
from engine.layers.names import owner, split_name
from engine.layers.tar import CHUNK, Archive, Member
from engine.layers.whiteouts import is_kept

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_SPECIAL = {"c": stat.S_IFCHR, "b": stat.S_IFBLK, "p": stat.S_IFIFO}
_PRIVILEGED = stat.S_ISUID | stat.S_ISGID


class Rules:
    """What of an archive is believed. owner: (uid, gid) of all that is made, None = as the archive says; trusted: also
    set-id bits, file capabilities and devices; root: (descriptor of a container's root, path of the directory in it),
    for archives whose parents lead through the container's symlinks."""

    __slots__ = ("owner", "root", "trusted")

    def __init__(self, owner: tuple[int, int] | None, trusted: bool, root: tuple[int, bytes] | None = None) -> None:
        self.owner = owner
        self.trusted = trusted
        self.root = root


def place(stream: BinaryIO, directory: int, rules: Rules, warn: Callable[[str], None]) -> int:
    """Put the members of an archive below an open directory, whose own attributes stay; returns the stream's length.

    warn: told of what was left out. InvalidInput: the archive is damaged or hostile; Conflict: something is in the way;
    OSError: the file system refused, with the member's name. What was placed before stays, as for docker.
    """
    placing = _Placing(Archive(stream), directory, rules, warn)
    try:
        return placing.run()
    finally:
        placing.close()


class _Placing:
    def __init__(self, archive: Archive, top: int, rules: Rules, warn: Callable[[str], None]) -> None:
        self.archive = archive
        self.top = top
        self.rules = rules
        self.warn = warn
        self.here: tuple[bytes, int] = (b"", os.dup(top))
        self.made: dict[bytes, Member] = {}
        self.files: set[bytes] = set()
        self.temporary = b".strata-cp-" + os.urandom(6).hex().encode()
        self.make = {"f": self._file, "h": self._hard_link, "l": self._symlink, "d": self._directory}

    def close(self) -> None:
        os.close(self.here[1])

    def run(self) -> int:
        for member in self.archive.members():
            try:
                parent, name = split_name(member.raw, "name")
                if name:
                    self.make.get(member.kind, self._special)(parent, name, member)
            except OSError as error:
                raise OSError(error.errno, f"{member.name}: {os.strerror(error.errno or 0)}") from error
        for path in sorted(self.made, reverse=True):  # what is in a directory comes before it
            self._finish(path, self.made[path])
        return self.archive.length

    # Where.

    def _parent(self, path: bytes) -> int:
        """The directory that a member belongs in, made as far as it is not there; good until the next call."""
        if self.here[0] != path:
            fd = self._open(path)
            os.close(self.here[1])
            self.here = (path, fd)
        return self.here[1]

    def _open(self, path: bytes) -> int:
        try:
            return openat2(self.top, path or b".", os.O_RDONLY | os.O_DIRECTORY, resolve=SEALED)
        except FileNotFoundError:
            self._make_parents(path)
        except OSError as error:
            if error.errno != errno.ELOOP or self.rules.root is None:
                raise
        if self.rules.root is None:
            return openat2(self.top, path, os.O_RDONLY | os.O_DIRECTORY, resolve=SEALED)
        return self._inside(path)

    def _make_parents(self, path: bytes) -> None:
        """Directories that the archive has only as parts of names."""
        parts = path.split(b"/")
        for end in range(1, len(parts) + 1):
            above = self._open(b"/".join(parts[: end - 1]))
            try:
                os.mkdir(parts[end - 1], 0o755, dir_fd=above)
                self._own(above, parts[end - 1], None)
            except FileExistsError:
                pass
            finally:
                os.close(above)

    def _inside(self, path: bytes) -> int:
        assert self.rules.root is not None
        root, base = self.rules.root
        return openat2(root, base.rstrip(b"/") + b"/" + path, os.O_RDONLY | os.O_DIRECTORY, resolve=INSIDE)

    # What.

    def _directory(self, parent: bytes, name: bytes, member: Member) -> None:
        here = self._parent(parent)
        try:
            os.mkdir(name, 0o700, dir_fd=here)
        except FileExistsError:
            if not stat.S_ISDIR(os.lstat(name, dir_fd=here).st_mode):
                raise Conflict(f'cannot overwrite non-directory "{member.name}" with directory') from None
        self.made[parent + b"/" + name if parent else name] = member

    def _file(self, parent: bytes, name: bytes, member: Member) -> None:
        here = self._parent(parent)
        fd = os.open(self.temporary, _NEW, 0o600, dir_fd=here)
        try:
            try:
                self._content(fd, member)
                self._describe(fd, member)
            finally:
                os.close(fd)
            self._rename(here, name, member)
        except BaseException:
            self._forget(here)
            raise
        self.files.add(parent + b"/" + name if parent else name)

    def _content(self, fd: int, member: Member) -> None:
        pieces = [(0, member.size)] if member.pieces is None else member.pieces
        for offset, length in pieces:
            os.lseek(fd, offset, os.SEEK_SET)
            while length:
                data = memoryview(self.archive.read(min(length, CHUNK)))
                length -= len(data)
                while data:
                    data = data[os.write(fd, data) :]
        os.ftruncate(fd, member.size)

    def _hard_link(self, parent: bytes, name: bytes, member: Member) -> None:
        above, target = split_name(member.raw_target, "link target")
        first = above + b"/" + target if above else target
        if first not in self.files:
            raise InvalidInput(f"{member.name}: a hard link to {member.target!r}, not in the archive so far")
        source = openat2(self.top, above or b".", os.O_PATH | os.O_DIRECTORY, resolve=SEALED)
        try:
            here = self._parent(parent)
            os.link(target, self.temporary, src_dir_fd=source, dst_dir_fd=here, follow_symlinks=False)
        finally:
            os.close(source)
        try:
            self._rename(here, name, member)
        finally:
            self._forget(here)  # rename(2) leaves both names of one file alone
        self.files.add(parent + b"/" + name if parent else name)

    def _symlink(self, parent: bytes, name: bytes, member: Member) -> None:
        here = self._parent(parent)
        os.symlink(member.raw_target, self.temporary, dir_fd=here)
        self._finish_special(here, name, member)

    def _special(self, parent: bytes, name: bytes, member: Member) -> None:
        if member.kind != "p" and not self.rules.trusted:
            self.warn(f"{member.name}: a device, left out (with --archive it is copied)")
            return
        here = self._parent(parent)
        os.mknod(self.temporary, 0o600 | _SPECIAL[member.kind], os.makedev(*member.rdev), dir_fd=here)
        self._finish_special(here, name, member)

    def _finish_special(self, here: int, name: bytes, member: Member) -> None:
        try:
            self._own(here, self.temporary, member)
            if member.kind != "l":
                os.chmod(self.temporary, member.mode & ~_PRIVILEGED, dir_fd=here)
            times = (member.mtime_ns, member.mtime_ns)
            os.utime(self.temporary, ns=times, dir_fd=here, follow_symlinks=False)
            self._rename(here, name, member)
        except BaseException:
            self._forget(here)
            raise

    def _rename(self, here: int, name: bytes, member: Member) -> None:
        """Give what was made its name."""
        try:
            os.rename(self.temporary, name, src_dir_fd=here, dst_dir_fd=here)
        except IsADirectoryError:
            raise Conflict(f'cannot overwrite directory "{member.name}" with non-directory') from None
        except OSError as error:
            if error.errno != errno.EBUSY or member.kind not in ("f", "h"):
                raise
            self._write_over(here, name)

    def _write_over(self, here: int, name: bytes) -> None:
        """Something is mounted on the file that is there: it gets the new content."""
        flags = os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        target = os.open(name, flags, dir_fd=here)
        try:
            if not stat.S_ISREG(os.fstat(target).st_mode):
                raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
            source = os.open(self.temporary, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
            try:
                os.ftruncate(target, 0)
                while data := os.read(source, CHUNK):
                    os.write(target, data)
            finally:
                os.close(source)
        finally:
            os.close(target)
        self._forget(here)

    def _forget(self, here: int) -> None:
        try:
            os.unlink(self.temporary, dir_fd=here)
        except FileNotFoundError:
            pass

    # How.

    def _owner(self, member: Member | None) -> tuple[int, int]:
        if self.rules.owner is not None:
            return self.rules.owner
        return (os.geteuid(), os.getegid()) if member is None else owner(member)

    def _own(self, here: int, name: bytes, member: Member | None) -> None:
        wanted = self._owner(member)
        found = os.lstat(name, dir_fd=here)
        if (found.st_uid, found.st_gid) != wanted:
            os.chown(name, *wanted, dir_fd=here, follow_symlinks=False)

    def _describe(self, fd: int, member: Member) -> None:
        """Owner, mode, attributes and time of a file or directory."""
        wanted = self._owner(member)
        found = os.fstat(fd)
        if (found.st_uid, found.st_gid) != wanted:
            os.fchown(fd, *wanted)
        os.fchmod(fd, member.mode if self.rules.trusted or member.kind == "d" else member.mode & ~_PRIVILEGED)
        for attribute, value in member.xattrs:
            if is_kept(attribute) and (self.rules.trusted or attribute.startswith("user.")):
                try:
                    os.setxattr(fd, attribute, value)
                except OSError as error:
                    if error.errno not in (errno.ENOTSUP, errno.EPERM):
                        raise
                    self.warn(f"{member.name}: the attribute {attribute} cannot be kept here")
        os.utime(fd, ns=(member.mtime_ns, member.mtime_ns))

    def _finish(self, path: bytes, member: Member) -> None:
        try:
            fd = openat2(self.top, path, os.O_RDONLY | os.O_DIRECTORY, resolve=SEALED)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                return  # somebody has taken it away since
            raise
        try:
            self._describe(fd, member)
        finally:
            os.close(fd)
