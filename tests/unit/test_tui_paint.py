"""Lines are exactly as wide as they are said to be, and nothing is lost where they are broken."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from app.tui.paint import DARK, LIGHT, Line, cut, files, fit, right, size, wrap
from app.tui.safe_text import safe

WORDS = st.text(
    st.one_of(st.characters(min_codepoint=32, max_codepoint=126), st.sampled_from("漢字e\u0301ü")), max_size=40
)
PARTS = st.lists(st.tuples(WORDS.map(safe), st.sampled_from(["text", "dim", "ro"])), min_size=1, max_size=5)


@given(WORDS.map(safe), st.integers(0, 60))
def test_fit_and_right_fill_their_cells(text: str, width: int) -> None:
    assert cell_len(fit(text, width)) == width
    assert cell_len(right(text, width)) == width


@given(PARTS, st.integers(0, 60))
def test_cut_parts_fill_their_cells(parts: list[tuple[str, str]], width: int) -> None:
    assert sum(cell_len(text) for text, _ in cut(parts, width)) == width


def test_what_is_cut_says_so() -> None:
    assert fit("a long name", 6) == "a lon…"
    assert "".join(text for text, _ in cut([("one", "ro"), (" two three", "text")], 8)) == "one two…"


@given(PARTS, st.integers(8, 60))
def test_a_wrapped_line_fits_and_loses_nothing(parts: list[tuple[str, str]], width: int) -> None:
    rows = wrap(Line(tuple(parts), target="it"), width)
    assert all(row.width <= width and row.target == "it" for row in rows)
    whole = "".join(text for text, _ in parts)
    assert "".join(row.text for row in rows).replace(" ", "") == whole.replace(" ", "")


def test_the_further_lines_stand_under_the_first_ones_words() -> None:
    line = Line((("12:00:00 ", "dim"), ("mount(" + "x" * 30 + ")", "text")))
    rows = wrap(line, 30)
    assert rows[0].text.startswith("12:00:00 mount(") and rows[1].text.startswith("         x")


def test_sizes_and_counts_are_for_people() -> None:
    assert (size(0), size(1), size(12_400), size(1_900_000)) == ("0 B", "1 B", "12.4 kB", "1.9 MB")
    assert (files(0), files(1), files(41_234)) == ("0 files", "1 file", "41,234 files")


def test_light_and_dark_know_the_same_styles() -> None:
    assert DARK.keys() == LIGHT.keys()
