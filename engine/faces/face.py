"""What every part of the Engine stands on."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from engine.commands.context import Context

    Filters = Mapping[str, Sequence[str]]


class Face:
    """A part of the Engine: verbs over one context, which the Engine owns."""

    _context: Context
