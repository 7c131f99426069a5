"""The last steps of the way in that can be tried without root."""

from __future__ import annotations

import errno
import importlib
import os
import sys
from pathlib import Path

import pytest

from engine.runtime import become
from engine.runtime.become import Refused


def test_after_the_door_is_shut_nothing_can_be_imported(tmp_path: Path) -> None:
    (tmp_path / "of_the_container.py").write_text("")
    pid = os.fork()
    if pid == 0:
        try:
            sys.path.insert(0, str(tmp_path))
            become.shut_imports()
            importlib.import_module("of_the_container")
        except ImportError as refused:
            os._exit(0 if "way into a container" in str(refused) else 2)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_the_last_of_a_name_wins_and_home_is_added_only_if_nobody_set_it() -> None:
    assert become.environment(("A=1", "A=2", "B", "=x"), "/root") == {"A": "2", "HOME": "/root"}
    assert become.environment(("HOME=/mine",), "/root") == {"HOME": "/mine"}


def program(path: Path, mode: int = 0o755) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(mode)
    return path


def test_a_name_is_looked_for_in_order_and_what_cannot_run_is_passed_over(tmp_path: Path) -> None:
    program(tmp_path / "one/tool", 0o644)
    (tmp_path / "two/tool").mkdir(parents=True)
    found = program(tmp_path / "three/tool")
    program(tmp_path / "four/tool")
    where = ":".join(str(tmp_path / name) for name in ("none", "one", "two", "three", "four"))
    assert become.program(("tool",), where) == str(found)


def test_a_directory_of_the_path_that_is_not_absolute_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path / "tool")
    program(tmp_path / "bin/tool")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Refused, match=r'exec: "tool": executable file not found in \$PATH') as refused:
        become.program(("tool",), ".:bin::")
    assert refused.value.status == 127


def test_why_a_command_cannot_run_decides_the_status(tmp_path: Path) -> None:
    plain = program(tmp_path / "plain", 0o644)
    for argv, status, text in (
        ((str(plain),), 126, f'exec: "{plain}": permission denied'),
        ((str(tmp_path),), 126, f'exec: "{tmp_path}": is a directory'),
        ((f"{plain}/x",), 126, f'exec: "{plain}/x": stat {plain}/x: not a directory'),
        ((f"{tmp_path}/x",), 127, f'exec: "{tmp_path}/x": stat {tmp_path}/x: no such file or directory'),
        (("plain",), 126, 'exec: "plain": permission denied'),
    ):
        with pytest.raises(Refused) as refused:
            become.program(argv, str(tmp_path))
        assert (refused.value.status, str(refused.value)) == (status, text)


def test_a_working_directory_must_be_absolute_and_there(tmp_path: Path) -> None:
    before = os.getcwd()
    try:
        with pytest.raises(Refused, match="needs to be an absolute path"):
            become.enter_directory("relative", make=True)
        with pytest.raises(Refused, match="no such file or directory") as refused:
            become.enter_directory(str(tmp_path / "a/b"), make=False)
        assert refused.value.status == 127
        become.enter_directory(str(tmp_path / "a/b"), make=True)
        assert os.getcwd() == str(tmp_path / "a/b")
        assert (tmp_path / "a").stat().st_mode & 0o777 == 0o755
        program(tmp_path / "file")
        with pytest.raises(Refused, match="not a directory") as refused:
            become.enter_directory(str(tmp_path / "file/below"), make=True)
        assert refused.value.status == 126
    finally:
        os.chdir(before)


def test_every_errno_has_a_status() -> None:
    for number in errno.errorcode:
        assert become._status(OSError(number, "")) in (125, 126, 127)
