"""Pull and push: what to bring or send, and a bar for each layer while it is on its way."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.widget import Widget
from textual.widgets import Button, Static

from app.tui.screens.dialog import Command, Dialog, command_line
from app.tui.screens.form import Field, Form
from app.tui.transfers import Transfer, picture
from engine.commands.places import parse_place
from engine.errors import InvalidInput
from engine.oci.platforms import parse_platform
from engine.oci.references import parse_reference

INTERVAL = 0.1  # seconds between two looks at a transfer


def reference_problem(text: str) -> str:
    """What is wrong with the name of an image or a place, "" = nothing."""
    try:
        if parse_place(text) is None:
            parse_reference(text)
    except InvalidInput as error:
        return str(error)
    return ""


@dataclass(frozen=True, slots=True)
class PullChoice:
    """What to pull. platform: "" = this machine's."""

    name: str
    platform: str


class PullScreen(Form[PullChoice | None]):
    """Dismissed with a PullChoice, or None."""

    AUTO_FOCUS = "#name"

    def __init__(self, names: Sequence[str], *, strata: str = "strata") -> None:
        """names: of images that are here, to choose from for another look at the registry."""
        super().__init__(
            "Pull: bring an image in",
            "From a registry by its name; or from docker-archive:FILE, oci:DIR[:TAG], docker-daemon:NAME, podman:NAME.",
            "Pull",
            strata,
        )
        self.names = names

    def fields(self) -> Sequence[Field]:
        return (
            Field("name", "image", "name[:tag], host:port/name, or a place", "", self.names),
            Field("platform", "platform", "this machine's when empty"),
        )

    def command(self) -> str:
        chosen = ("--platform", self.value("platform")) if self.value("platform") else ()
        return command_line(self.strata, "pull", *chosen, self.value("name") or "NAME")

    def problem(self) -> str:
        if not self.value("name"):
            return "Which image?"
        try:
            parse_platform(self.value("platform"))
        except InvalidInput as error:
            return str(error)
        return reference_problem(self.value("name"))

    def answer(self) -> PullChoice:
        return PullChoice(self.value("name"), self.value("platform"))


class PushScreen(Form[str | None]):
    """Dismissed with where to push to, or None."""

    AUTO_FOCUS = "#target"

    def __init__(self, image: str, *, strata: str = "strata") -> None:
        """image: its name."""
        super().__init__(
            f"Push {image}: send it out",
            "To a registry under this name; or to docker-archive:FILE, oci:DIR[:TAG], docker-daemon:NAME, podman:NAME.",
            "Push",
            strata,
        )
        self.image = image

    def fields(self) -> Sequence[Field]:
        return (Field("target", "to", "host:port/name[:tag], or a place", self.image),)

    def command(self) -> str:
        target = self.value("target")
        return command_line(self.strata, "push", self.image, *((target,) if target not in ("", self.image) else ()))

    def problem(self) -> str:
        return reference_problem(self.value("target")) if self.value("target") else "Where to?"

    def answer(self) -> str:
        return self.value("target")


class TransferScreen(Dialog[None]):
    """A transfer while it runs. Closing it lets it go on; it closes by itself when the transfer has ended."""

    SPARE: ClassVar[int] = 2

    def __init__(self, transfer: Transfer, command: str, *, ascii_only: bool = False) -> None:
        super().__init__(transfer.title, "esc close: it goes on")
        self.transfer = transfer
        self.words = command
        self.ascii_only = ascii_only
        self._left = False

    def body(self) -> Iterable[Widget]:
        yield Static(id="bars", classes="body")
        yield Command(id="command")

    def buttons(self) -> Iterable[Button]:
        yield Button("Close", id="close", compact=True)

    def on_mount(self) -> None:
        self.query_one(Command).show(self.words)
        self.set_interval(INTERVAL, self.look)
        self.call_after_refresh(self.look)

    def look(self) -> None:
        """Draw how far it is by now."""
        bars = self.query_one("#bars", Static)
        width = max(20, bars.content_size.width or self.size.width * 2 // 3)
        bars.update(picture(self.transfer, width, max(4, self.size.height - 12), self.ascii_only))
        if self.transfer.ended and self.app.screen is self:  # is_current also holds below another dialog
            self._leave()

    def _leave(self) -> None:
        """Close, once: the timer may come again before the screen has gone."""
        if not self._left:
            self._left = True
            self.dismiss(None)

    def pressed(self, button: str) -> None:
        self._leave()

    def action_leave(self) -> None:
        self._leave()
