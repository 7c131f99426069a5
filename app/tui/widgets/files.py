"""The merged view as a tree: for each entry its glyph, mode, owner, size, the layer it comes from, and its name."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from typing import ClassVar, NamedTuple

from textual.binding import Binding, BindingType

from app.tui.drawing import label
from app.tui.paint import Line, Part, fit, right, size
from app.tui.rows import FileRows, Row
from app.tui.safe_text import safe
from app.tui.widgets.line_view import LineView
from engine.layers.entry import Entry
from engine.layers.view import ADDED, IS_OPAQUE, IS_WHITEOUT, MODIFIED, SHADOWED, ViewEntry

GLYPHS = {ADDED: ("+", "added"), MODIFIED: ("~", "modified"), IS_WHITEOUT: ("⊘", "bad"), IS_OPAQUE: ("◌", "opaque")}
GLYPHS[SHADOWED] = ("▒", "faint")
KINDS = {"f": stat.S_IFREG, "d": stat.S_IFDIR, "l": stat.S_IFLNK, "c": stat.S_IFCHR, "b": stat.S_IFBLK}
KINDS |= {"p": stat.S_IFIFO, "s": stat.S_IFSOCK, "w": stat.S_IFCHR}
MEASURED = 1000  # rows that are measured one by one; of more, the longest name decides
LEAST_WITH_OWNER = 48  # columns; in fewer the names need the owner's room (zoom, or provenance, show it)
NARROW = 60  # columns; in fewer, what a glyph says is not said again in a word


class Columns(NamedTuple):
    """What the rows are written with.

    owner: its width, 0 = left out; narrow: fewer words behind the names; container: whether the top layer is
    a container's; layers: how many the stack has; amount: the width of the sizes.
    """

    owner: int
    narrow: bool
    container: bool
    layers: int
    amount: int = 8

    @property
    def giver(self) -> int:
        """The width of the column of the giving layer: "L7+ "."""
        return max(5, len(f"L{self.layers}+ "))


class FilesPane(LineView):
    """A FileRows with a cursor. `l` opens here, as in vi; elsewhere it shows the logs."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("l", "pane('open')", "open", id="open-files", show=False)]

    def __init__(self) -> None:
        super().__init__("files", "nothing selected")
        self.rows: FileRows | None = None
        self.container = False
        self.fresh: Mapping[str, float] = {}  # paths that are lit
        self.stack_height = 0
        self.owner, self.amount = 5, 4  # widths of their columns

    def show(self, rows: FileRows | None, container: bool, layers: int, fresh: bool = False) -> None:
        """layers: how many the whole stack has; fresh: another stack: the cursor goes to the top."""
        key = None
        if self.rows is not None and 0 <= self.cursor < len(self.rows.rows) and not fresh:
            key = self.rows.rows[self.cursor].key
        self.rows, self.container, self.stack_height = rows, container, layers
        found = rows.find(key) if rows else -1
        self.cursor = found if found >= 0 else self._first_change() if fresh else self.cursor
        seen = rows.rows[:MEASURED] if rows else ()
        self.owner = max(5, max((len(_owner(row.entry.entry)) for row in seen), default=0))
        self.amount = max(4, max((len(_amount(row.entry)) for row in seen), default=0))
        self.changed()
        if fresh:
            self.scroll_home(animate=False)
            self.call_after_refresh(self._keep_in_sight)

    def _first_change(self) -> int:
        """The row of the first thing that the top layer changed, else the first row."""
        rows = self.rows.rows if self.rows else []
        return next((number for number, row in enumerate(rows) if row.entry.state in GLYPHS), 0)

    @property
    def row(self) -> Row | None:
        if self.rows is None or not 0 <= self.cursor < len(self.rows.rows):
            return None
        return self.rows.rows[self.cursor]

    @property
    def columns(self) -> Columns:
        width = self.scrollable_content_region.width
        owner = self.owner if width >= LEAST_WITH_OWNER else 0
        return Columns(owner, width < NARROW, self.container, self.stack_height, self.amount)

    def heading(self) -> str:
        return heading(self.columns) if self.count else ""

    @property
    def count(self) -> int:
        return len(self.rows.rows) if self.rows else 0

    def line(self, number: int) -> Line:
        assert self.rows is not None
        row = self.rows.rows[number]
        return Line(
            tuple(row_parts(row, self.columns)),
            row.key,
            lit=row.entry.state != SHADOWED and row.entry.path in self.fresh,
        )

    def longest(self) -> int:
        if self.rows is None:
            return 0
        columns = self.columns
        if len(self.rows.rows) <= MEASURED:
            return max((sum(len(text) for text, _ in row_parts(row, columns)) for row in self.rows.rows), default=0)
        return 60 + max(len(row.guides) + len(row.name) for row in self.rows.rows)

    def choose(self) -> None:
        if self.rows and self.count and self.rows.toggle(self.cursor):
            self.changed()
        super().choose()

    def clicked(self, number: int, column: int) -> None:
        was = self.cursor
        self.point(number, chosen=True)
        if self.rows and (number == was or column < 5) and self.rows.toggle(number):
            self.changed()

    def sideways(self, by: int) -> None:
        row = self.row
        if row is None or self.rows is None:
            return
        if by > 0:
            if not row.opened and self.rows.toggle(self.cursor):
                self.changed()
            elif row.opened:
                self.point(self.cursor + 1)
            else:
                super().sideways(1)
        elif self.scroll_offset.x:
            super().sideways(-1)
        elif row.opened:
            self.rows.toggle(self.cursor)
            self.changed()
        else:
            above = next((n for n in range(self.cursor, -1, -1) if self.rows.rows[n].depth < row.depth), None)
            if above is not None:
                self.point(above)


