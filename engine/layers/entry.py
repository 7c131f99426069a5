"""One path of one layer as a value, and a whole layer's paths, looked up by path and by directory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

FILE, DIRECTORY, SYMLINK, CHARACTER, BLOCK, FIFO, SOCKET, WHITEOUT = "fdlcbpsw"


@dataclass(frozen=True, slots=True)
class Entry:
    """One path of one layer: what the layer itself says of it, whatever other layers say.

    path: relative to the layer's root, which is ""; bytes that are not UTF-8 as surrogate escapes (`raw`).
    kind: "f" file, "d" directory, "l" symlink, "c" "b" devices, "p" FIFO, "s" socket, "w" whiteout: the path is gone.
    mode: permission bits, at most 07777. uid, gid: numbers as in the archive. size: bytes of a regular file's content,
    holes included, 0 for every other kind. mtime_ns: nanoseconds since the epoch.
    target: where a symlink points, as written. rdev: (major, minor) of a device, else (0, 0).
    xattrs: (name, value) sorted by name; of those kept in layers (`whiteouts.is_kept`), so never overlayfs's own.
    digest: sha256 of a regular file's content, 64 hex digits, "" where not known.
    link: path of the first hard link to the same file in this layer, in this layer's order; "" for that one itself.
    opaque: a directory that hides the directories of this path in the layers below, instead of merging with them.
    """

    path: str
    kind: str
    mode: int
    uid: int = 0
    gid: int = 0
    size: int = 0
    mtime_ns: int = 0
    target: str = ""
    rdev: tuple[int, int] = (0, 0)
    xattrs: tuple[tuple[str, bytes], ...] = ()
    digest: str = ""
    link: str = ""
    opaque: bool = False

    @property
    def name(self) -> str:
        """The last part of the path; "" for the root."""
        return self.path.rpartition("/")[2]

    @property
    def raw(self) -> bytes:
        """The path as the disk has it."""
        return encode(self.path)


class Entries(list[Entry]):
    """The entries of one layer in tree order, never changed, with two tables made at the first look-up."""

    @cached_property
    def by_path(self) -> dict[str, Entry]:
        """Path → entry."""
        return {entry.path: entry for entry in self}

    @cached_property
    def by_directory(self) -> dict[str, list[Entry]]:
        """Path of a directory → the entries right in it, in order. A directory without any is not in the table."""
        table: dict[str, list[Entry]] = {}
        for entry in self:
            path = entry.path
            if not path:
                continue
            directory = path.rpartition("/")[0]
            inside = table.get(directory)
            if inside is None:
                table[directory] = [entry]
            else:
                inside.append(entry)
        return table


def tree_order(entries: Iterable[Entry]) -> list[Entry]:
    """Entries sorted as a walk meets them: each directory, then everything in it, names by code point."""
    return sorted(entries, key=tree_key)


def tree_key(entry: Entry) -> str:
    """Sort key of tree order: with the separator below every other character, `a/b` comes before `a.b`."""
    return entry.path.replace("/", "\0")


def decode(path: bytes) -> str:
    """A path, name or link target from the disk as text; what is not UTF-8 becomes surrogate escapes."""
    return path.decode("utf-8", "surrogateescape")


def encode(path: str) -> bytes:
    """The bytes on disk of a path made by `decode`, whatever the locale."""
    return path.encode("utf-8", "surrogateescape")
