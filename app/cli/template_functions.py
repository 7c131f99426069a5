"""The functions a `--format` template may call: Go's own, and docker's (json, join, split, upper, lower, title …).

Also how Go's fmt prints a value, which is what `{{.Field}}` does.
"""

from __future__ import annotations

from _collections_abc import Mapping  # loaded already, unlike `collections`

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Fields = dict[str, Any]
    Items = list[Any]
else:
    Fields, Items = dict, list


class TemplateError(Exception):
    """A template that cannot be parsed or executed; Go's words where there are some."""


class _NoValue:
    """A missing key of a Go map."""

    def __repr__(self) -> str:
        return "<no value>"


NO_VALUE = _NoValue()


class MapOfAny(Fields):
    """A Go map, where a missing key is no error (a plain dict stands for a Go struct, where it is)."""


class NilMap(MapOfAny):
    """A Go map that is nil: empty, but null in JSON."""


class NilList(Items):
    """A Go slice that is nil: empty, but null in JSON."""


class Row(Fields):
    """What a template sees of one row of a table. A field that costs something is a callable, called when it is named.

    kind: what docker calls such a row in its errors; methods: fields that take arguments (`.Label "k"`).
    """

    def __init__(self, kind: str, fields: Mapping[str, Any], **methods: Callable[..., Any]) -> None:
        super().__init__(fields)
        self.kind = kind
        self.methods = methods


def text_of(value: Any, nested: bool = False) -> str:
    """A value as Go's fmt prints it with %v."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "<nil>" if nested else "<no value>"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e21 else repr(value)
    if isinstance(value, Mapping):
        pairs = ((key, item() if callable(item) else item) for key, item in value.items())
        return (
            "map["
            + " ".join(f"{key}:{text_of(item, True)}" for key, item in sorted(pairs, key=lambda pair: str(pair[0])))
            + "]"
        )
    if isinstance(value, list | tuple):
        return "[" + " ".join(text_of(item, True) for item in value) + "]"
    return str(value)


def truth(value: Any) -> bool:
    """Go's truth: not false, 0, nil, and no empty text, list or map."""
    return value is not NO_VALUE and bool(value)


def as_json(value: Any) -> str:
    """docker's json function: compact, keys as they come, no HTML escapes."""
    import json

    if value is NO_VALUE:
        return "null"
    return json.dumps(_plain(value), separators=(",", ":"), ensure_ascii=False)


