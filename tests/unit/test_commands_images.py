"""Names of images against the patterns that `images` and its filters take."""

from __future__ import annotations

import pytest

from engine.commands.filters import boolean, check, has_labels, passes
from engine.commands.images import _pattern
from engine.errors import InvalidInput


@pytest.mark.parametrize(
    ("shown", "wanted", "fits"),
    [
        ("demo:latest", "demo", True),
        ("demo:latest", "demo:latest", True),
        ("demo:latest", "demo:v1", False),
        ("demo:latest", "de*", True),
        ("demo:latest", "*:latest", True),
        ("demo:latest", "dem", False),
        ("user/demo:v1", "user/demo", True),
        ("user/demo:v1", "user/*", True),
        ("user/demo:v1", "*", False),  # a pattern without a slash means names without one
        ("host:5000/demo:v1", "host:5000/demo", True),
    ],
)
def test_patterns(shown: str, wanted: str, fits: bool) -> None:
    assert _pattern(shown)(wanted) is fits


def test_labels_must_all_be_there() -> None:
    labels = {"a": "1", "b": ""}
    assert has_labels(["a", "b"], labels)
    assert has_labels(["a=1"], labels)
    assert has_labels(None, labels)
    assert not has_labels(["a=2"], labels)
    assert not has_labels(["a", "c"], labels)


def test_several_values_of_one_filter_mean_any_of_them() -> None:
    assert passes(["x", "y"], "y".__eq__)
    assert not passes(["x"], "y".__eq__)
    assert passes(None, "y".__eq__)


def test_unknown_filters_and_values_are_refused() -> None:
    with pytest.raises(InvalidInput, match="invalid filter 'foo'"):
        check({"foo": ["1"]}, ("bar",))
    assert boolean("true", "dangling")
    with pytest.raises(InvalidInput, match="invalid filter 'dangling=maybe'"):
        boolean("maybe", "dangling")
