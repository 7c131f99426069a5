"""An archive becomes a layer's directory, by directory descriptors, its whiteouts in the kernel's form.

What an archive may say and what becomes of it (tests/faults/test_archives_*.py):
- a name with `..` is refused; an absolute one starts at the layer's root; symlinks on its way: see `tree`;
- a later member replaces an earlier one of the same name, but a directory keeps what is in it; hard links to the
  replaced one keep it; a directory may come after what is in it; parents that never come are root's, 0755, with the
  time of the member that needed them;
- a whiteout or opaque marker speaks of the layers below, before or after the layer's own entries: a whiteout of a
  directory that the archive has makes it opaque, of anything else it is already said, and so it is in an opaque one;
- a character device 0:0 is refused: it would be a whiteout; of extended attributes only those of `whiteouts.is_kept`
  are taken, silently, because honest archives carry others;
- names of aufs (`.wh..wh.plnk` …) are skipped; owner, mode and times of a hard link are those of its file;
- in a user namespace nobody makes devices or sets `trusted.*`: they are entries all the same, and the archive keeps
  them, but they are not on the disk, as in rootless docker; where one number alone is mapped, so are other owners.
Names, owners, sizes, numbers of entries are checked against limits; what is wrong raises InvalidInput, and the caller
removes its staging directory with whatever is in it.
"""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from errno import EINVAL, EPERM
from typing import TYPE_CHECKING

from engine.errors import InvalidInput
from engine.kernel import xattrs
from engine.kernel.proc import mapped
from engine.layers import sparse, whiteouts
from engine.layers.entry import Entries
from engine.layers.names import is_aufs, owner, split_name
from engine.layers.tar import CHUNK, Archive, Member
from engine.layers.tree import MAX_PATH, Directory, Inode, Tree, check_name

if TYPE_CHECKING:
    from typing import BinaryIO

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_DEVICES = {"c": stat.S_IFCHR, "b": stat.S_IFBLK, "p": stat.S_IFIFO}


@dataclass(frozen=True, slots=True)
class Limits:
    """What an archive may ask for in all.

    entries: names, directories that it implies too. paths: bytes of their paths (through a symlink to a deep directory
    a short name stands for a long path). size: bytes of files with their holes. xattrs: bytes of attributes. trailer:
    bytes after the end marker. The first, second and fourth bound the memory that unpacking takes, to some gigabytes.
    """

    entries: int = 2_000_000
    paths: int = 1 << 29
    size: int = 1 << 43
    xattrs: int = 1 << 28
    trailer: int = 64 << 20


@dataclass(frozen=True, slots=True)
class Unpacked:
    """What an archive became. entries: in tree order, the root first. size: bytes of regular files, hard links counted
    once. diff_id: `sha256:` and the digest of the archive, to the last byte of the stream; length: its bytes.
    root_listed: whether the archive says itself what the root directory is like."""

    entries: Entries
    size: int
    diff_id: str
    entry_count: int
    length: int
    root_listed: bool


