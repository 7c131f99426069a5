"""The directory tree that an archive becomes, in memory and on disk at once: what `unpack` has made so far.

Names of an archive are resolved here, against what the archive itself has made, never by the kernel: a symlink among
the parents of a name is followed inside the layer (absolute ones from the layer's root, `..` stops at the root), as
docker and containerd do. What comes out is a path without symlinks, and the kernel is told to refuse any
(RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS): two defences that do not know of each other.
"""

from __future__ import annotations

import os

from engine.errors import InvalidInput
from engine.kernel.paths import RESOLVE_BENEATH, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, openat2
from engine.kernel.trees import remove_tree
from engine.layers.entry import Entries, Entry, decode
from engine.layers.whiteouts import PREFIX

MAX_PATH = 4095  # PATH_MAX without its NUL: no process could name a longer one
MAX_NAME = 255
MAX_LINKS = 40  # followed on one name's way, as the kernel's own limit
MAX_STEPS = 8192  # parts walked on one name's way
OPEN_DIRECTORIES = 64

_SEALED = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


class Inode:
    """Anything but a directory: hard links are one Inode under several names. Fields as Entry's; target: bytes."""

    __slots__ = ("digest", "first", "gid", "kind", "mode", "mtime_ns", "rdev", "size", "target", "uid", "xattrs")

    def __init__(self, kind: str, mode: int, uid: int, gid: int, mtime_ns: int) -> None:
        self.kind = kind
        self.mode = mode
        self.uid = uid
        self.gid = gid
        self.mtime_ns = mtime_ns
        self.size = 0
        self.target = b""
        self.rdev = (0, 0)
        self.xattrs: tuple[tuple[str, bytes], ...] = ()
        self.digest = ""
        self.first = ""  # path of the first link, once entries are being made


class Directory:
    """A directory. path: from the root, b"" for it; fd: open descriptor or -1; mode, owner, time and attributes are put
    on disk at the end, when nothing is made in it any more."""

    __slots__ = ("children", "fd", "gid", "mode", "mtime_ns", "opaque", "parent", "path", "uid", "xattrs")

    def __init__(self, path: bytes, parent: Directory | None, mtime_ns: int) -> None:
        self.path = path
        self.parent = parent
        self.children: dict[bytes, Inode | Directory] = {}
        self.mode = 0o755
        self.uid = 0
        self.gid = 0
        self.mtime_ns = mtime_ns
        self.xattrs: tuple[tuple[str, bytes], ...] = ()
        self.opaque = False
        self.fd = -1


