"""What the forms share: fields of one line, the equivalent command as it is filled in, and what is still wrong."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.suggester import SuggestFromList
from textual.widget import Widget
from textual.widgets import Button, Input, Label, Static

from app.tui.safe_text import safe
from app.tui.screens.dialog import Answer, Command, Dialog

# What may be typed or pasted into a field: nothing that acts on the terminal, reorders or hides.
TYPEABLE = (
    r"[^\x00-\x1f\x7f-\x9f\u00ad\u061c\u115f\u1160\u180b-\u180f\u200b-\u200f\u2028-\u202f\u2060-\u206f\u3164"
    r"\ud800-\udfff\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U000e0000-\U000e0fff]*"
)


@dataclass(frozen=True, slots=True)
class Field:
    """One line to fill in. hint: shown while it is empty; choices: completed as one types, and gone through by ↑ ↓."""

    id: str
    label: str
    hint: str
    value: str = ""
    choices: Sequence[str] = ()


class ChoiceInput(Input):
    """A field; with choices, ↑ and ↓ go through them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "choose(-1)", show=False, id="field.previous"),
        Binding("down", "choose(1)", show=False, id="field.next"),
    ]

    def __init__(self, field: Field) -> None:
        super().__init__(
            field.value if safe(field.value) == field.value else "",
            placeholder=field.hint,
            restrict=TYPEABLE,
            suggester=SuggestFromList(field.choices) if field.choices else None,
            id=field.id,
            compact=True,
        )
        self.choices = [choice for choice in field.choices if safe(choice) == choice]

    def action_choose(self, step: int) -> None:
        """The next or previous choice; in a field without any, the next or previous field."""
        if not self.choices:
            self.app.action_focus_next() if step > 0 else self.app.action_focus_previous()
            return
        at = self.choices.index(self.value) + step if self.value in self.choices else 0
        self.value = self.choices[at % len(self.choices)]
        self.cursor_position = len(self.value)


class Form(Dialog[Answer]):
    """Fields, then the command. A subclass gives `fields`, `command` and `answer`, and says in `problem` what is wrong.

    Enter in a field goes to the next one, in the last one it is the same as the button, as long as nothing is wrong.
    """

    def __init__(self, title: str, what: str, do: str, strata: str) -> None:
        """what: one sentence; do: the word on the button; strata: how the program is called in commands."""
        super().__init__(title, "↵ next · tab field · ctrl+s do it · esc cancel")
        self.what = what
        self.do = do
        self.strata = strata

    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+s", "submit", "do it", priority=True, id="form.submit")]

    def fields(self) -> Sequence[Field]:
        """The fields, top to bottom."""
        raise NotImplementedError

    def command(self) -> str:
        """The equivalent command with what is filled in now."""
        raise NotImplementedError

    def problem(self) -> str:
        """What is wrong with what is filled in, "" = nothing."""
        raise NotImplementedError

    def answer(self) -> Answer:
        """What the form is dismissed with when nothing is wrong."""
        raise NotImplementedError

    def value(self, field: str) -> str:
        """What is filled in, blanks around it left out."""
        return self.query_one(f"#{field}", Input).value.strip()

    def body(self) -> Iterable[Widget]:
        yield Static(Content(self.what), classes="lead")
        for field in self.fields():
            with Horizontal(classes="field"):
                yield Label(Content(field.label))
                yield ChoiceInput(field)
        yield Static(id="problem")
        yield Command(id="command")

    def buttons(self) -> Iterable[Button]:
        yield Button("Cancel", id="cancel", compact=True)
        yield Button(Content(self.do), id="do", variant="primary", compact=True)

    def on_mount(self) -> None:
        self._filled_in()

    def on_input_changed(self) -> None:
        self._filled_in()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        inputs = list(self.query(Input))
        if event.input is inputs[-1]:
            self.action_submit()
        else:
            inputs[inputs.index(event.input) + 1].focus()

    def pressed(self, button: str) -> None:
        if button == "do":
            self.action_submit()
        else:
            self.dismiss(None)

    def action_submit(self) -> None:
        """Answer, unless something is wrong: then its words stay on the screen."""
        if not self.problem():
            self.dismiss(self.answer())

    def action_leave(self) -> None:
        self.dismiss(None)

    def _filled_in(self) -> None:
        problem = self.problem()
        self.query_one("#problem", Static).update(Content(safe(problem)))
        self.query_one("#do", Button).disabled = bool(problem)
        self.query_one(Command).show(self.command())
