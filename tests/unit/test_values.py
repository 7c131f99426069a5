"""Records: made, compared, changed into others, written and read; never changed."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys

import pytest

from engine.settings import Limits, Settings
from engine.values import Values


class Point(Values):
    x: int
    y: int = 0
    notes: dict[str, str] = {}  # noqa: RUF012 (Values copies it)


def test_fields_are_given_by_place_or_name_and_have_defaults() -> None:
    assert (Point(1).x, Point(1).y) == (1, 0)
    assert Point(1, y=2) == Point(x=1, y=2) != Point(1)
    assert hash(Settings.fields()) and repr(Point(1)) == "Point(x=1, y=0, notes={})"


@pytest.mark.parametrize(
    ("values", "named", "words"),
    [((), {}, "x is missing"), ((1,), {"x": 1}, "x is given twice"), ((1,), {"z": 1}, "has no z")],
)
def test_wrong_fields_are_told(values: tuple[int, ...], named: dict[str, int], words: str) -> None:
    with pytest.raises(TypeError, match=words):
        Point(*values, **named)  # type: ignore[arg-type]


def test_too_many_values_are_told() -> None:
    with pytest.raises(TypeError, match="has 3 fields, 4 values"):
        Point(1, 2, {}, 4)  # type: ignore[call-arg]


def test_a_record_cannot_be_changed_but_replaced() -> None:
    point = Point(1, 2)
    with pytest.raises(AttributeError, match="cannot be changed"):
        point.x = 3  # type: ignore[misc]
    with pytest.raises(AttributeError):
        del point.x
    assert point.replaced(x=3) == Point(3, 2)
    assert point == Point(1, 2)


def test_a_default_dict_is_each_records_own() -> None:
    first, second = Point(1), Point(2)
    first.notes["a"] = "b"
    assert second.notes == {}


def test_records_in_records_survive_json_and_names_that_are_unknown_are_passed_over() -> None:
    whole = Settings(limits=Limits(memory=5, device_read_bps=("/dev/sda:1",)), cap_add=("ALL",), tmpfs={"/a": "ro"})
    document = {**json.loads(json.dumps(whole.plain())), "of a newer version": 1}
    assert Settings.from_plain(document) == whole
    assert pickle.loads(pickle.dumps(whole)) == whole


def test_it_does_not_load_dataclasses() -> None:
    code = "import sys, engine.store.container, engine.commands.options; print('dataclasses' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"