def heading(columns: Columns) -> str:
    return f"     mode       {fit('owner', columns.owner)}{right('size', columns.amount)} {'from':<{columns.giver}}name"


def row_parts(row: Row, columns: Columns) -> list[Part]:
    """One row: mark, arrow, mode, owner, size, layer, guides, name, notes."""
    seen = row.entry
    entry = seen.entry
    mark, mark_style = GLYPHS.get(seen.state, (" ", "text"))
    arrow = " " if entry.kind != "d" or row.hidden else "▾" if row.opened else "▸"
    away = "faint" if seen.state == SHADOWED else ""
    parts: list[Part] = [(f"{mark} ", mark_style), (f"{arrow} ", "dim"), (mode(entry) + " ", away or "dim")]
    parts.append((fit(_owner(entry), columns.owner), away or "dim"))
    parts.append((right(_amount(seen), columns.amount) + " ", away or "text"))
    parts.append((f"{_layers(seen, columns):<{columns.giver}}", away or _layer_style(seen, columns)))
    parts.append((row.guides, "faint"))
    parts.append((safe(row.name), away or _name_style(seen)))
    parts += _notes(seen, columns)
    return parts


def mode(entry: Entry) -> str:
    if entry.kind == "w":
        return "c---------"
    return stat.filemode(KINDS[entry.kind] | entry.mode)


def _owner(entry: Entry) -> str:
    return f"{entry.uid}:{entry.gid}"


def _amount(seen: ViewEntry) -> str:
    """The size of a file, the numbers of a device; of a file that is not seen, in brackets."""
    entry = seen.entry
    if entry.kind == "f":
        return f"({size(entry.size)})" if seen.state == SHADOWED else size(entry.size)
    if entry.kind in "cbw":
        return f"{entry.rdev[0]},{entry.rdev[1]}"
    return ""


def _layers(seen: ViewEntry, columns: Columns) -> str:
    """The layer that gives it; of a directory that several give, the uppermost with "+"."""
    name = label(seen.layer, columns.container, columns.layers)
    return name + "+" if len(seen.merged_from) > 1 else name


def _layer_style(seen: ViewEntry, columns: Columns) -> str:
    return "rw" if columns.container and seen.layer == columns.layers - 1 else "ro"


def _name_style(seen: ViewEntry) -> str:
    if seen.state == IS_WHITEOUT:
        return "gone"
    if seen.state in (ADDED, MODIFIED):
        return GLYPHS[seen.state][1]
    return {"d": "directory", "l": "link"}.get(seen.entry.kind, "text")


def _notes(seen: ViewEntry, columns: Columns) -> list[Part]:
    """What is to say behind a name: where a link points, copied up from where, what it hides, what it is."""
    notes: list[Part] = []
    entry = seen.entry
    if entry.kind == "l":
        notes.append((f" → {safe(entry.target)}", "dim"))
    if entry.link:
        notes.append((f" ≡ {safe(entry.link)}", "dim"))
    if seen.copied_up_from is not None and entry.kind != "d":
        notes.append((f"  ⇡{label(seen.copied_up_from, columns.container, columns.layers)}", "amber"))
    if columns.narrow:
        return notes  # the glyph in front says it, and the provenance in words
    if seen.shadows and seen.state != SHADOWED:
        below = ",".join(label(number, columns.container, columns.layers) for number in seen.shadows[:3])
        notes.append((f"  ▒{below}{'…' if len(seen.shadows) > 3 else ''}", "dim"))
    words = {IS_WHITEOUT: ("  whiteout", "bad"), IS_OPAQUE: ("  opaque", "opaque"), SHADOWED: ("  shadowed", "faint")}
    if seen.state in words:
        notes.append(words[seen.state])
    elif entry.opaque:
        notes.append(("  ◌", "opaque"))
    return notes
