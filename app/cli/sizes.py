"""Sizes as people write them for docker: "64m", "1.5GiB", "6144" (github.com/docker/go-units, RAMInBytes)."""

from __future__ import annotations

POWERS = {"k": 1, "m": 2, "g": 3, "t": 4, "p": 5}


def memory_size(text: str) -> int:
    """Bytes; every unit is a power of 1024. ValueError in docker's words."""
    end = max(text.rfind(char) for char in "0123456789. ")
    if end < 0:
        raise ValueError(f"invalid size: '{text}'")
    number, suffix = text[: end + 1].removesuffix(" "), text[end + 1 :].lower()
    if not number.isascii() or not number.replace(".", "", 1).isdecimal():
        raise ValueError(f"invalid size: '{text}'")
    if suffix not in ("", "b") and (suffix[0] not in POWERS or suffix[1:] not in ("", "b", "ib")):
        raise ValueError(f"invalid suffix: '{suffix}'")
    return int(float(number) * 1024 ** POWERS.get(suffix[:1], 0))


def swap_size(text: str) -> int:
    """As `memory_size`, and "-1": without limit."""
    return -1 if text == "-1" else memory_size(text)
