"""Nothing that a layer or container wrote can act on the terminal, hide, or be read as markup."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len, get_character_cell_size

from app.tui.safe_text import LIMIT, safe, safe_lines, safe_text

FORBIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
BIDI = "\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
ZERO_WIDTH = "\u200b\u200c\u200d\u2060\ufeff\u00ad\ufe0f\u3164\U000e0041"


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain name.txt", "plain name.txt"),
        ("\x1b]0;owned\x07", "\\x1b]0;owned\\x07"),
        ("\x9b31m", "\\x9b31m"),
        ("a\nb\tc\rd", "a\\nb\\tc\\rd"),
        (b"caf\xe9".decode("utf-8", "surrogateescape"), "caf\\xe9"),
        ("exe.\u202egpj", "exe.<U+202E>gpj"),
        ("a\u200bb", "a<U+200B>b"),
        ("[/x] [bold]b[/bold]", "[/x] [bold]b[/bold]"),
        ("Grüße 漢字", "Grüße 漢字"),
        ("e\u0301tude", "e\u0301tude"),
        ("\u0301alone", "<U+0301>alone"),
        ("\x7f", "\\x7f"),
    ],
)
def test_what_is_shown(raw: str, shown: str) -> None:
    assert safe(raw) == shown
    assert safe_text(raw).plain == shown


def test_a_long_line_is_clipped() -> None:
    assert safe("x" * 5000) == "x" * LIMIT + "…"


def test_a_pile_of_accents_stays_in_its_line() -> None:
    assert safe("a" + "\u0300" * 50).count("\u0300") == 2


def test_lines_are_kept_apart() -> None:
    assert safe_lines("one\ntwo\x1b[2J\n") == ["one", "two\\x1b[2J", ""]


@given(st.text(alphabet=st.one_of(st.characters(), st.sampled_from(BIDI + ZERO_WIDTH + "\x1b\x9b[]\\")), max_size=60))
def test_nothing_dangerous_is_left_of_any_text(text: str) -> None:
    shown = safe(text)
    assert not [character for character in shown if unicodedata.category(character) in FORBIDDEN]
    assert not set(shown) & set(BIDI + ZERO_WIDTH)
    assert cell_len(shown) == sum(get_character_cell_size(character) for character in shown)
    assert safe_text(text).spans == []
    shown.encode("utf-8")


@given(st.binary(max_size=255))
def test_any_bytes_that_a_file_may_be_named(name: bytes) -> None:
    shown = safe(name.decode("utf-8", "surrogateescape"))
    assert shown.isprintable() or shown == ""
    assert "\x1b" not in shown


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126), max_size=200))
def test_printable_ascii_is_left_as_it_is(text: str) -> None:
    assert safe(text) == text
