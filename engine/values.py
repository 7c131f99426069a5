"""Values: small immutable records, as dataclasses are, without what `dataclasses` costs a command at its start (7 ms).

    class Point(Values):
        x: int
        y: int = 0

takes `Point(1, y=2)`, compares, hashes and prints by its fields, and cannot be changed. A default that is a dict is
copied for each record. Type checkers know a subclass as a frozen dataclass (PEP 681).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, ClassVar, Self, TypeVar, dataclass_transform

    _T = TypeVar("_T")
else:

    def dataclass_transform(**choices: object) -> Callable[[_T], _T]:
        return lambda cls: cls


@dataclass_transform(frozen_default=True)
class _Made(type):
    """Turns annotations into slots, and their values into defaults."""

    def __new__(cls, name: str, bases: tuple[type, ...], space: dict[str, Any]) -> _Made:
        fields: dict[str, Any] = {}
        for base in bases:
            fields.update(getattr(base, "_defaults", {}))
        own = [key for key, kind in space.get("__annotations__", {}).items() if not str(kind).startswith("ClassVar")]
        for key in own:
            fields[key] = space.pop(key) if key in space else _NEEDED
        space["__slots__"] = tuple(own)
        space["_defaults"] = fields
        return super().__new__(cls, name, bases, space)


_NEEDED = object()


class Values(metaclass=_Made):
    """The base of all records; see the module."""

    _defaults: ClassVar[dict[str, Any]]

    def __init__(self, *values: Any, **named: Any) -> None:
        """TypeError when a field without a default is missing, or one is given twice or is none."""
        fields = self._defaults
        if len(values) > len(fields):
            raise TypeError(f"{type(self).__name__} has {len(fields)} fields, {len(values)} values were given")
        put = object.__setattr__
        given = dict(zip(fields, values, strict=False))
        for key, default in fields.items():
            if key in named:
                if key in given:
                    raise TypeError(f"{type(self).__name__}: {key} is given twice")
                put(self, key, named.pop(key))
            elif key in given:
                put(self, key, given[key])
            elif default is _NEEDED:
                raise TypeError(f"{type(self).__name__}: {key} is missing")
            else:
                put(self, key, dict(default) if type(default) is dict else default)
        if named:
            raise TypeError(f"{type(self).__name__} has no {', '.join(named)}")

    def __setattr__(self, key: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__}.{key} cannot be changed: make another one with `replaced`")

    def __delattr__(self, key: str) -> None:
        raise AttributeError(f"{type(self).__name__}.{key} cannot be deleted")

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and all(getattr(self, key) == getattr(other, key) for key in self._defaults)

    def __hash__(self) -> int:
        return hash(tuple(getattr(self, key) for key in self._defaults))

    def __repr__(self) -> str:
        shown = ", ".join(f"{key}={getattr(self, key)!r}" for key in self._defaults)
        return f"{type(self).__name__}({shown})"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), tuple(getattr(self, key) for key in self._defaults)

    @classmethod
    def fields(cls) -> tuple[str, ...]:
        """The names of the fields, in order."""
        return tuple(cls._defaults)

    def replaced(self, **changes: Any) -> Self:
        """The same with some fields changed."""
        return type(self)(**{**{key: getattr(self, key) for key in self._defaults}, **changes})

    def plain(self) -> dict[str, Any]:
        """The fields as a dict for JSON or marshal; records in it become dicts too."""
        return {key: _plain(getattr(self, key)) for key in self._defaults}

    @classmethod
    def from_plain(cls, document: dict[str, Any]) -> Self:
        """What `plain` gave, read back: lists become tuples, objects the records that the defaults show. Unknown names
        are passed over; a missing field that has no default is a TypeError."""
        found = {}
        for key, default in cls._defaults.items():
            if key in document:
                value = document[key]
                if isinstance(default, Values) and isinstance(value, dict):
                    value = type(default).from_plain(value)
                found[key] = tuple(value) if isinstance(value, list) else value
        return cls(**found)


def _plain(value: Any) -> Any:
    if isinstance(value, Values):
        return value.plain()
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value
