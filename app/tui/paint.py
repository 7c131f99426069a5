"""What every pane draws with: lines of styled parts, and what the styles look like in the light and in the dark.

Colour never carries a meaning alone: each has a glyph or a border of its own beside it, so NO_COLOR loses nothing.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import humanize
from rich.cells import cell_len, get_character_cell_size, set_cell_size
from rich.style import Style
from textual.theme import Theme

Part = tuple[str, str]  # text (already safe), name of a style


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a pane. parts: left to right; target: what a click or Enter on it means, None = nothing.

    dim: drawn weaker than it says itself, because it does not take part in what is shown; lit: it just changed.
    """

    parts: tuple[Part, ...]
    target: Hashable = None
    dim: bool = False
    lit: bool = False

    @property
    def text(self) -> str:
        return "".join(text for text, _ in self.parts)

    @property
    def width(self) -> int:
        return sum(cell_len(text) for text, _ in self.parts)


DARK = {
    "text": "#d5dbe3",
    "strong": "bold #f2f5f8",
    "dim": "#7f8a99",
    "faint": "#4d5866",
    "title": "bold #8ecbff",
    "ro": "#6cb0f5",
    "rw": "bold #f5b041",
    "amber": "#f5b041",
    "run": "bold #6fd08c",
    "ice": "bold #8fe3f5",
    "created": "#b9a7f5",
    "exited": "#98a2af",
    "added": "#6fd08c",
    "modified": "#f2dd6a",
    "gone": "strike #f47c7c",
    "bad": "#f47c7c",
    "opaque": "#d99af0",
    "directory": "bold #a9c9f5",
    "link": "#7fd3cf",
    "key": "bold #f5b041",
}
LIGHT = {
    "text": "#26303b",
    "strong": "bold #0c1218",
    "dim": "#64707d",
    "faint": "#a9b2bc",
    "title": "bold #0a5ea8",
    "ro": "#1763b0",
    "rw": "bold #a65d00",
    "amber": "#a65d00",
    "run": "bold #14743a",
    "ice": "bold #0a7391",
    "created": "#5b43b5",
    "exited": "#5f6a76",
    "added": "#14743a",
    "modified": "#806300",
    "gone": "strike #b3261e",
    "bad": "#b3261e",
    "opaque": "#8a2bb0",
    "directory": "bold #174a85",
    "link": "#0b6b67",
    "key": "bold #a65d00",
}
# What is under a line: the cursor in the pane with the focus, in another pane; what just changed.
GROUNDS = {True: ("#274060", "#1d2836", "#3b3413"), False: ("#cfe3fb", "#e6ebf1", "#fdf0c4")}

THEMES = (
    Theme(
        name="strata-dark",
        primary="#6cb0f5",
        secondary="#7fd3cf",
        accent="#f5b041",
        foreground="#d5dbe3",
        background="#10161d",
        surface="#141c25",
        panel="#1b2530",
        success="#6fd08c",
        warning="#f5b041",
        error="#f47c7c",
        dark=True,
        variables={"line": "#33414f", "line-focus": "#6cb0f5"},
    ),
    Theme(
        name="strata-light",
        primary="#1763b0",
        secondary="#0b6b67",
        accent="#a65d00",
        foreground="#26303b",
        background="#fbfcfd",
        surface="#f4f6f8",
        panel="#e9edf1",
        success="#14743a",
        warning="#a65d00",
        error="#b3261e",
        dark=False,
        variables={"line": "#c2cbd4", "line-focus": "#1763b0"},
    ),
)


class Palette:
    """The styles of one theme, parsed once."""

    def __init__(self, dark: bool) -> None:
        self.styles = {name: Style.parse(text) for name, text in (DARK if dark else LIGHT).items()}
        focus, other, lit = GROUNDS[dark]
        self.cursor = Style(bgcolor=focus)
        self.cursor_away = Style(bgcolor=other)
        self.lit = Style(bgcolor=lit, bold=True)
        self.faint = self.styles["faint"] + Style(dim=True)

    def style(self, name: str) -> Style:
        return self.styles[name]


PALETTES = {True: Palette(True), False: Palette(False)}


def fit(text: str, width: int) -> str:
    """A text in exactly `width` cells: filled up with spaces, or cut with "…"."""
    if width <= 0:
        return ""
    length = cell_len(text)
    if length <= width:
        return text + " " * (width - length)
    return set_cell_size(text, width - 1) + "…"


def right(text: str, width: int) -> str:
    """A text at the right end of `width` cells."""
    length = cell_len(text)
    return " " * (width - length) + text if length <= width else fit(text, width)


def cut(parts: Sequence[Part], width: int) -> list[Part]:
    """Parts in exactly `width` cells: cut with "…" at the end where they are longer, filled up where shorter."""
    kept: list[Part] = []
    left = width
    for number, (text, style) in enumerate(parts):
        length = cell_len(text)
        more = any(rest for rest, _ in parts[number + 1 :])
        if length < left or (length == left and not more):
            kept.append((text, style))
            left -= length
            continue
        if left:
            kept.append((fit(text + " " * (left - length) + "…" if length <= left else text, left), style))
            left = 0
        break
    if left:
        kept.append((" " * left, "text"))
    return kept


def wrap(line: Line, width: int) -> list[Line]:
    """A line in as many as it needs to be no wider than this, the further ones indented by its first part."""
    if line.width <= width or width < 8:
        return [line]
    head = line.parts[0][0]
    indent = cell_len(head) if len(line.parts) > 1 else len(head) - len(head.lstrip()) + 2
    margin = " " * min(indent, width // 3)
    rows: list[list[Part]] = [[]]
    left = width
    for text, style in line.parts:
        while text:
            taken = _taken(text, left)
            rows[-1].append((text[:taken], style))
            left -= cell_len(text[:taken])
            text = text[taken:]
            if text:
                rows.append([(margin, style)])
                left = width - len(margin)
    return [Line(tuple(row), line.target, line.dim, line.lit) for row in rows]


def _taken(text: str, width: int) -> int:
    """How many characters of a text fit into so many cells; an accent stays with its letter."""
    room = width
    for number, character in enumerate(text):
        room -= get_character_cell_size(character)
        if room < 0:
            return number
    return len(text)


def size(count: int) -> str:
    """Bytes for people: "12.4 kB"."""
    return humanize.naturalsize(count).replace(" Bytes", " B").replace(" Byte", " B")


def files(count: int) -> str:
    return "1 file" if count == 1 else f"{humanize.intcomma(count)} files"
