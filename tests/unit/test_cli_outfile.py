"""Where an archive goes: a file is there whole or not at all, what is no file is written to, no terminal ever is."""

from __future__ import annotations

import errno
import os
import pty
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from app.cli.outfile import outfile
from engine.errors import InvalidInput
from tests.support.command import HOUSE

# Writes "whole" to the path that is its argument, as `strata save -o` does.
SCRIPT = """
import sys
from app.cli.outfile import outfile
with outfile(sys.argv[1] if len(sys.argv) > 1 else "") as out:
    out.write(b"whole")
"""


def run(*args: str, **streams: object) -> subprocess.CompletedProcess[bytes]:
    env = {**os.environ, "PYTHONPATH": HOUSE}
    return subprocess.run([sys.executable, "-c", SCRIPT, *args], env=env, check=True, **streams)  # type: ignore[call-overload, no-any-return]


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    with outfile(str(tmp_path / "out")) as out:
        out.write(b"whole")
        assert os.listdir(tmp_path) == []
    assert (tmp_path / "out").read_bytes() == b"whole"
    assert os.stat(tmp_path / "out").st_mode & 0o777 == 0o600


@pytest.mark.parametrize("tmpfile", [True, False])
@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt(), InvalidInput("no")])
def test_a_failure_leaves_nothing_and_an_old_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException, tmpfile: bool
) -> None:
    if not tmpfile:
        without_tmpfile(monkeypatch)
    for old in (None, b"old"):
        if old:
            (tmp_path / "out").write_bytes(old)
        with pytest.raises(type(failure)) as raised:
            fail(str(tmp_path / "out"), failure)
        if isinstance(raised.value, OSError):
            assert raised.value.filename == str(tmp_path / "out")
            raised.value.filename = None
        assert os.listdir(tmp_path) == (["out"] if old else [])
    assert (tmp_path / "out").read_bytes() == b"old"


def fail(path: str, failure: BaseException) -> None:
    with outfile(path) as out:
        out.write(b"half")
        raise failure


def without_tmpfile(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a file system that has no nameless files."""
    real = os.open

    def refuse(path: str, flags: int, mode: int = 0o777, **more: int) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, "Operation not supported", path)
        return real(path, flags, mode, **more)

    monkeypatch.setattr("app.cli.outfile.os.open", refuse)


@pytest.mark.parametrize("tmpfile", [True, False])
def test_an_old_file_is_replaced_also_through_a_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tmpfile: bool
) -> None:
    if not tmpfile:
        without_tmpfile(monkeypatch)
    (tmp_path / "real").write_bytes(b"something older and longer")
    (tmp_path / "link").symlink_to("real")
    with outfile(str(tmp_path / "link")) as out:
        out.write(b"whole")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"whole"
    assert sorted(os.listdir(tmp_path)) == ["link", "real"]


def test_a_fifo_is_written_to(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    found: list[bytes] = []
    thread = threading.Thread(target=lambda: found.append((tmp_path / "fifo").read_bytes()))
    thread.start()
    with outfile(str(tmp_path / "fifo")) as out:
        out.write(b"whole")
    thread.join()
    assert found == [b"whole"] and os.listdir(tmp_path) == ["fifo"]


@pytest.mark.parametrize("args", [(), ("/dev/stdout",), ("/proc/self/fd/1",)])
def test_standard_output(tmp_path: Path, args: tuple[str, ...]) -> None:
    assert run(*args, stdout=subprocess.PIPE).stdout == b"whole"
    with open(tmp_path / "out", "wb") as out:
        out.write(b"before ")
        out.flush()
        run(*args, stdout=out)
        out.seek(0, os.SEEK_END)
        out.write(b" after")
    assert (tmp_path / "out").read_bytes() == b"before whole after"
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("args", [(), ("/dev/stdout",), ("/dev/tty",)])
def test_no_terminal(args: tuple[str, ...]) -> None:
    reader, terminal = pty.openpty()
    try:
        code = SCRIPT.replace(
            "with outfile", "import fcntl, termios; fcntl.ioctl(1, termios.TIOCSCTTY, 0)\nwith outfile"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, *args],
            env={**os.environ, "PYTHONPATH": HOUSE},
            stdout=terminal,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    finally:
        os.close(reader)
        os.close(terminal)
    assert done.returncode == 1
    assert b"cowardly refusing to save to a terminal. Use the -o flag or redirect" in done.stderr


def test_where_no_file_can_be(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="is a directory"), outfile(str(tmp_path)):
        pass
    with pytest.raises(InvalidInput, match='directory "/nowhere" does not exist'), outfile("/nowhere/out"):
        pass
