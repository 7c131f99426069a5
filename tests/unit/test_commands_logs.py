"""The log of a container, read from a file that a monitor would have written."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.cli.logs import moment_of
from engine.commands import logs as command
from engine.commands.context import Context
from engine.oci.times import nanoseconds, rfc3339
from engine.store.containers import ContainerConfig

ID = "ab" * 32


@pytest.fixture
def context(tmp_path: Path) -> Context:
    context = Context(str(tmp_path))
    context.store.containers.create(ContainerConfig(id=ID, name="web", created="2026-01-01T00:00:00Z"))
    return context


def write(context: Context, *records: tuple[str, str, str]) -> None:
    with open(context.store.containers.path(ID, "log.json"), "w", encoding="utf-8") as log:
        for stream, time, text in records:
            log.write(json.dumps({"log": text, "stream": stream, "time": time}) + "\n")


def test_records_come_in_order_with_their_stream_and_bytes(context: Context) -> None:
    write(context, ("stdout", "2026-01-01T00:00:00Z", "a\n"), ("stderr", "2026-01-01T00:00:00.5Z", "\udcff\n"))
    assert list(command.logs(context, "web")) == [
        ("stdout", "2026-01-01T00:00:00Z", b"a\n"),
        ("stderr", "2026-01-01T00:00:00.5Z", b"\xff\n"),
    ]


def test_a_container_that_never_started_has_no_log_even_if_followed(context: Context) -> None:
    assert list(command.logs(context, ID[:3], follow=True)) == []


def test_a_line_that_is_still_being_written_is_not_read(context: Context) -> None:
    write(context, ("stdout", "2026-01-01T00:00:00Z", "a\n"))
    with open(context.store.containers.path(ID, "log.json"), "a", encoding="utf-8") as log:
        log.write('{"log":"b')
    assert [line.data for line in command.logs(context, "web")] == [b"a\n"]


@pytest.mark.parametrize(
    ("since", "until", "kept"),
    [
        (None, None, "abcd"),
        ("2026-01-01T00:00:00.5Z", None, "bcd"),
        ("2026-01-01T00:00:00.50000001Z", None, "cd"),
        (None, "2026-01-01T00:00:01Z", "abc"),
        ("2026-01-01T01:00:00.9+01:00", None, "cd"),
    ],
)
def test_since_and_until(context: Context, since: str | None, until: str | None, kept: str) -> None:
    seconds = ("00", "00.5", "01", "10.123456789")
    write(context, *(("stdout", f"2026-01-01T00:00:{at}Z", name) for at, name in zip(seconds, "abcd", strict=True)))
    found = command.logs(context, "web", since=since, until=until)
    assert "".join(line.data.decode() for line in found) == kept


def test_the_tail(context: Context) -> None:
    write(context, *(("stdout", "2026-01-01T00:00:00Z", f"{at}\n") for at in range(10)))
    for count in (0, 1, 3, 10, 99):
        expected = [f"{at}\n".encode() for at in range(10)][10 - min(count, 10) :]
        assert [line.data for line in command.logs(context, "web", tail=count)] == expected


@given(st.lists(st.integers(0, 200), max_size=60), st.integers(0, 70), st.integers(1, 500))
def test_the_last_lines_are_found_whatever_the_block_size(lengths: list[int], count: int, block: int) -> None:
    data = b"".join(b"x" * length + b"\n" for length in lengths)
    fd = os.memfd_create("log")
    before, command.BLOCK = command.BLOCK, block
    try:
        os.write(fd, data)
        start, found = command._last_lines(fd, count)
        tail = data[start:]
        assert found == min(count, len(lengths))
    finally:
        command.BLOCK = before
        os.close(fd)
    assert tail.splitlines(keepends=True) == (data.splitlines(keepends=True)[-count:] if count else [])


def test_moments_as_people_give_them() -> None:
    import time

    now = time.time_ns()
    assert abs(now - 90 * 10**9 - nanoseconds(moment_of("1m30s"))) < 10**9
    assert moment_of("1136073600.5") == "2006-01-01T00:00:00.5Z"
    assert moment_of("2026-05-07T02:50:21.123456789Z") == "2026-05-07T02:50:21.123456789Z"
    assert moment_of("2026-05-07T02:50:21+02:00") == "2026-05-07T00:50:21Z"
    local = time.mktime((2026, 5, 7, 2, 50, 0, 0, 0, -1))
    assert moment_of("2026-05-07T02:50") == rfc3339(int(local) * 10**9)
    assert moment_of("2026-05-07T02Z") == moment_of("2026-05-07T04+02:00") == "2026-05-07T02:00:00Z"
    back, ahead = nanoseconds(moment_of("1h.5h")), nanoseconds(moment_of("-1h30m"))
    assert back < now - 5000 * 10**9
    assert ahead > now + 5000 * 10**9
    for bad in ("foo", "", "12x", "--1s", ".s", "2026-13-01", "2026-01-01T99:00"):
        with pytest.raises(ValueError):
            moment_of(bad)
