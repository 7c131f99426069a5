"""The form of `commit`: a name and a message for the image that the container's read-write layer becomes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.tui.screens.dialog import command_line
from app.tui.screens.form import Field, Form
from engine.errors import InvalidInput
from engine.oci.references import parse_reference


@dataclass(frozen=True, slots=True)
class CommitChoice:
    """The image to make. name: "" = none; message: "" = none."""

    name: str
    message: str


class CommitScreen(Form[CommitChoice | None]):
    """Dismissed with a CommitChoice, or None."""

    AUTO_FOCUS = "#name"

    def __init__(self, container: str, *, strata: str = "strata") -> None:
        """container: its name."""
        super().__init__(
            f"Commit {container}: make an image of it",
            "Its read-write layer becomes a read-only one, on top of the same layers. The container stays as it is.",
            "Commit",
            strata,
        )
        self.container = container

    def fields(self) -> Sequence[Field]:
        return (
            Field("name", "image name", "name or name:tag; without one the image has only its id"),
            Field("message", "message", "what changed"),
        )

    def command(self) -> str:
        name, message = self.value("name"), self.value("message")
        told = ("-m", message) if message else ()
        return command_line(self.strata, "commit", *told, self.container, *((name,) if name else ()))

    def problem(self) -> str:
        if self.value("name"):
            try:
                parse_reference(self.value("name"))
            except InvalidInput as error:
                return str(error)
        return ""

    def answer(self) -> CommitChoice:
        return CommitChoice(self.value("name"), self.value("message"))
