"""The flags of run, create and update that limit what a container may use, and their values in docker's notation."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from app.cli.flags import Args, Parser


def add_flags(parser: Parser) -> None:
    """The flags."""


def chosen(args: Args) -> dict[str, Any]:
    """The fields of `engine.settings.Settings` that they ask for. BadChoice for what cannot be."""
    return {}
