"""The question before anything is destroyed: what will be lost, the command that does the same, and No by default."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Button, Static

from app.tui.safe_text import safe
from app.tui.screens.dialog import Command, Dialog


class ConfirmScreen(Dialog[bool]):
    """Dismissed with True for yes, False for no, Esc, or Enter on what has the focus at first."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "yes", id="confirm.yes"),
        Binding("n", "answer(False)", "no", id="confirm.no"),
    ]
    AUTO_FOCUS = "#no"
    SPARE = 6

    def __init__(self, title: str, loses: Sequence[str], command: str, *, yes: str = "Yes") -> None:
        """title: the question; loses: what will be lost, a line each; yes: the word on the button that does it."""
        super().__init__(title, "y yes · n no · esc no", kind="danger")
        self.loses = loses
        self.command = command
        self.yes = yes

    def body(self) -> Iterable[Widget]:
        lost = Content("\n").join(Content.assemble(("− ", "bold $text-error"), safe(line)) for line in self.loses)
        yield Static(Content("This will be lost:"), classes="lead")
        with VerticalScroll(classes="body", can_focus=False):
            yield Static(lost, id="loses")
        command = Command(id="command")
        command.show(self.command)
        yield command

    def buttons(self) -> Iterable[Button]:
        yield Button(Content("No"), id="no", compact=True)
        yield Button(Content(self.yes), id="yes", variant="error", compact=True)

    def pressed(self, button: str) -> None:
        self.dismiss(button == "yes")

    def action_answer(self, yes: bool) -> None:
        self.dismiss(yes)

    def action_leave(self) -> None:
        self.dismiss(False)
