"""What a layer changes of the view below it, in docker's words: A added, C changed, D deleted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.layers.entry import Entry

if TYPE_CHECKING:
    from engine.layers.view import MergedView


@dataclass(frozen=True, slots=True)
class Change:
    """One changed path. kind: "A", "C" or "D". path: as Entry.path, without the leading slash that docker prints.

    passing: a directory listed only because something inside it, or no more than its time, changed.
    """

    path: str
    kind: str
    passing: bool = False


def changes(upper: Sequence[Entry], lower: MergedView) -> list[Change]:
    """What the entries of a layer change of the view below it, in tree order. The root is never listed.

    As docker: what is in a deleted directory is not listed again; the parents of a changed path are listed as changed.
    Where docker calls a replaced (opaque) directory deleted, this says what happened: the directory changed, and which
    of its former entries are gone. A whiteout of what is not there changes nothing.
    """
    found: dict[str, Change] = {}
    paths = {entry.path for entry in upper}
    opaque: set[str] = set()
    for entry in upper:  # parents precede
        # In an opaque directory nothing below shows through, in the directories inside it neither.
        if entry.kind == "d" and (entry.opaque or entry.path.rpartition("/")[0] in opaque):
            opaque.add(entry.path)
        for change in _of(entry, lower, paths, entry.path in opaque):
            found[change.path] = change
    found.pop("", None)
    for path in list(found):
        parent = path.rpartition("/")[0]
        while parent and parent not in found:
            found[parent] = Change(parent, "C", passing=True)
            parent = parent.rpartition("/")[0]
    return sorted(found.values(), key=lambda change: change.path.replace("/", "\0"))


def _of(entry: Entry, lower: MergedView, paths: set[str], opaque: bool) -> Iterator[Change]:
    before = lower.get(entry.path)
    if entry.kind == "w":
        if before:
            yield Change(entry.path, "D")
    elif before is None:
        yield Change(entry.path, "A")
    elif entry.kind != "d" or before.entry.kind != "d":
        yield Change(entry.path, "C")
    elif opaque:
        yield Change(entry.path, "C")
        for gone in lower.list(entry.path):
            if gone.path not in paths:
                yield Change(gone.path, "D")
    elif differ(entry, before.entry):
        yield Change(entry.path, "C")
    elif entry.mtime_ns != before.entry.mtime_ns:
        yield Change(entry.path, "C", passing=True)


def differ(one: Entry, other: Entry) -> bool:
    """Whether two directories of a path differ in mode, owner or attributes; their times tell nothing about them."""
    return (one.mode, one.uid, one.gid, one.xattrs) != (other.mode, other.uid, other.gid, other.xattrs)
