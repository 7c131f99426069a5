"""What every dialog is: a box over the explorer, with a title, a body, the equivalent command and buttons.

A dialog never touches the engine. It is dismissed with its answer; Esc is always the harmless one.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from typing import ClassVar, TypeVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Button, Static

from app.tui.safe_text import safe

Answer = TypeVar("Answer")
MOST_PERCENT = 92  # of the screen's height for the box, as in dialogs.tcss
FRAME = 6  # rows of the box's edges, its padding and the buttons


class Dialog(ModalScreen[Answer]):
    """A box in the middle. A subclass gives `body` and `buttons`, and answers in `pressed`."""

    CSS_PATH = "../styles/dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "close", id="dialog.close"),
        Binding("down", "app.focus_next", show=False, id="dialog.next"),
        Binding("up", "app.focus_previous", show=False, id="dialog.previous"),
        Binding("right", "app.focus_next", show=False, id="dialog.right"),
        Binding("left", "app.focus_previous", show=False, id="dialog.left"),
    ]

    SPARE: ClassVar[int] = 0  # rows that a subclass has besides a body that scrolls, the buttons and the frame

    def __init__(self, title: str, keys: str, *, kind: str = "") -> None:
        """title: any text; keys: which keys do what, one line; kind: a class for the looks ("danger", "error")."""
        super().__init__(classes=kind)
        self.heading = title
        self.keys = keys

    def compose(self) -> ComposeResult:
        with Vertical(id="box") as box:
            box.border_title = Content(f" {safe(self.heading, 120)} ")
            box.border_subtitle = Content(f" {self.keys} ")
            yield from self.body()
            with Horizontal(id="buttons"):
                yield from self.buttons()

    def body(self) -> Iterable[Widget]:
        """The widgets between the title and the buttons."""
        raise NotImplementedError

    def buttons(self) -> Iterable[Button]:
        """The buttons, left to right; the harmless one first."""
        raise NotImplementedError

    def pressed(self, button: str) -> None:
        """A button was pressed; its id."""
        raise NotImplementedError

    def on_resize(self) -> None:
        """Keep the buttons on the screen: what scrolls gets the rows that are left."""
        for body in self.query(".body"):
            body.styles.max_height = max(3, self.size.height * MOST_PERCENT // 100 - FRAME - self.SPARE)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        self.pressed(event.button.id or "")

    def action_leave(self) -> None:
        """Close with the harmless answer."""
        raise NotImplementedError


class Command(Static):
    """The `strata …` command that does the same as a dialog."""

    def show(self, command: str) -> None:
        """command: as one would type it."""
        self.update(Content.assemble(("$ ", "$text-muted"), (safe(command), "bold")))


def command_line(strata: str, *words: str) -> str:
    """A command as one would type it in a shell. strata: how the program is called, options and all."""
    return f"{strata} {shlex.join(words)}"


def plain(text: str, *, classes: str = "", id: str | None = None) -> Static:
    """Foreign lines as a widget: each made safe, no markup read."""
    return Static(Content("\n".join(safe(line) for line in text.split("\n"))), classes=classes, id=id)
