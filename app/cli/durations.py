"""Durations as Go writes them: "1m30s", "500ms", "1.5h" (pkg.go.dev/time, ParseDuration)."""

from __future__ import annotations

UNITS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}


def duration(text: str) -> int:
    """Nanoseconds; may be negative. ValueError in Go's words."""
    rest = text[1:] if text[:1] in ("+", "-") else text
    if rest == "0":
        return 0
    total = 0
    if not rest:
        raise ValueError(f'time: invalid duration "{text}"')
    while rest:
        end = len(rest) - len(rest.lstrip("0123456789."))
        number, rest = rest[:end], rest[end:]
        if not number.replace(".", "", 1).isdecimal():
            raise ValueError(f'time: invalid duration "{text}"')
        end = next((at for at, char in enumerate(rest) if char in "0123456789."), len(rest))
        unit, rest = rest[:end], rest[end:]
        if unit not in UNITS:
            what = f'unknown unit "{unit}"' if unit else "missing unit"
            raise ValueError(f'time: {what} in duration "{text}"')
        whole, _, fraction = number.partition(".")
        total += int(whole or "0") * UNITS[unit] + int(int(fraction or "0") * UNITS[unit] / 10 ** len(fraction))
    return -total if text.startswith("-") else total
