"""The merged view as a flat list of visible rows: directories are asked for when they are opened, never before.

The one list is what makes a tree of any size cheap to draw: the widget asks for the rows it shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from engine.layers.view import ADDED, IS_OPAQUE, IS_WHITEOUT, SHADOWED, MergedView, ViewEntry

MOST_MATCHES = 2000  # rows of a filter: more is no answer


@dataclass(frozen=True, slots=True)
class Row:
    """One visible row. guides: the tree's lines in front of the name; name: a whole path in a filter's result."""

    entry: ViewEntry
    guides: str
    name: str
    depth: int
    opened: bool = False
    inherit: str = ""

    @property
    def key(self) -> tuple[str, int, bool]:
        """What stays the same when the view is made anew."""
        return (self.entry.path, self.entry.layer if self.hidden else -1, self.hidden)

    @property
    def hidden(self) -> bool:
        return self.entry.state in (IS_WHITEOUT, SHADOWED)


class FileRows:
    """The rows of one view. only: show just what this layer has; hidden: also whiteouts and what is shadowed.

    query: only paths with this text in them; opened: paths of the open directories, kept up to date.
    """

    def __init__(
        self,
        view: MergedView,
        *,
        only: int | None = None,
        hidden: bool = True,
        query: str = "",
        opened: set[str] | None = None,
    ) -> None:
        self.view = view if only is None else view.upto(only)
        self.only = only
        self.hidden = hidden
        self.query = query
        self.opened = set() if opened is None else opened
        self._own = None if only is None else _alone(view, only)
        self.rows: list[Row] = []
        self.build()

    def build(self) -> None:
        """Make the rows anew, with the directories open that were open."""
        self.rows = self._matches() if self.query else self._below("", "", 0)

    def toggle(self, number: int) -> bool:
        """Open or close the directory of a row; False when it is none."""
        row = self.rows[number]
        if not self.openable(row):
            return False
        if row.opened:
            self.opened.discard(row.entry.path)
            end = number + 1
            while end < len(self.rows) and self.rows[end].depth > row.depth:
                end += 1
            self.rows[number:end] = [replace(row, opened=False)]
        else:
            self.opened.add(row.entry.path)
            inside = self._below(row.entry.path, row.inherit, row.depth + 1)
            self.rows[number : number + 1] = [replace(row, opened=True), *inside]
        return True

    def openable(self, row: Row) -> bool:
        return row.entry.entry.kind == "d" and not row.hidden and not self.query

    def reveal(self, path: str) -> None:
        """Open every directory above a path."""
        parts = path.split("/")[:-1]
        self.opened.update("/".join(parts[: count + 1]) for count in range(len(parts)))
        self.build()

    def find(self, key: tuple[str, int, bool] | None) -> int:
        """The row with this key, or else of this path; -1 when there is none."""
        if key is None:
            return -1
        same = [number for number, row in enumerate(self.rows) if row.entry.path == key[0]]
        for number in same:
            if self.rows[number].key == key:
                return number
        return same[0] if same else -1

    def _list(self, path: str) -> Sequence[ViewEntry]:
        if self._own is None or self.only is None:
            return self.view.list(path, hidden=self.hidden)
        return [self._in_stack(entry, self.only) for entry in self._own.list(path, hidden=True)]

    def _in_stack(self, entry: ViewEntry, layer: int) -> ViewEntry:
        """An entry of one layer alone as what it is on the layers below it."""
        if entry.state == IS_WHITEOUT:
            return replace(entry, layer=layer)
        seen = self.view.get(entry.path)
        if seen is not None and seen.layer == layer:
            return seen
        return replace(entry, layer=layer, merged_from=(), state=IS_OPAQUE if entry.entry.opaque else ADDED)

    def _below(self, path: str, inherit: str, depth: int) -> list[Row]:
        # Depth first with a stack of its own: a path may be thousands of directories deep.
        rows: list[Row] = []
        ahead: list[tuple[ViewEntry, str, bool, int]] = []

        def push(directory: str, guides: str, level: int) -> None:
            found = self._list(directory)
            for number in range(len(found) - 1, -1, -1):
                ahead.append((found[number], guides, number == len(found) - 1, level))

        push(path, inherit, depth)
        while ahead:
            entry, guides, last, level = ahead.pop()
            lead = "" if level == 0 else guides + ("└ " if last else "├ ")
            carry = "" if level == 0 else guides + ("  " if last else "│ ")
            row = Row(entry, lead, entry.name, level, inherit=carry)
            opened = entry.path in self.opened and self.openable(row)
            rows.append(replace(row, opened=True) if opened else row)
            if opened:
                push(entry.path, carry, level + 1)
        return rows

    def _matches(self) -> list[Row]:
        """Every path of any layer with the query in it, sorted, as it stands in the view."""
        query = self.query.casefold()
        tables = self.view.tables if self.only is None else self.view.tables[self.only : self.only + 1]
        paths = sorted({path for table in tables for path in table.by_path if path and query in path.casefold()})
        rows: list[Row] = []
        inside: dict[str, dict[str, list[ViewEntry]]] = {}  # directory → path → its rows, each directory listed once
        for path in paths:
            parent = path.rpartition("/")[0]
            if parent not in inside:
                inside[parent] = {}
                for entry in self._list(parent):
                    inside[parent].setdefault(entry.path, []).append(entry)
            rows += [Row(entry, "", entry.path, 0) for entry in inside[parent].get(path, ())]
            if len(rows) >= MOST_MATCHES:
                break
        return rows


def _alone(view: MergedView, layer: int) -> MergedView:
    """The view of one layer with nothing below it, sharing its tables."""
    alone = MergedView(())
    alone.tables = view.tables[layer : layer + 1]
    return alone
