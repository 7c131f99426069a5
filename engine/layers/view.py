"""The one filesystem that a stack of layers adds up to, as overlayfs looks it up, and where each path comes from.

The rules (Documentation/filesystems/overlayfs.rst), from the top layer down, for a name in a directory:
- a file, link or device gives the name; the look-up ends there;
- a directory gives the name if it is the first found, else it merges into the ones above; the look-up goes on, unless
  it is opaque: then it ends there;
- a whiteout ends the look-up, and so does anything but a directory met below a directory;
- only layers whose parent directory took part in the parent's merge are asked.
A directory's own attributes are those of its uppermost layer. The kernel forgets to ask whether a layer's root is
opaque; here it counts, and `whiteouts.mounted` leaves the layers below it out of the mount, so that both agree.

A directory is merged when it is asked for, and what was found is kept: a view is for layers that do not change.
"""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from engine.layers import diff, provenance
from engine.layers.entry import Entries, Entry, tree_order
from engine.layers.provenance import Provenance

UNCHANGED, ADDED, MODIFIED, IS_WHITEOUT, IS_OPAQUE, SHADOWED = " ", "+", "~", "whiteout", "opaque", "shadowed"


class HasEntries(Protocol):
    """What a view needs of a layer: its entries, parents before children (kept and indexed if they are `Entries`)."""

    @property
    def entries(self) -> Sequence[Entry]: ...


@dataclass(frozen=True, slots=True)
class ViewEntry:
    """One row of a directory in the merged view. Layers are numbers in the stack, 0 = the bottom.

    name, path: as Entry's. entry: what `layer` says of the path; layer: the one that gives it.
    merged_from: for a directory in the view, every layer whose directory takes part, the giving one first.
    shadows: layers below `layer` that have something of this path (no whiteout) that is not seen, top first.
    copied_up_from: for what the top layer gives, the layer that gives it without the top layer, when it is of the same
    kind and neither it (a directory) nor a directory above it is replaced as a whole by the top layer; else None.
    state, relative to the top layer of this view: " " not touched by it; "+" added; "~" modified (a directory: its
    mode, owner or attributes); of any layer: "opaque", a directory that hides one below. With `hidden` also "whiteout",
    and "shadowed", something that the view does not show.
    hidden_by: for a hidden row, the layer at which the look-up ends before it gets here; None for a whiteout in force.
    """

    name: str
    path: str
    entry: Entry
    layer: int
    merged_from: tuple[int, ...] = ()
    shadows: tuple[int, ...] = ()
    copied_up_from: int | None = None
    state: str = UNCHANGED
    hidden_by: int | None = None


@dataclass(frozen=True, slots=True)
class Counts:
    """How many paths one layer changes; directories where only the time or something inside changed are left out."""

    added: int
    modified: int
    deleted: int


@dataclass(frozen=True, slots=True)
class Merge:
    """How one directory comes about. live: the layers merged in it, top first; empty = no such directory in the view.

    hidden: (layer, layer that hides it, path at which it does), for those that have this directory for nothing.
    """

    live: tuple[int, ...]
    hidden: tuple[tuple[int, int, str], ...]


NOWHERE = Merge((), ())


