"""Times are read without datetime, calendar or strptime, and mean what those say they mean."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import InvalidInput
from engine.oci.times import nanoseconds, rfc3339

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@given(st.datetimes(min_value=datetime(1, 1, 1)), st.integers(0, 999_999_999))
def test_every_moment_is_what_datetime_says(moment: datetime, fraction: int) -> None:
    whole = moment.replace(microsecond=0, tzinfo=UTC)
    text = f"{whole:%m-%dT%H:%M:%S}.{fraction:09}Z"
    expected = (whole - EPOCH) // timedelta(seconds=1) * 10**9 + fraction
    assert nanoseconds(f"{whole.year:04}-{text}") == expected


@given(st.integers(-(10**18), 4 * 10**18))
def test_what_is_written_reads_back(moment: int) -> None:
    assert nanoseconds(rfc3339(moment)) == moment


def test_offsets_and_leap_seconds() -> None:
    assert nanoseconds("2026-05-07T04:50:21+02:00") == nanoseconds("2026-05-07T02:50:21Z")
    assert nanoseconds("2016-12-31T23:59:60Z") == nanoseconds("2017-01-01T00:00:00Z")


@pytest.mark.parametrize(
    "text",
    [
        *("", "x", "2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z", "2026-01-01T24:00:00Z"),
        *("2026-01-01T00:60:00Z", "2026-01-01T00:00:61Z", "2026-1-01T00:00:00Z", "2026-01-01 00:00:00Z"),
        *("2026-01-01T00:00: 1Z", "+026-01-01T00:00:01Z", "2026-01-01T00:00:00", "2026-01-01T00:00:00+2"),
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        nanoseconds(text)