def unpack(stream: BinaryIO, layer: int | str | bytes, *, limits: Limits | None = None) -> Unpacked:
    """Unpack a plain tar stream into the empty directory `layer` (path or descriptor), the whole stream read.

    The directory keeps its own mode, owner and time as the layer's root unless the archive has an entry for it.
    InvalidInput: the archive is damaged, cut off, hostile or past the limits (default: `Limits()`). OSError: the file
    system refused (full, no such attribute …), with the archive's name in the message. ValueError: not empty.
    """
    root_fd = os.dup(layer) if isinstance(layer, int) else os.open(layer, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        with os.scandir(root_fd) as found:
            if next(found, None) is not None:
                raise ValueError(f"unpack into a directory that is not empty: {layer!r}")
        return _Unpacking(root_fd, Archive(stream), limits or Limits()).run()
    finally:
        os.close(root_fd)


class _Unpacking:
    """One archive on its way to disk."""

    def __init__(self, root_fd: int, archive: Archive, limits: Limits) -> None:
        self.archive = archive
        self.limits = limits
        self.tree = Tree(root_fd)
        self.size = 0
        self.xattrs = 0
        self.root_listed = False
        before = os.fstat(root_fd)
        root = self.tree.root
        root.mode, root.uid, root.gid = stat.S_IMODE(before.st_mode), before.st_uid, before.st_gid
        root.mtime_ns = before.st_mtime_ns
        self.mapped = mapped()
        # Files made in a directory with the setgid bit, or by somebody else than root, need a chown even when root's.
        self.owner = (os.geteuid(), before.st_gid if before.st_mode & stat.S_ISGID else os.getegid())
        self._make = {"f": self._file, "h": self._hard_link, "l": self._symlink, "c": self._device, "b": self._device}
        self._make["p"] = self._device

    def run(self) -> Unpacked:
        try:
            for member in self.archive.members():
                try:
                    self._place(member)
                except OSError as error:
                    needs_root = error.errno == EPERM and self.owner[0] != 0
                    advice = ": unpacking needs root, try again with sudo" if needs_root else ""
                    if error.errno == EINVAL and self.mapped:
                        advice = self._unmapped(member)
                    raise OSError(error.errno, f"unpack {member.name}: {error.strerror}{advice}") from error
                if self.tree.count > self.limits.entries:
                    raise InvalidInput(f"the archive has more than {self.limits.entries} entries")
                if self.tree.path_bytes > self.limits.paths:
                    raise InvalidInput(f"the paths in the archive are more than {self.limits.paths} bytes together")
            self.archive.drain(self.limits.trailer)
            self._finish()
        finally:
            self.tree.close()
        entries = self.tree.entries()
        size = sum(entry.size for entry in entries if not entry.link)
        return Unpacked(entries, size, self.archive.diff_id, len(entries), self.archive.length, self.root_listed)

    def _place(self, member: Member) -> None:
        parent, name = split_name(member.raw, "name")
        if not name:
            if member.kind != "d":
                raise InvalidInput(f"the archive replaces the root by something else than a directory: {member.name!r}")
            self.root_listed = True
            self._describe(self.tree.root, member)
            return
        if b".wh." in member.raw and is_aufs(parent, name):
            return
        self.tree.mtime_ns = member.mtime_ns
        directory = self.tree.directory(parent)
        if name.startswith(whiteouts.PREFIX):
            self._whiteout(directory, name, member)
            return
        before = directory.children.get(name)
        if member.kind == "d":
            made = before if isinstance(before, Directory) else self.tree.make_directory(directory, name)
            self._describe(made, member)
            return
        if before is None:
            check_name(directory, name)
        elif member.kind != "h":
            self.tree.remove(directory, name)
        self._make[member.kind](directory, name, member)

    def _describe(self, directory: Directory, member: Member) -> None:
        """What a member says of a directory; put on disk at the end."""
        directory.mode = member.mode
        directory.uid, directory.gid = owner(member)
        directory.mtime_ns = member.mtime_ns
        directory.xattrs = self._kept(member)

    def _whiteout(self, directory: Directory, name: bytes, member: Member) -> None:
        if name == whiteouts.OPAQUE_MARKER:
            directory.opaque = True
            return
        hidden = whiteouts.hidden_name(name)
        check_name(directory, hidden)
        if self.tree.hide(directory, hidden):
            whiteouts.make_whiteout(self.tree.fd(directory), hidden, member.mtime_ns)
            self.tree.add(directory, hidden, Inode("w", 0, 0, 0, member.mtime_ns))

    def _file(self, directory: Directory, name: bytes, member: Member) -> None:
        self._account(member)
        inode = self._inode(member)
        inode.size = member.size
        fd = os.open(name, _NEW_FILE, 0o600, dir_fd=self.tree.fd(directory))
        try:
            inode.digest = self._content(fd, member)
            if (inode.uid, inode.gid) != self.owner and self.mapped != 1:
                os.fchown(fd, inode.uid, inode.gid)
            os.fchmod(fd, inode.mode)
            for attribute, value in self._settable(inode.xattrs):
                os.setxattr(fd, attribute, value)
            os.utime(fd, ns=(inode.mtime_ns, inode.mtime_ns))
        finally:
            os.close(fd)
        self.tree.add(directory, name, inode)

    def _account(self, member: Member) -> None:
        self.size += member.size
        if self.size > self.limits.size:
            raise InvalidInput(f"{member.name}: the archive's files take more than {self.limits.size} bytes")

    def _content(self, fd: int, member: Member) -> str:
        """Write a file's content and return its digest; "" for one that is mostly holes and huge."""
        if member.pieces is not None:
            return self._sparse(fd, member, member.pieces)
        data = self.archive.read(CHUNK)
        if len(data) == member.size:
            if data:
                _write(fd, data)
            return hashlib.sha256(data).hexdigest()
        sha = hashlib.sha256()
        while data:
            _write(fd, data)
            sha.update(data)
            data = self.archive.read(CHUNK)
        return sha.hexdigest()

    def _sparse(self, fd: int, member: Member, pieces: sparse.Map) -> str:
        known = sparse.worth_a_digest(member.size, member.stored)
        sha = hashlib.sha256()
        end = 0
        for offset, length in pieces:
            os.lseek(fd, offset, os.SEEK_SET)
            if known:
                sparse.hash_zeros(sha, offset - end)
            while length:
                data = self.archive.read(min(length, CHUNK))
                _write(fd, data)
                if known:
                    sha.update(data)
                length -= len(data)
                offset += len(data)
            end = offset
        os.ftruncate(fd, member.size)
        if known:
            sparse.hash_zeros(sha, member.size - end)
        return sha.hexdigest() if known else ""

    def _hard_link(self, directory: Directory, name: bytes, member: Member) -> None:
        parent, target = split_name(member.raw_target, "link target")
        found = self.tree.find(parent, target) if target else None
        if found and found[1] is directory.children.get(name):
            return
        if name in directory.children:
            self.tree.remove(directory, name)
            found = self.tree.find(parent, target) if target else None
        if found is None or isinstance(found[1], Directory) or found[1].kind == "w":
            raise InvalidInput(f"{member.name}: a hard link to {member.target!r}, not in the archive so far")
        if not (self.mapped and found[1].kind in ("c", "b")):
            source, here = self.tree.both(found[0], directory)
            os.link(target, name, src_dir_fd=source, dst_dir_fd=here, follow_symlinks=False)
        self.tree.add(directory, name, found[1])

    def _symlink(self, directory: Directory, name: bytes, member: Member) -> None:
        target = member.raw_target
        if not target or len(target) > MAX_PATH:
            raise InvalidInput(f"{member.name}: a symlink to nothing, or to a name that is too long")
        inode = self._inode(member)
        inode.mode = 0o777  # a symlink has no other on Linux
        inode.target = target
        os.symlink(target, name, dir_fd=self.tree.fd(directory))
        self._finish_special(directory, name, inode)

    def _device(self, directory: Directory, name: bytes, member: Member) -> None:
        major, minor = member.rdev
        if member.kind == "c" and member.rdev == (0, 0):
            raise InvalidInput(f"{member.name}: a character device 0:0 would be a whiteout")
        if not (0 <= major < 1 << 12 and 0 <= minor < 1 << 20):
            raise InvalidInput(f"{member.name}: no device has the number {major}:{minor}")
        inode = self._inode(member)
        inode.rdev = member.rdev
        if self.mapped and member.kind != "p":
            self.tree.add(directory, name, inode)
            return
        fd = self.tree.fd(directory)
        os.mknod(name, 0o600 | _DEVICES[member.kind], os.makedev(major, minor), dir_fd=fd)
        self._finish_special(directory, name, inode)

    def _finish_special(self, directory: Directory, name: bytes, inode: Inode) -> None:
        """Owner, mode, attributes and time of what cannot be opened."""
        fd = self.tree.fd(directory)
        if (inode.uid, inode.gid) != self.owner and self.mapped != 1:
            os.chown(name, inode.uid, inode.gid, dir_fd=fd, follow_symlinks=False)
        if inode.kind != "l":
            os.chmod(name, inode.mode, dir_fd=fd)
        for attribute, value in self._settable(inode.xattrs):
            xattrs.set(fd, name, attribute, value)
        os.utime(name, ns=(inode.mtime_ns, inode.mtime_ns), dir_fd=fd, follow_symlinks=False)
        self.tree.add(directory, name, inode)

    def _inode(self, member: Member) -> Inode:
        uid, gid = owner(member)
        inode = Inode(member.kind, member.mode, uid, gid, member.mtime_ns)
        if member.xattrs:
            inode.xattrs = self._kept(member)
        return inode

    def _kept(self, member: Member) -> tuple[tuple[str, bytes], ...]:
        kept = tuple(one for one in member.xattrs if whiteouts.is_kept(one[0]))
        self.xattrs += sum(len(name) + len(value) for name, value in kept)
        if self.xattrs > self.limits.xattrs:
            raise InvalidInput(f"{member.name}: the archive has more than {self.limits.xattrs} bytes of attributes")
        return kept

    def _settable(self, attributes: tuple[tuple[str, bytes], ...]) -> tuple[tuple[str, bytes], ...]:
        """Those of a member's attributes that can be set here; access lists name users, so they need their numbers."""
        if not self.mapped or not attributes:
            return attributes
        out = ("trusted.", "system.posix_acl_") if self.mapped == 1 else ("trusted.",)
        return tuple(one for one in attributes if not one[0].startswith(out))

    def _unmapped(self, member: Member | Directory) -> str:
        """What to say of a member that the kernel finds invalid, when its owner may be the reason."""
        return (
            f" (it belongs to {member.uid}:{member.gid}, and {self.mapped} numbers are mapped: more can be given in "
            "/etc/subuid and /etc/subgid)"
        )

    def _finish(self) -> None:
        """Directories' owners, modes, attributes and times, now that nothing is made in them any more."""
        self.tree.drop_idle_whiteouts()
        for directory in self.tree.directories():
            fd = self.tree.fd(directory)
            if self.mapped != 1:
                self._own_directory(fd, directory)
            os.fchmod(fd, directory.mode)
            for attribute, value in self._settable(directory.xattrs):
                os.setxattr(fd, attribute, value)
            if directory.opaque:
                whiteouts.make_opaque(fd)
            os.utime(fd, ns=(directory.mtime_ns, directory.mtime_ns))

    def _own_directory(self, fd: int, directory: Directory) -> None:
        try:
            os.fchown(fd, directory.uid, directory.gid)
        except OSError as error:
            if error.errno != EINVAL or not self.mapped:
                raise
            what = f"unpack {os.fsdecode(directory.path)}: {error.strerror}{self._unmapped(directory)}"
            raise OSError(EINVAL, what) from error


def _write(fd: int, data: bytes) -> None:
    written = os.write(fd, data)
    while written < len(data):
        data = data[written:]
        written = os.write(fd, data)