class MergedView:
    """The merged view of layers, bottom → top."""

    __slots__ = ("_merges", "_prefixes", "tables")

    def __init__(self, layers: Sequence[HasEntries]) -> None:
        self.tables = [_indexed(layer.entries) for layer in layers]
        self._merges: dict[str, Merge] = {}
        self._prefixes: dict[int, MergedView] = {}

    @property
    def top(self) -> int:
        """The number of the uppermost layer; -1 for no layers at all."""
        return len(self.tables) - 1

    def upto(self, layer: int) -> MergedView:
        """The view of the layers up to and with this one; -1: of none."""
        if layer == self.top:
            return self
        prefix = self._prefixes.get(layer)
        if prefix is None:
            prefix = self._prefixes[layer] = MergedView(())
            prefix.tables = self.tables[: layer + 1]
        return prefix

    def get(self, path: str) -> ViewEntry | None:
        """What the view has at this path (directories as in Entry.path, the root is ""), or None."""
        if not path:
            return self._root()
        parent = self.merge(path.rpartition("/")[0])
        found = [(layer, entry) for layer in parent.live if (entry := self.tables[layer].by_path.get(path))]
        if not found or found[0][1].kind == "w":
            return None
        unseen = [layer for layer, _, _ in parent.hidden if path in self.tables[layer].by_path]
        return self._visible(path, found, unseen)

    def list(self, path: str = "", *, hidden: bool = False) -> list[ViewEntry]:
        """The rows of a directory, sorted by name; [] when there is no such directory.

        hidden: also the whiteouts in it and everything that layers have there and the view does not show, after the
        row of the same name if there is one, top layer first; also for a directory that is itself hidden.
        """
        merge = self.merge(path)
        first: dict[str, tuple[int, Entry]] = {}
        more: dict[str, list[tuple[int, Entry]]] = {}
        for layer in merge.live:
            for entry in self.tables[layer].by_directory.get(path, ()):
                if entry.path in first:
                    more.setdefault(entry.path, []).append((layer, entry))
                else:
                    first[entry.path] = (layer, entry)
        lost: dict[str, list[tuple[int, Entry, int]]] = {}
        for layer, by, _ in merge.hidden:
            for entry in self.tables[layer].by_directory.get(path, ()):
                lost.setdefault(entry.path, []).append((layer, entry, by))
        rows: list[ViewEntry] = []
        for child in sorted(first.keys() | lost.keys() if hidden and lost else first):
            seen = first.get(child)
            if seen and child not in more and child not in lost and seen[1].kind != "w":
                rows.append(self._alone(*seen))
                continue
            found = [seen, *more.get(child, ())] if seen else []
            unseen = lost.get(child, [])
            if seen and seen[1].kind != "w":
                rows.append(self._visible(child, found, [layer for layer, _, _ in unseen]))
            if hidden:
                rows.extend(self._hidden(child, found, unseen))
        return rows

    def _alone(self, layer: int, entry: Entry) -> ViewEntry:
        """The row of a path that one layer alone has: most are, so this is quick."""
        merged = (layer,) if entry.kind == "d" else ()
        state = ADDED if layer == self.top else UNCHANGED
        path = entry.path
        return ViewEntry(path[path.rfind("/") + 1 :], path, entry, layer, merged, (), None, state)

    def walk(self, path: str = "") -> Iterator[ViewEntry]:
        """Everything in the view from this path down, in tree order, itself first; nothing when it is not there."""
        start = self.get(path)
        ahead = [start] if start else []
        while ahead:
            row = ahead.pop()
            yield row
            if row.entry.kind == "d":
                ahead.extend(reversed(self.list(row.path)))

    def counts(self, layer: int | None = None) -> Counts:
        """What this layer (None = the top) adds, modifies and deletes, each path once, the root not counted."""
        number = self.top if layer is None else layer
        changes = diff.changes(self.tables[number], self.upto(number - 1))
        kinds = [change.kind for change in changes if not change.passing]
        return Counts(kinds.count("A"), kinds.count("C"), kinds.count("D"))

    def provenance(self, path: str) -> builtins.list[Provenance]:
        """What each layer, top → bottom, has to do with this path: which gives it, which are hidden, and why."""
        return provenance.of(self, path)

    def merge(self, path: str) -> Merge:
        """How the directory at this path comes about."""
        known = self._merges.get(path)
        if known is None:
            # From the root down, so that a deep path needs no deep recursion.
            known = self._merges.get("") or self._merge_roots()
            end = path.find("/") if path else -1
            while end != -1:
                known = self._merge(path[:end], known)
                end = path.find("/", end + 1)
            if path:
                known = self._merge(path, known)
        return known

    def _merge_roots(self) -> Merge:
        """A layer always has a root, whether its entries say so or not."""
        live: list[int] = []
        hidden: list[tuple[int, int, str]] = []
        end: int | None = None
        for layer in range(self.top, -1, -1):
            if end is not None:
                hidden.append((layer, end, ""))
                continue
            live.append(layer)
            entry = self.tables[layer].by_path.get("")
            end = layer if entry and entry.opaque else None
        found = self._merges[""] = Merge(tuple(live), tuple(hidden))
        return found

    def _merge(self, path: str, parent: Merge) -> Merge:
        known = self._merges.get(path)
        if known is not None:
            return known
        live: list[int] = []
        hidden: list[tuple[int, int, str]] = []
        end: int | None = None
        for layer in parent.live:
            entry = self.tables[layer].by_path.get(path)
            if entry is None:
                continue
            if end is None:
                if entry.kind == "d":
                    live.append(layer)
                end = layer if entry.kind != "d" or entry.opaque else None
            elif entry.kind == "d":
                hidden.append((layer, end, path))
        for layer, by, at in parent.hidden:
            entry = self.tables[layer].by_path.get(path)
            if entry and entry.kind == "d":
                hidden.append((layer, by, at))
        found = Merge(tuple(live), tuple(hidden)) if live or hidden else NOWHERE
        self._merges[path] = found
        return found

    def _root(self) -> ViewEntry:
        merge = self.merge("")
        for layer in merge.live:
            entry = self.tables[layer].by_path.get("")
            if entry:
                return ViewEntry("", "", entry, layer, merge.live)
        return ViewEntry("", "", Entry("", "d", 0o755), self.top, merge.live)

    def _giver(self, path: str) -> tuple[int, Entry] | None:
        """The layer that gives this path (not the root's) in the view, and its entry; None when it is not there.

        Not `get`, which for its state asks the view below, which would ask the one below that, 500 layers deep.
        """
        for layer in self.merge(path.rpartition("/")[0]).live:
            entry = self.tables[layer].by_path.get(path)
            if entry is not None:
                return None if entry.kind == "w" else (layer, entry)
        return None

    def _visible(self, path: str, found: Sequence[tuple[int, Entry]], unseen: Iterable[int]) -> ViewEntry:
        """The row of a path that is seen. found: what the live layers have of it, top first; unseen: hidden layers that
        have it."""
        layer, entry = found[0]
        name = path.rpartition("/")[2]
        merged: tuple[int, ...] = ()
        rest = found[1:]
        if entry.kind == "d":
            count = 1
            if not entry.opaque:
                for _, other in rest:
                    if other.kind != "d":
                        break
                    count += 1
                    if other.opaque:
                        break
            merged = tuple(number for number, _ in found[:count])
            rest = found[count:]
        shadows = tuple(number for number, other in rest if other.kind != "w") if rest else ()
        shadows += tuple(number for number in unseen if self.tables[number].by_path[path].kind != "w")
        replaces = bool(entry.opaque and rest and rest[0][1].kind == "d")
        if layer != self.top:
            return ViewEntry(name, path, entry, layer, merged, shadows, None, IS_OPAQUE if replaces else UNCHANGED)
        below = self.upto(layer - 1)._giver(path) if len(found) > 1 or shadows else None
        state = UNCHANGED
        if replaces:
            state = IS_OPAQUE
        elif below is None:
            state = ADDED
        elif entry.kind != "d" or below[1].kind != "d" or diff.differ(entry, below[1]):
            state = MODIFIED
        from_live = below is not None and any(number == below[0] for number, _ in found)
        copied = below[0] if below and from_live and not replaces and below[1].kind == entry.kind else None
        return ViewEntry(name, path, entry, layer, merged, shadows, copied, state)

    def _hidden(
        self, path: str, found: Sequence[tuple[int, Entry]], unseen: Sequence[tuple[int, Entry, int]]
    ) -> Iterator[ViewEntry]:
        """The rows of a path that are not seen, top layer first."""
        name = path.rpartition("/")[2]
        end: int | None = None
        giver: int | None = None
        for layer, entry in found:
            if entry.kind == "w":
                yield ViewEntry(name, path, entry, layer, state=IS_WHITEOUT, hidden_by=giver if end is None else end)
                end = layer if end is None else end
            elif end is not None:
                yield ViewEntry(name, path, entry, layer, state=SHADOWED, hidden_by=end)
            elif giver is not None and entry.kind != "d":
                yield ViewEntry(name, path, entry, layer, state=SHADOWED, hidden_by=giver)
                end = layer
            else:
                giver = layer if giver is None else giver
                end = layer if entry.kind != "d" or entry.opaque else None
        for layer, entry, by in unseen:
            state = IS_WHITEOUT if entry.kind == "w" else SHADOWED
            yield ViewEntry(name, path, entry, layer, state=state, hidden_by=by)


def _indexed(entries: Sequence[Entry]) -> Entries:
    return entries if isinstance(entries, Entries) else Entries(tree_order(entries))
