"""JSON documents from outside: small, objects, and with one reading only.

Caps and strictness follow SECURITY.md (bombs; media-type confusion, OCI CVE-2021-41190): a document that two readers
can read as two different things is refused.
"""

from __future__ import annotations

import json

from engine.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAX_DOCUMENT = 4 << 20  # bytes; registries and containerd draw the line for manifests here too


def load_document(data: bytes, what: str) -> Any:
    """The JSON value in `data`; `what` names it in errors.

    InvalidInput when it is larger than MAX_DOCUMENT, not UTF-8 JSON, nested without end, an object in it has a key
    twice (Go takes the last, others the first), or a text in it is half a surrogate pair, which is no character.
    """
    if len(data) > MAX_DOCUMENT:
        raise InvalidInput(f"{what} is too large: {len(data)} bytes, the limit is {MAX_DOCUMENT}")
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
        if b"\\u" in data:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        return value
    except RecursionError:
        raise InvalidInput(f"{what} is nested too deeply")
    except ValueError as error:  # also UnicodeError, and integers of thousands of digits
        raise InvalidInput(f"{what} is not valid JSON: {error}")


def load_object(data: bytes, what: str) -> dict[str, Any]:
    """`load_document`, and the value must be an object."""
    value = load_document(data, what)
    if not isinstance(value, dict):
        raise InvalidInput(f"{what} is not a JSON object")
    return value


def dump_document(value: object) -> bytes:
    """The bytes of a document we write: compact, keys in the order given, so that equal values have equal digests.

    Bytes that are no text (surrogates, from a command line or a file name) become U+FFFD, as Go writes them.
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        return "".join("\ufffd" if "\ud800" <= character <= "\udfff" else character for character in text).encode()


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"key {next(key for key in keys if keys.count(key) > 1)!r} appears twice")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
