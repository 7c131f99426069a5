"""Sizes, times, texts and tables look as docker shows them; the expected texts are what docker 28 prints."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.cli import format as forms
from app.cli.table import tabulate


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0B"),
        (999, "999B"),
        (1000, "1kB"),
        (12345, "12.3kB"),
        (5_580_000, "5.58MB"),
        (5_600_000, "5.6MB"),
        (123_456_789, "123MB"),
        (2_000_000_000, "2GB"),
        (999_999, "1MB"),  # docker's own form here is "1e+03kB"
    ],
)
def test_sizes(count: int, text: str) -> None:
    assert forms.size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "Less than a second"),
        (1, "1 second"),
        (59.9, "59 seconds"),
        (60, "About a minute"),
        (119, "About a minute"),
        (120, "2 minutes"),
        (3599, "59 minutes"),
        (3600, "About an hour"),
        (2 * 3600, "2 hours"),
        (47 * 3600, "47 hours"),
        (48 * 3600, "2 days"),
        (13 * 86400, "13 days"),
        (14 * 86400, "2 weeks"),
        (59 * 86400, "8 weeks"),
        (60 * 86400, "2 months"),
        (700 * 86400, "23 months"),
        (731 * 86400, "2 years"),
        (-5, "Less than a second"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert forms.duration(seconds) == text


def test_times() -> None:
    assert forms.seconds_of("1970-01-01T00:01:00.5Z") == 60.5
    assert forms.seconds_of("2026-05-07T04:50:21+02:00") == forms.seconds_of("2026-05-07T02:50:21Z")
    assert forms.ago("1970-01-01T01:00:00Z", 10800) == "2 hours ago"
    assert {forms.ago(text) for text in ("", "0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z")} == {"N/A"}


def test_when_something_was_made_in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    try:
        assert forms.created_at("2026-05-07T02:50:21.123Z") == "2026-05-07 02:50:21 +0000 UTC"
    finally:
        monkeypatch.undo()
        time.tzset()


def test_texts_are_cut_with_an_ellipsis() -> None:
    assert forms.ellipsis("/bin/sh -c 'while true; do x; done'", 20) == "/bin/sh -c 'while t…"
    assert forms.ellipsis("x" * 20, 20) == "x" * 20


def test_ids_are_shortened() -> None:
    assert forms.short_id("sha256:" + "ab" * 32) == "abababababab"
    assert forms.short_id("cd" * 32) == "cdcdcdcdcdcd"


def test_a_quoted_text_cannot_move_the_cursor_or_turn_the_line_around() -> None:
    assert forms.quote('sh "q" \x1b[31m\u202e') == '"sh \\"q\\" \\x1b[31m\\u202e"'
    assert forms.quote("a\nb\\ä") == '"a\\nb\\\\ä"'


@given(st.text())
def test_nothing_that_a_terminal_obeys_gets_through(text: str) -> None:
    assert all(char.isprintable() or char == "\t" for char in forms.visible(text))
    assert forms.quote(text).isprintable()


def test_bytes_that_are_not_text_are_shown_as_what_they_are() -> None:
    assert forms.visible(b"a\xffb".decode("utf-8", "surrogateescape")) == "a\\xffb"


def test_a_table_lines_up_with_ten_columns_at_least_and_three_blanks_between() -> None:
    lines = tabulate(["REPOSITORY\tTAG\tSIZE", "demo\tlatest\t1kB", "a-much-longer-name\tv1\t5.58MB"])
    assert lines == [
        "REPOSITORY           TAG       SIZE",
        "demo                 latest    1kB",
        "a-much-longer-name   v1        5.58MB",
    ]


def test_a_column_ends_where_a_line_does_not_have_it() -> None:
    assert tabulate(["a\tb", "long-long-long", "c\td"]) == ["a         b", "long-long-long", "c         d"]


def test_an_empty_cell_keeps_its_column_and_the_last_cell_is_not_padded() -> None:
    assert tabulate(["A\tB\tC", "x\t\ty", "x\tz\t"]) == [
        "A         B         C",
        "x                   y",
        "x         z         ",
    ]
    assert tabulate([]) == []
