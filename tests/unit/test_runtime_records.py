"""What the monitor writes is JSON that the json module reads back, and a log in docker's form."""

from __future__ import annotations

import json
import os
import resource
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.runtime.records import LINE, Log, encode, now, replace, write_steps

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(PLAIN)
def test_plain_data_reads_back(value: object) -> None:
    assert json.loads(encode(value)) == value


def test_a_time_is_rfc_3339_with_nanoseconds() -> None:
    assert now(1_700_000_000_000_000_007) == "2023-11-14T22:13:20.000000007Z"


def entries(path: Path) -> list[tuple[str, str]]:
    lines = path.read_bytes().split(b"\n")[:-1]  # str.splitlines would also split at U+0085 and its like
    return [(entry["stream"], entry["log"]) for entry in map(json.loads, lines)]


def log_of(tmp_path: Path, *writes: tuple[str, bytes]) -> list[tuple[str, str]]:
    path = tmp_path / "log.json"
    path.unlink(missing_ok=True)
    directory = os.open(tmp_path, os.O_RDONLY)
    log = Log(directory, "log.json")
    os.close(directory)
    for stream, data in writes:
        log.write(stream, data)
    log.finish()
    assert log.failure == ""
    return entries(path)


def test_a_line_is_an_entry_and_the_streams_do_not_mix(tmp_path: Path) -> None:
    writes = [("stdout", b"a\nb"), ("stderr", b"x\n"), ("stdout", b"c\n\n"), ("stderr", b"end")]
    expected = [("stdout", "a\n"), ("stderr", "x\n"), ("stdout", "bc\n"), ("stdout", "\n"), ("stderr", "end")]
    assert log_of(tmp_path, *writes) == expected


def test_a_long_line_comes_in_parts_of_which_only_the_last_ends_it(tmp_path: Path) -> None:
    parts = log_of(tmp_path, ("stdout", b"y" * (2 * LINE + 5) + b"\n"))
    assert [len(text) for _, text in parts] == [LINE, LINE, 6]
    assert [text.endswith("\n") for _, text in parts] == [False, False, True]


def test_a_part_is_logged_before_the_line_ends(tmp_path: Path) -> None:
    directory = os.open(tmp_path, os.O_RDONLY)
    log = Log(directory, "log.json")
    os.close(directory)
    log.write("stdout", b"z" * (LINE + 1))
    assert [len(text) for _, text in entries(tmp_path / "log.json")] == [LINE]
    log.finish()


@given(
    st.text(st.characters(codec="utf-8", exclude_characters="\n"), min_size=1, max_size=5),
    st.integers(0, 5),
    st.integers(0, 50),
)
def test_no_character_is_torn(tmp_path_factory: pytest.TempPathFactory, piece: str, offset: int, cut: int) -> None:
    text = "." * offset + piece * (2 * LINE // len(piece))
    data = text.encode()
    parts = log_of(tmp_path_factory.getbasetemp(), ("stdout", data[:cut]), ("stdout", data[cut:] + b"\n"))
    assert "".join(part for _, part in parts) == text + "\n"


def test_bytes_that_are_no_text_are_marked(tmp_path: Path) -> None:
    assert log_of(tmp_path, ("stdout", b"\xff\xfea\n")) == [("stdout", "��a\n")]
    assert log_of(tmp_path, ("stdout", b"\x80" * (LINE + 10)))[0][1] == "�" * LINE


def test_a_write_that_fails_half_way_tears_no_entry(tmp_path: Path) -> None:
    directory = os.open(tmp_path, os.O_RDONLY)
    log = Log(directory, "log.json")
    os.close(directory)
    log.write("stdout", b"kept\n")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        log.write("stdout", b"lost\n")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert log.failure == "its log is incomplete: File too large"
    log.write("stdout", b"kept again\n")
    log.finish()
    assert entries(tmp_path / "log.json") == [("stdout", "kept\n"), ("stdout", "kept again\n")]


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    directory = os.open(tmp_path, os.O_RDONLY)
    replace(directory, "state.json", b"one")
    before = (tmp_path / "state.json").stat().st_ino
    replace(directory, "state.json", b"two")
    os.close(directory)
    assert (tmp_path / "state.json").read_bytes() == b"two"
    assert (tmp_path / "state.json").stat().st_ino != before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["state.json"]


def test_a_trace_is_one_object_a_line_and_the_last_start_only(tmp_path: Path) -> None:
    directory = os.open(tmp_path, os.O_RDONLY)
    step = ("mount", ["proc", "/\n\udcff"], "0", 0, 1.5, 7, "mount -t proc")
    write_steps(directory, "trace.jsonl", [[step] * 3])
    write_steps(directory, "trace.jsonl", [[step], [], [step]])
    os.close(directory)
    lines = [json.loads(line) for line in (tmp_path / "trace.jsonl").read_text().splitlines()]
    assert lines == [dict(zip(("call", "args", "result", "errno", "at", "ns", "shell"), step, strict=True))] * 2
