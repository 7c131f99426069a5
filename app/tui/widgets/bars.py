"""The line on top (what is selected, what it does, what is busy), the keys at the bottom, and the strip of tabs."""

from __future__ import annotations

from rich.text import Text
from textual import events
from textual.message import Message
from textual.widget import Widget

from app.tui.actions import ACTIONS, allowed, key_names
from app.tui.drawing import GLYPHS, STATUS_STYLES
from app.tui.paint import PALETTES, Part, cut, size
from app.tui.safe_text import safe

SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


class Bar(Widget):
    """One line of styled parts, with places in it that can be clicked."""

    class Chosen(Message):
        """A place was clicked; action: what it means."""

        def __init__(self, action: str) -> None:
            super().__init__()
            self.action = action

    def __init__(self, identity: str) -> None:
        super().__init__(id=identity, classes="bar")
        self.places: list[tuple[Part, str]] = []

    def show(self, places: list[tuple[Part, str]]) -> None:
        """places: (text and style, the action that a click on it does, "" for none)."""
        if places != self.places:
            self.places = places
            self.refresh()

    def render(self) -> Text:
        palette = PALETTES[self.app.current_theme.dark]
        text = Text(no_wrap=True, end="")
        for words, style in cut([part for part, _ in self.places], self.size.width):
            text.append(words, palette.style(style))
        return text

    def on_click(self, event: events.Click) -> None:
        at = 0
        for (words, _), action in self.places:
            at += len(words)
            if event.x < at:
                if action:
                    self.post_message(self.Chosen(action))
                return


def header(
    width: int, name: str, kind: str, status: str, note: str, busy: list[str], tick: int, root: str
) -> list[tuple[Part, str]]:
    """strata, what is selected and how it is, what is busy; help at the right."""
    places: list[tuple[Part, str]] = [((" strata ", "key"), ""), ((" ", "dim"), "")]
    if kind == "container":
        style = STATUS_STYLES.get(status, "text")
        places += [((safe(name), "strong"), ""), ((f" {GLYPHS.get(status, '?')} {status}", style), "")]
    elif kind == "image":
        places += [((safe(name), "strong"), ""), ((" ▤ image", "ro"), "")]
    elif not busy:
        places.append(((f"nothing in {safe(root)} yet", "dim"), ""))
    if note:
        places.append(((f"   {note}", "text"), ""))
    if busy:
        more = f" (+{len(busy) - 1})" if len(busy) > 1 else ""
        places.append(((f"   {SPINNER[tick % len(SPINNER)]} {safe(busy[0])}{more}", "amber"), ""))
    tail: list[tuple[Part, str]] = [(("^p palette  ", "dim"), "palette"), (("? help ", "dim"), "help")]
    used = sum(len(words) for (words, _), _ in places)
    gap = width - used - sum(len(words) for (words, _), _ in tail)
    return [*places, ((" " * max(gap, 1), "dim"), ""), *tail]


def footer(width: int, kind: str, status: str) -> list[tuple[Part, str]]:
    """The keys of what can be done now, as many as there is room for; help and quit always."""
    shown = sorted((action for action in ACTIONS if action.footer), key=lambda action: action.footer)
    places: list[tuple[Part, str]] = [((" ", "dim"), "")]
    last = shown[-2:]
    room = width - 2 - sum(len(key_names(action).split(" ")[0]) + len(action.label) + 3 for action in last)
    for action in shown:
        if not allowed(action, kind, status):
            continue
        key = key_names(action).split(" ")[0]
        label = "go on" if action.id == "pause" and status == "paused" else action.label
        length = len(key) + len(label) + 3
        if action not in last:
            if length > room:
                continue
            room -= length
        places += [((key, "key"), action.id), ((f" {label}  ", "dim"), action.id)]
    return places


def tabs(names: list[tuple[str, str]], front: str) -> list[tuple[Part, str]]:
    """names: (action, title) of the panes that share a place; front: the action of the one that is seen."""
    places: list[tuple[Part, str]] = []
    for number, (action, title) in enumerate(names):
        if number:
            places.append((("│", "faint"), ""))
        places.append(((f" {title} ", "key" if action == front else "dim"), action))
    return places


def use(cpu: float | None, memory: int | None) -> str:
    """What a container uses, for the header."""
    words = [f"cpu {cpu:.0f} %"] if cpu is not None else []
    if memory is not None:
        words.append(f"mem {size(memory)}")
    return "  ".join(words)
