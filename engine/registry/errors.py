"""What goes wrong with a registry."""

from __future__ import annotations

from engine.errors import StrataError


class RegistryError(StrataError):
    """A registry, or the network on the way to it, did not do what was asked. status: of its answer, 0 = there was none
    or another reason."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class Unauthorized(RegistryError):
    """The registry wants (other) credentials: `strata login`."""


def printable(text: str, most: int = 300) -> str:
    """A registry's own words, fit to be shown: no control characters, and not without end."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text[:most])
