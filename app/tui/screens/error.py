"""An error, whole: nothing of what the engine said is left out; what does not fit scrolls."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widget import Widget
from textual.widgets import Button

from app.tui.screens.dialog import Dialog, plain


class ErrorScreen(Dialog[None]):
    """Dismissed with None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "scroll(1)", show=False, id="error.down"),
        Binding("k", "scroll(-1)", show=False, id="error.up"),
        Binding("down", "scroll(1)", show=False, id="error.down-arrow"),
        Binding("up", "scroll(-1)", show=False, id="error.up-arrow"),
    ]
    AUTO_FOCUS = "#close"

    def __init__(self, title: str, text: str) -> None:
        """title: what was tried; text: what went wrong, any number of lines."""
        super().__init__(title, "esc close · ↑↓ scroll", kind="error")
        self.text = text

    def body(self) -> Iterable[Widget]:
        with VerticalScroll(classes="body", can_focus=False):
            yield plain(self.text, id="error")

    def buttons(self) -> Iterable[Button]:
        yield Button("Close", id="close", compact=True)

    def pressed(self, button: str) -> None:
        self.dismiss(None)

    def action_scroll(self, lines: int) -> None:
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)

    def action_leave(self) -> None:
        self.dismiss(None)
