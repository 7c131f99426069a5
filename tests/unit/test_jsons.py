"""The light JSON is the standard library's: same values, same text, same refusals."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import jsons

TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters()),
    lambda below: st.lists(below) | st.dictionaries(st.text(st.characters()), below),
)


@given(TREES)
def test_it_writes_and_reads_as_the_standard_library_does(value: object) -> None:
    text = jsons.dumps(value)
    assert text == json.dumps(value)
    assert jsons.loads(text) == jsons.loads(f" \n{text}\t".encode("utf-8", "surrogatepass")) == json.loads(text)


@pytest.mark.parametrize("bad", ["", " ", "{", "[1,]", '{"a" 1}', "1 2", "{} x", '"\n"', "nul", "'a'", "\ufeff{}"])
def test_what_is_no_json_is_refused(bad: str) -> None:
    for refused in (json.loads, jsons.loads):
        with pytest.raises(ValueError):
            refused(bad)


def test_what_has_no_form_is_refused() -> None:
    with pytest.raises(TypeError, match="no form for set"):
        jsons.dumps({"a": {1}})


def test_a_sheet_has_a_field_a_line() -> None:
    assert jsons.sheet({"id": "a", "list": [1, 2]}) == '{\n "id": "a",\n "list": [1, 2]\n}'
    assert json.loads(jsons.sheet({"a": 1})) == {"a": 1}
