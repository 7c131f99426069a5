"""Bytes leave whole and in order, whatever they leave to: by the kernel where it can, through memory where not."""

from __future__ import annotations

import gzip
import io
import os
import threading
from pathlib import Path

import pytest

from engine.layers.sink import Sink

CONTENT = os.urandom(300_000)


def send(out: object, source: Path) -> int:
    """A few bytes, a piece of a file, a few bytes."""
    sink = Sink(out)  # type: ignore[arg-type]
    sink.write(b"before")
    with open(source, "rb") as file:
        moved = sink.copy(file.fileno(), 1, len(CONTENT) - 1)
    sink.write(b"after")
    sink.flush()
    return moved


WHOLE = b"before" + CONTENT[1:] + b"after"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(CONTENT)
    return path


@pytest.mark.parametrize("mode", ["wb", "ab", "w+b"])
@pytest.mark.parametrize("buffering", [0, -1])
def test_to_a_file(source: Path, tmp_path: Path, mode: str, buffering: int) -> None:
    with open(tmp_path / "out", mode, buffering) as out:
        out.write(b"earlier")
        assert send(out, source) == len(CONTENT) - 1
        out.write(b"later")
    assert (tmp_path / "out").read_bytes() == b"earlier" + WHOLE + b"later"


def test_to_a_pipe(source: Path) -> None:
    reader, writer = os.pipe()
    found: list[bytes] = []
    with open(reader, "rb") as pipe:
        thread = threading.Thread(target=lambda: found.append(pipe.read()))
        thread.start()
        with open(writer, "wb") as out:
            send(out, source)
        thread.join()
    assert found == [WHOLE]


def test_to_memory_and_through_a_compressor_that_has_a_descriptor_of_its_own(source: Path, tmp_path: Path) -> None:
    memory = io.BytesIO()
    send(memory, source)
    with gzip.open(tmp_path / "out.gz", "wb") as out:
        send(out, source)
    assert memory.getvalue() == gzip.decompress((tmp_path / "out.gz").read_bytes()) == WHOLE


def test_a_file_that_ends_early_says_how_much_there_was(source: Path, tmp_path: Path) -> None:
    with open(tmp_path / "out", "wb") as to_file, io.BytesIO() as to_memory, open(source, "rb") as file:
        for out in (to_file, to_memory):
            assert Sink(out).copy(file.fileno(), 100_000, 1 << 40) == 200_000


def test_nobody_reads_any_more(source: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "wb", 0) as out, pytest.raises(BrokenPipeError):
        send(out, source)
