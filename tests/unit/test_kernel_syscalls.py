"""A system call says, in the trace and in its error, what was called with what."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import trace
from engine.kernel import mounts, processes
from engine.kernel.syscalls import AT_FDCWD, LIBC, Bits, Descriptor, call, descriptor_path, quote, shown


def test_a_failed_call_raises_the_subclass_of_its_errno_and_says_call_and_arguments() -> None:
    with pytest.raises(FileNotFoundError) as caught:
        call("chdir", LIBC.chdir, "/no/such/place")
    assert caught.value.errno == errno.ENOENT
    assert caught.value.strerror == "chdir(/no/such/place): No such file or directory"


def test_a_call_gives_the_kernels_result_and_is_traced_with_duration_and_command(tmp_path: Path) -> None:
    trace.begin()
    number = call("getpid", {"x86_64": 39, "aarch64": 172}[os.uname().machine], shell=lambda: "echo $$")
    with pytest.raises(OSError, match="rmdir"):
        call("rmdir", LIBC.rmdir, os.fspath(tmp_path / "gone"))
    first, second = trace.end()
    assert number == os.getpid()
    assert (first.call, first.result, first.errno, first.shell) == ("getpid", str(number), 0, "echo $$")
    assert first.duration > 0
    assert (second.call, second.args, second.errno) == ("rmdir", [str(tmp_path / "gone")], errno.ENOENT)


def test_integers_reach_the_kernel_whole(tmp_path: Path) -> None:
    """ctypes alone would cut them to 32 bits: a file of 5 GiB would become one of 1 GiB."""
    path = tmp_path / "large"
    path.touch()
    call("truncate", LIBC.truncate, os.fspath(path), 5 << 30)
    assert path.stat().st_size == 5 << 30


def test_a_name_with_a_nul_byte_is_refused_before_the_kernel_would_cut_it() -> None:
    with pytest.raises(ValueError, match="NUL"):
        call("rmdir", LIBC.rmdir, b"/tmp/x\0y")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (mounts.MS_NOSUID | mounts.MS_NODEV, "MS_NOSUID|MS_NODEV"),
        (mounts.MS_REC | mounts.MS_PRIVATE | 1 << 30, "MS_REC|MS_PRIVATE|0x40000000"),
    ],
)
def test_flags_are_shown_by_name(value: int, text: str) -> None:
    assert repr(Bits(value, "MS_", vars(mounts))) == text


def test_a_flags_name_is_looked_for_in_the_module_that_shows_it() -> None:
    assert repr(Bits(0x9000, "AT_", vars(processes))) == "AT_EMPTY_PATH|0x8000"
    assert repr(Bits(0x9000, "AT_", vars(mounts))) == "AT_EMPTY_PATH|AT_RECURSIVE"


def test_arguments_are_shown_short_and_printable() -> None:
    assert shown("") == "''"
    assert shown(None) == "null"
    assert shown(b"caf\xc3\xa9\xff") == "café\\xff"
    assert len(shown("x" * 10_000)) < 2100


def test_a_descriptor_is_shown_with_its_path(tmp_path: Path) -> None:
    fd = os.open(tmp_path, os.O_PATH)
    try:
        assert repr(Descriptor(fd)) == f"{fd}<{tmp_path}>"
        assert descriptor_path(fd, b"below") == f"{tmp_path}/below"
        assert descriptor_path(fd, "/absolute") == "/absolute"
    finally:
        os.close(fd)
    assert repr(Descriptor(AT_FDCWD)) == "AT_FDCWD"
    assert repr(Descriptor(fd)) == str(fd)


@given(st.binary(max_size=40).filter(lambda word: 0 not in word))
def test_a_quoted_word_is_that_word_to_a_shell(word: bytes) -> None:
    printed = subprocess.run([b"sh", b"-c", b"printf %s " + os.fsencode(quote(word))], capture_output=True, check=True)
    assert printed.stdout == word
