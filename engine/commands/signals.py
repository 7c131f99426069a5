"""Signals as people name them: "TERM", "SIGTERM", "15", "RTMIN+3"."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # the C part of `signal`, which brings `enum` along

from engine.errors import InvalidInput


def signal_number(text: str) -> int:
    """The number of a signal. InvalidInput with docker's words for what is none."""
    name = text.strip().upper()
    if name.isascii() and name.isdecimal():
        number = int(name)
        if number in _signal.valid_signals():
            return number
        raise InvalidInput(f"Invalid signal: {text}")
    name = name.removeprefix("SIG")
    base, sign, offset = name.replace("-", "+-").partition("+")
    found = getattr(_signal, f"SIG{base}", None)
    if not isinstance(found, int) or base.startswith("_") or (sign and base not in ("RTMIN", "RTMAX")):
        raise InvalidInput(f"Invalid signal: {text}")
    try:
        number = int(found) + (int(offset) if sign else 0)
    except ValueError:
        raise InvalidInput(f"Invalid signal: {text}") from None
    if base in ("RTMIN", "RTMAX") and not _signal.SIGRTMIN <= number <= _signal.SIGRTMAX:
        raise InvalidInput(f"Invalid signal: {text}")
    return number
