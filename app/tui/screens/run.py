"""The form of `run`: an image, a name, a command; a container is made from them and started in the background."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from app.tui.screens.dialog import command_line
from app.tui.screens.form import Field, Form
from engine.errors import InvalidInput
from engine.oci.digests import is_hex_id
from engine.oci.references import parse_reference
from engine.store.containers import check_name


@dataclass(frozen=True, slots=True)
class RunChoice:
    """What to run. name: "" = a made-up one; command: its words, none = the image's own."""

    image: str
    name: str
    command: tuple[str, ...]


class RunScreen(Form[RunChoice | None]):
    """Dismissed with a RunChoice, or None."""

    AUTO_FOCUS = "#name"

    def __init__(self, images: Sequence[str], image: str, *, strata: str = "strata") -> None:
        """images: names to choose from; image: the one filled in."""
        super().__init__(
            "Run: create a container, then start it",
            "A read-write layer on the image's top layer, and a process standing on the stack.",
            "Run",
            strata,
        )
        self.images = images
        self.image = image

    def fields(self) -> Sequence[Field]:
        return (
            Field("image", "image", "↑ ↓ choose", self.image, self.images),
            Field("name", "name", "made up when empty"),
            Field("words", "command", "the image's own when empty"),
        )

    def words(self) -> tuple[str, ...]:
        """The command, taken apart as a shell does. ValueError when a quote is not closed."""
        return tuple(shlex.split(self.value("words")))

    def command(self) -> str:
        name = self.value("name")
        try:
            words = self.words()
        except ValueError:
            words = (self.value("words"),)
        named = ("--name", name) if name else ()
        return command_line(self.strata, "run", "-d", *named, self.value("image") or "IMAGE", *words)

    def problem(self) -> str:
        if not self.value("image"):
            return "Which image?"
        try:
            image, name = self.value("image"), self.value("name")
            if image not in self.images and not is_hex_id(image.removeprefix("sha256:")):
                parse_reference(image)
            if name:
                check_name(name)
        except InvalidInput as error:
            return str(error)
        try:
            self.words()
        except ValueError as error:
            return f"The command cannot be taken apart: {error}"
        return ""

    def answer(self) -> RunChoice:
        return RunChoice(self.value("image"), self.value("name"), self.words())
