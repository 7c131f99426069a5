"""--filter: which keys are known, and how a row passes."""

from __future__ import annotations

from engine.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


def check(filters: Mapping[str, Sequence[str]], known: Sequence[str]) -> None:
    """InvalidInput, in docker's words, for a key nobody knows."""
    for key in filters:
        if key not in known:
            raise InvalidInput(f"invalid filter '{key}'")


def passes(wanted: Sequence[str] | None, test: Callable[[str], bool]) -> bool:
    """Whether no value is asked for, or one of those asked for passes."""
    return not wanted or any(test(value) for value in wanted)


def has_labels(wanted: Sequence[str] | None, labels: Mapping[str, str]) -> bool:
    """Every "key" or "key=value" asked for is there."""
    for item in wanted or ():
        key, equals, value = item.partition("=")
        if key not in labels or (equals and labels[key] != value):
            return False
    return True


def boolean(text: str, key: str) -> bool:
    """A filter's true or false."""
    if text.lower() in ("1", "t", "true"):
        return True
    if text.lower() in ("0", "f", "false"):
        return False
    raise InvalidInput(f"invalid filter '{key}={text}'")
