"""Every key, and what the glyphs mean. Made from the actions registry, so it cannot tell of a key that is not there."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Button, Static

from app.tui.actions import Action, key_names
from app.tui.paint import DARK, LIGHT
from app.tui.screens.dialog import Dialog

KEYS_WIDE, LABEL_WIDE = 14, 18  # cells

# (style of paint, glyph, what it means)
LEGEND = (
    ("rw", "┏━┓ RW", "heavy box: the container's read-write layer, where every change lands"),
    ("ro", "┌─┐ L3", "thin box: a read-only layer of the image; its arrow points to its parent"),
    ("run", "╔═╗ ▶", "double box: the process space, there only while the container runs"),
    ("ice", "╔═╗ ❄", "the same, frozen: paused by the cgroup, no process gets a signal"),
    ("exited", "■ ○", "exited, created: a container is a stack, running or not"),
    ("added", "+", "added by the top layer of the view"),
    ("modified", "~", "modified by it"),
    ("amber", "⇡L2", "copied up from layer L2 before it was changed"),
    ("gone", "⊘", "whiteout: this layer deletes what the layers below have here"),
    ("opaque", "◌", "opaque directory: nothing of the layers below shows through"),
    ("dim", "▒", "shadowed: still in its layer, hidden by one above"),
)


class HelpScreen(Dialog[None]):
    """Dismissed with None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark,f1,q", "leave", show=False, id="help.close"),
        Binding("down,j", "scroll(1)", show=False, id="help.down"),
        Binding("up,k", "scroll(-1)", show=False, id="help.up"),
        Binding("pagedown,ctrl+d,space", "scroll(12)", show=False, id="help.page-down"),
        Binding("pageup,ctrl+u", "scroll(-12)", show=False, id="help.page-up"),
    ]
    AUTO_FOCUS = "#close"

    def __init__(self, actions: Sequence[Action]) -> None:
        super().__init__("Help: keys and glyphs", "esc close · ↑↓ scroll", kind="help")
        self.actions = actions

    def body(self) -> Iterable[Widget]:
        with VerticalScroll(classes="body", can_focus=False):
            yield Static(id="help")

    def on_mount(self) -> None:
        self.call_after_refresh(self._fill)

    def on_resize(self) -> None:
        self.call_after_refresh(self._fill)

    def buttons(self) -> Iterable[Button]:
        yield Button("Close", id="close", compact=True)

    def pressed(self, button: str) -> None:
        self.dismiss(None)

    def action_leave(self) -> None:
        self.dismiss(None)

    def action_scroll(self, lines: int) -> None:
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)

    def _fill(self) -> None:
        """Lay the text out in the columns that there are."""
        wide = self.query_one(VerticalScroll).scrollable_content_region.width
        if wide:
            self.query_one("#help", Static).update(self._text(wide))

    def _text(self, wide: int) -> Content:
        styles = DARK if self.app.current_theme.dark else LIGHT
        lines = [Content.styled("What you see", styles["title"])]
        for name, glyph, meaning in LEGEND:
            lines += _row((glyph, styles[name], KEYS_WIDE), words=(meaning, styles["text"]), wide=wide)
        for group in dict.fromkeys(action.group for action in self.actions):
            lines += [Content(""), Content.styled(group, styles["title"])]
            for action in (action for action in self.actions if action.group == group):
                keys = (key_names(action), styles["key"], KEYS_WIDE)
                label = (action.label, styles["strong"], LABEL_WIDE)
                command = (action.command.format(ref="NAME", image="IMAGE"), styles["dim"])
                lines += _row(keys, label, words=(action.help, styles["text"]), command=command, wide=wide)
        return Content("\n").join(lines)


def _row(
    *columns: tuple[str, str, int], words: tuple[str, str], command: tuple[str, str] = ("", ""), wide: int
) -> list[Content]:
    """Columns of (text, style, cells), then words in what room is left, on several lines if need be; the command after
    them or below."""
    lead = Content.assemble("  ", *((f"{text:<{cells}}", style) for text, style, cells in columns))
    indent = Content(" " * len(lead))
    room = max(wide - len(lead), 20)
    wrapped = textwrap.wrap(words[0], room) or [""]
    lines = [Content.assemble(indent if number else lead, (line, words[1])) for number, line in enumerate(wrapped)]
    if command[0] and len(wrapped[-1]) + 2 + len(command[0]) <= room:
        lines[-1] = Content.assemble(lines[-1], "  ", command)
    elif command[0]:
        lines.append(Content.assemble(indent, command))
    return lines