class Tree:
    """The tree below an open directory, which stays the caller's. count, path_bytes: of all names made, also of those
    that were replaced since."""

    def __init__(self, root_fd: int) -> None:
        self.count = 0
        self.path_bytes = 0
        self.mtime_ns = 0  # for directories that the archive does not have: that of the member that needs them
        self.root = Directory(b"", None, 0)
        self.root.fd = root_fd
        self._whiteouts: set[tuple[Directory, bytes]] = set()
        self._open: list[Directory] = []
        self._known: dict[bytes, Directory] = {b"": self.root}

    def close(self) -> None:
        """Close the directories' descriptors."""
        for directory in self._open:
            if directory.fd >= 0:
                os.close(directory.fd)
                directory.fd = -1
        self._open.clear()

    def fd(self, directory: Directory) -> int:
        """An open descriptor of a directory, good until the next call for another one."""
        if directory.fd >= 0:
            return directory.fd
        if len(self._open) >= OPEN_DIRECTORIES:
            oldest = self._open.pop(0)
            if oldest.fd >= 0:
                os.close(oldest.fd)
                oldest.fd = -1
        directory.fd = openat2(self.root.fd, directory.path, _DIRECTORY, resolve=_SEALED)
        self._open.append(directory)
        return directory.fd

    def both(self, one: Directory, other: Directory) -> tuple[int, int]:
        """Open descriptors of two directories at once."""
        self.fd(one)
        # Opening the other may have closed the first, which is then opened again; the other is newer and stays.
        second = self.fd(other)
        return self.fd(one), second

    def directory(self, path: bytes) -> Directory:
        """The directory that a name's parents lead to, made as far as it is not there. InvalidInput when a file is in
        the way, or for a loop of symlinks."""
        found = self._known.get(path) or self._walk(path, make=True)
        assert found is not None
        self._known[path] = found
        return found

    def find(self, parent: bytes, name: bytes) -> tuple[Directory, Inode | Directory] | None:
        """What is at a name, with the directory it is in, symlinks followed among its parents only; None if nothing."""
        directory = self._known.get(parent) or self._walk(parent, make=False)
        node = directory.children.get(name) if directory else None
        return (directory, node) if directory and node else None

    def _walk(self, path: bytes, *, make: bool) -> Directory | None:
        here = self.root
        ahead = path.split(b"/")[::-1]
        links = steps = 0
        while ahead:
            steps += 1
            part = ahead.pop()
            if part in (b"", b"."):
                continue
            if part == b"..":  # only ever from a symlink
                here = here.parent or self.root
                continue
            node = here.children.get(part)
            if isinstance(node, Directory):
                here = node
            elif node is None or node.kind == "w":
                if not make:
                    return None
                here = self.make_directory(here, part)
            elif node.kind == "l":
                links += 1
                if links > MAX_LINKS or steps > MAX_STEPS:
                    raise InvalidInput(f"{decode(path)}: too many symlinks on its way")
                if node.target.startswith(b"/"):
                    here = self.root
                ahead.extend(reversed(node.target.split(b"/")))
            else:
                raise InvalidInput(f"{decode(path)}: {decode(_join(here, part))} on its way is no directory")
        return here

    def make_directory(self, parent: Directory, name: bytes) -> Directory:
        """Make a directory, owned by root with mode 0755 until said otherwise; opaque where a whiteout was."""
        check_name(parent, name)
        if name in parent.children:
            self.remove(parent, name)
        os.mkdir(name, 0o700, dir_fd=self.fd(parent))
        made = Directory(_join(parent, name), parent, self.mtime_ns)
        made.opaque = (parent, name) in self._whiteouts
        parent.children[name] = made
        self.count += 1
        self.path_bytes += len(made.path)
        return made

    def add(self, parent: Directory, name: bytes, inode: Inode) -> None:
        """Note what was made on disk."""
        parent.children[name] = inode
        self.count += 1
        self.path_bytes += len(parent.path) + len(name)

    def hide(self, parent: Directory, name: bytes) -> bool:
        """Note that the archive declares a name of the layers below gone; whether a whiteout must say so on disk.

        Where the archive has something of that name itself it need not: a directory becomes opaque, now or when it
        comes, and anything else hides what is below anyway.
        """
        self._whiteouts.add((parent, name))
        before = parent.children.get(name)
        if isinstance(before, Directory):
            before.opaque = True
        return before is None

    def remove(self, parent: Directory, name: bytes) -> None:
        """Remove what an earlier member of the archive made, with all below it; other hard links to it stay."""
        node = parent.children.pop(name)
        if isinstance(node, Directory):
            remove_tree(self.fd(parent), name)
        else:
            os.unlink(name, dir_fd=self.fd(parent))
            if node.kind != "l":
                return
        # Names may have led through the directory or the symlink.
        self._known = {b"": self.root}

    def drop_idle_whiteouts(self) -> None:
        """Remove whiteouts from opaque directories and below: nothing of the layers below can be there to be hidden.

        The kernel would list them: overlayfs looks for whiteouts only in directories that it merges (6.18 still).
        """
        if not self._whiteouts:
            return
        sealed: set[Directory] = set()
        for directory in reversed(self.directories()):
            if directory.opaque or directory.parent in sealed:
                sealed.add(directory)
                for name, node in list(directory.children.items()):
                    if isinstance(node, Inode) and node.kind == "w":
                        self.remove(directory, name)

    def directories(self) -> list[Directory]:
        """Every directory, each after those in it: the order in which modes and times can be set for good."""
        found = [self.root]
        for directory in found:
            found.extend(child for child in directory.children.values() if isinstance(child, Directory))
        return found[::-1]

    def entries(self) -> Entries:
        """Everything, in tree order, the root first."""
        out: list[Entry] = []
        ahead: list[tuple[str, Inode | Directory]] = [("", self.root)]
        while ahead:
            path, node = ahead.pop()
            if isinstance(node, Directory):
                own = (node.mode, node.uid, node.gid, 0, node.mtime_ns)
                out.append(Entry(path, "d", *own, xattrs=node.xattrs, opaque=node.opaque))
                prefix = path + "/" if path else ""
                inside = [(prefix + decode(name), child) for name, child in node.children.items()]
                inside.sort(key=_path, reverse=True)
                ahead.extend(inside)
            else:
                out.append(_entry(path, node))
                node.first = node.first or path
        return Entries(out)


def check_name(parent: Directory, name: bytes) -> None:
    """InvalidInput for a name that no file system takes or no archive could hold, or a path that none could name."""
    if name.startswith(PREFIX):
        raise InvalidInput(f"{decode(_join(parent, name))}: a name that means a whiteout, not on an entry of its own")
    if len(name) > MAX_NAME or len(parent.path) + 1 + len(name) > MAX_PATH:
        raise InvalidInput(f"{decode(_join(parent, name)[:MAX_PATH])}: the name is too long")


def _join(parent: Directory, name: bytes) -> bytes:
    return parent.path + b"/" + name if parent.path else name


def _path(item: tuple[str, Inode | Directory]) -> str:
    return item[0]


def _entry(path: str, node: Inode) -> Entry:
    return Entry(
        path,
        node.kind,
        node.mode,
        node.uid,
        node.gid,
        node.size,
        node.mtime_ns,
        decode(node.target),
        node.rdev,
        node.xattrs,
        node.digest,
        node.first,
    )
