"""JSON as `json.loads` and `json.dumps` read and write it, by the C functions they are made of.

The package around them brings `re`, `enum` and `functools` along: 4 ms of every start of the command. Indentation and
the hooks are what it is still needed for.
"""

from __future__ import annotations

from _json import encode_basestring_ascii, make_encoder, make_scanner

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_BLANKS = " \t\n\r"


class _Rules:
    """What the scanner asks for: no hooks, no control characters in strings."""

    strict = True
    object_hook = object_pairs_hook = None
    parse_float, parse_int = float, int
    parse_constant = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}.__getitem__


_scan = make_scanner(_Rules)  # type: ignore[arg-type]


def loads(data: bytes | str) -> Any:
    """One JSON document (UTF-8). ValueError when it is none."""
    text = data if isinstance(data, str) else data.decode("utf-8", "surrogatepass")
    try:
        value, end = _scan(text, len(text) - len(text.lstrip(_BLANKS)))
    except StopIteration as nothing:
        raise ValueError(f"no JSON value at character {nothing.value}") from None
    if text[end:].strip(_BLANKS):
        raise ValueError(f"more after the JSON value, at character {end}")
    return value


def _refuse(value: object) -> object:
    raise TypeError(f"JSON has no form for {type(value).__name__}")


def dumps(value: object) -> str:
    """A value as one line of ASCII, `", "` and `": "` between its parts. TypeError for what JSON has no form for."""
    encode = make_encoder({}, _refuse, encode_basestring_ascii, None, ": ", ", ", False, False, True)
    return "".join(encode(value, 0))


def sheet(fields: dict[str, Any]) -> str:
    """An object for people to open: a field a line."""
    return "{\n" + ",\n".join(f" {dumps(key)}: {dumps(value)}" for key, value in fields.items()) + "\n}"
