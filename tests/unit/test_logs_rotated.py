"""A log of several files: written by the monitor's `Log`, read as one, also while files are put aside."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.commands import logs as reader
from engine.commands.context import Context
from engine.errors import Conflict, InvalidInput
from engine.runtime.records import Log
from engine.settings import Settings
from engine.store.containers import ContainerConfig

ID = "ab" * 32
ENTRY = len('{"log":"0000\\n","stream":"stdout","time":"2026-12-01T02:38:37.145522716Z"}\n')


@pytest.fixture
def context(tmp_path: Path) -> Context:
    context = Context(str(tmp_path))
    context.store.containers.create(ContainerConfig(id=ID, name="web", created="2026-01-01T00:00:00Z"))
    return context


@pytest.fixture
def directory(context: Context) -> Iterator[int]:
    fd = os.open(context.store.containers.path(ID), os.O_RDONLY)
    yield fd
    os.close(fd)


def write(log: Log, numbers: range) -> None:
    for number in numbers:
        log.write("stdout", f"{number:04}\n".encode())


def texts(numbers: range) -> list[bytes]:
    return [f"{number:04}\n".encode() for number in numbers]


def names(context: Context) -> list[str]:
    return sorted(name for name in os.listdir(context.store.containers.path(ID)) if name.startswith("log.json"))


def test_a_full_file_is_put_aside_and_the_oldest_goes(context: Context, directory: int) -> None:
    log = Log(directory, "log.json", 3 * ENTRY, 3)
    write(log, range(3))
    assert names(context) == ["log.json"]
    write(log, range(3, 20))
    log.finish()
    assert names(context) == ["log.json", "log.json.1", "log.json.2"]
    # 20 entries, three a file: two are in the youngest, and two full files are kept.
    assert [line.data for line in reader.logs(context, ID)] == texts(range(12, 20))
    for tail, first in ((0, 20), (1, 19), (2, 18), (3, 17), (8, 12), (100, 12)):
        assert [line.data for line in reader.logs(context, ID, tail=tail)] == texts(range(first, 20))
    assert all(os.path.getsize(context.store.containers.path(ID, name)) <= 3 * ENTRY for name in names(context))


def test_with_one_file_the_full_one_goes(context: Context, directory: int) -> None:
    log = Log(directory, "log.json", 3 * ENTRY, 1)
    write(log, range(8))
    log.finish()
    assert names(context) == ["log.json"]
    assert [line.data for line in reader.logs(context, ID)] == texts(range(6, 8))
    again = Log(directory, "log.json", 3 * ENTRY, 1)  # the next start goes on in it
    write(again, range(8, 9))
    again.finish()
    assert [line.data for line in reader.logs(context, ID)] == texts(range(6, 9))


@pytest.mark.parametrize("files", [1, 2, 5])
@pytest.mark.parametrize("piece", [1, 2, 3, 4, 7])
def test_who_follows_goes_on_in_the_new_file(context: Context, directory: int, files: int, piece: int) -> None:
    """However much is written between two looks, nothing that is still on the disk is missed, and nothing comes
    twice."""
    log = Log(directory, "log.json", 3 * ENTRY, files)
    following = reader._Files(context.store.containers.path(ID))
    got: list[int] = []
    for start in range(0, 42, piece):
        write(log, range(start, start + piece))
        got += [int(reader._parse(line).data) for line in following.lines(True)]
    following.close()
    log.finish()
    assert got == sorted(set(got))
    assert got[-1] == 42 + -42 % piece - 1
    if piece <= 3 * files:  # so much lies on the disk at least, with the file that the reader holds
        assert got == list(range(42 + -42 % piece))


def test_without_a_log_nothing_is_written_and_reading_is_refused(context: Context, directory: int) -> None:
    log = Log(directory, "log.json", kept=False)
    write(log, range(3))
    log.finish()
    assert names(context) == []
    silent = ContainerConfig(id="cd" * 32, name="silent", settings=Settings(log_driver="none"))
    context.store.containers.create(silent)
    with pytest.raises(Conflict, match="configured logging driver does not support reading"):
        reader.logs(context, "silent")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ("json-file", 0, 1)),
        ({"max-size": "10m", "max-file": "3"}, ("json-file", 10_000_000, 3)),
        ({"max-size": "1.5kB"}, ("json-file", 1500, 1)),
        ({"max-size": "200"}, ("json-file", 200, 1)),
        ({"max-size": "-1"}, ("json-file", 0, 1)),
    ],
)
def test_sizes_are_dockers_decimal_ones(options: dict[str, str], expected: tuple[str, int, int]) -> None:
    assert Settings(log_opts=options).log() == expected


@pytest.mark.parametrize(
    ("driver", "options", "said"),
    [
        ("", {"max-size": "foo"}, "failed to initialize logging driver: invalid size: 'foo'"),
        ("", {"max-size": "0"}, "max-size must be a positive number"),
        ("", {"max-size": "10mm"}, "invalid size: '10mm'"),
        ("", {"max-file": "0"}, "max-file cannot be less than 1"),
        ("json-file", {"max-file": "x"}, "max-file cannot be less than 1"),
        ("", {"colour": "red"}, "unknown log opt 'colour' for json-file log driver"),
        ("syslog", {}, 'plugin "syslog" not found; there are json-file and none'),
    ],
)
def test_what_is_no_log_option_is_refused(driver: str, options: dict[str, str], said: str) -> None:
    from engine.commands.living import check_log

    with pytest.raises(InvalidInput) as refused:
        check_log(Settings(log_driver=driver, log_opts=options))
    assert said in str(refused.value)