def _plain(value: Any) -> Any:
    if isinstance(value, NilMap | NilList):
        return None
    if isinstance(value, Mapping):
        return {key: _plain(item() if callable(item) else item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        if value is None or value is NO_VALUE:
            raise TemplateError("index of untyped nil")
        if isinstance(value, Mapping):
            if key in value:
                value = value[key]
            else:
                value = "" if isinstance(value, MapOfAny) else NO_VALUE
        elif isinstance(key, int) and isinstance(value, str | list | tuple):
            if not 0 <= key < len(value):
                raise TemplateError(f"index out of range: {key}")
            value = value[key] if not isinstance(value, str) else ord(value[key])
        else:
            raise TemplateError(f"cannot index {text_of(value)} with {text_of(key)}")
    return value


def _slice(value: Any, start: int = 0, end: int | None = None) -> Any:
    if not 0 <= start <= (len(value) if end is None else end) <= len(value):
        raise TemplateError("index out of range")
    return value[start:end]


def _len(value: Any) -> int:
    if not isinstance(value, str | list | tuple | Mapping):
        raise TemplateError(f"len of type {text_of(value)}")
    return len(value)


_VERB = r"%([-+# 0]*)(\*|\d+)?(?:\.(\d+))?([a-zA-Z%])"


def printf(form: str, *values: Any) -> str:
    """Go's fmt.Sprintf, for the verbs s v d q x X t f g e c and %%."""
    import re

    queue = list(values)

    def one(match: re.Match[str]) -> str:
        flags, width, precision, verb = match[1], match[2] or "", match[3], match[4]
        if verb == "%":
            return "%"
        if not queue:
            return f"%!{verb}(MISSING)"
        value = queue.pop(0)
        point = "" if precision is None else f".{precision}"
        if verb in "sv":
            return f"%{flags}{width}{point}s" % text_of(value)
        if verb == "t" and isinstance(value, bool):
            return f"%{flags}{width}s" % text_of(value)
        if verb == "q" and isinstance(value, str):
            from app.cli.format import quote

            return f"%{flags}{width}s" % quote(value)
        if verb in "xX" and isinstance(value, str):
            return value.encode().hex() if verb == "x" else value.encode().hex().upper()
        if verb in "dxXcob" and isinstance(value, int) and not isinstance(value, bool):
            return f"%{flags}{width}{verb}" % value if verb != "b" else format(value, "b").rjust(int(width or 0))
        if verb in "feEgG" and isinstance(value, int | float) and not isinstance(value, bool):
            return f"%{flags}{width}{point}{verb}" % value
        return f"%!{verb}({text_of(value)})"

    text = re.sub(_VERB, one, form)
    return text + "".join(f"%!(EXTRA {text_of(value)})" for value in queue)


def _print(*values: Any) -> str:
    """Go's Sprint: a space between two operands when neither is a text."""
    out = ""
    for at, value in enumerate(values):
        if at and not isinstance(value, str) and not isinstance(values[at - 1], str):
            out += " "
        out += text_of(value)
    return out


def _compare(name: str) -> Callable[[Any, Any], bool]:
    def compare(left: Any, right: Any) -> bool:
        number = isinstance(left, int | float) and isinstance(right, int | float)
        if not number and type(left) is not type(right):
            raise TemplateError("incompatible types for comparison")
        return bool({"lt": left < right, "le": left <= right, "gt": left > right, "ge": left >= right}[name])

    return compare


def _eq(left: Any, *rights: Any) -> bool:
    if not rights:
        raise TemplateError("missing argument for comparison")
    for right in rights:
        if (
            isinstance(left, str) is not isinstance(right, str)
            and None not in (left, right)
            and NO_VALUE not in (left, right)
        ):
            raise TemplateError("incompatible types for comparison")
    return left in rights


def _join(items: Any, separator: str) -> str:
    return separator.join(text_of(item, True) for item in items or ())


def _pad(text: str, before: int, after: int) -> str:
    return " " * before + text + " " * after if text else text


def _title(text: str) -> str:
    import re

    return re.sub(r"\b\w", lambda match: match[0].upper(), text)


FUNCTIONS: dict[str, Any] = {
    "and": None,  # and, or: the interpreter's own, they do not evaluate every argument
    "or": None,
    "not": lambda value: not truth(value),
    "eq": _eq,
    "ne": lambda left, right: not _eq(left, right),
    "lt": _compare("lt"),
    "le": _compare("le"),
    "gt": _compare("gt"),
    "ge": _compare("ge"),
    "index": _index,
    "slice": _slice,
    "len": _len,
    "print": _print,
    "printf": printf,
    "println": lambda *values: " ".join(text_of(value) for value in values) + "\n",
    "json": as_json,
    "join": _join,
    "split": lambda text, separator: text.split(separator) if separator else list(text),
    "upper": lambda text: text.upper(),
    "lower": lambda text: text.lower(),
    "title": _title,
    "pad": _pad,
    "truncate": lambda text, length: text[:length],
}

# For the header row of a table: the functions that shape a value let the column's title through.
HEADER_FUNCTIONS: dict[str, Any] = {
    "json": lambda title: title,
    "join": lambda title, *_: title,
    "split": lambda title, *_: title,
    "upper": lambda title: title,
    "lower": lambda title: title,
    "title": lambda title: title,
    "pad": lambda title, *_: title,
    "truncate": lambda title, *_: title,
}
