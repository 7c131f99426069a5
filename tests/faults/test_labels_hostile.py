"""A container cannot have labels of security modules written elsewhere: its /proc must prove to be a procfs
(runc CVE-2019-19921, 2025-52881)."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.kernel import mounts, namespaces, processes
from engine.runtime import become
from tests.support.needs import needs_root


def in_a_child(act: Callable[[], None]) -> str:
    """What `act` raises as a Refused, in a process with mounts of its own; "" for nothing."""
    needs_root()
    reader, writer = os.pipe()
    _, pidfd = processes.clone3(namespaces.CLONE_NEWNS)
    if pidfd == -1:
        try:
            mounts.mount("none", "/", "", mounts.MS_REC | mounts.MS_PRIVATE)
            act()
        except become.Refused as refused:
            os.write(writer, str(refused).encode())
        except BaseException as error:
            os.write(writer, repr(error).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, encoding="utf-8") as said:
        words = said.read()
    processes.wait(pidfd)
    os.close(pidfd)
    return words


def test_the_label_is_written_for_the_process_itself_in_a_real_procfs() -> None:
    def act() -> None:
        # No module takes labels on every machine; the kernel's own file for the name shows where it was written.
        become.label([("../comm", "labelled")])
        assert Path("/proc/self/comm").read_text() == "labelled\n"

    assert in_a_child(act) == ""


def test_a_label_that_no_module_takes_ends_the_way_in() -> None:
    words = in_a_child(lambda: become.label([("exec", "exec no-such-profile")]))
    assert words.startswith("failed to apply the label 'exec no-such-profile' (/proc/self/attr/exec): "), words


def test_a_tmpfs_in_its_place_is_refused_and_nothing_written(tmp_path: Path) -> None:
    def act() -> None:
        mounts.mount("none", str(tmp_path), "tmpfs")
        attr = tmp_path / str(os.getpid()) / "attr"
        attr.mkdir(parents=True)
        (attr / "exec").touch()
        mounts.mount(str(tmp_path), "/proc", "", mounts.MS_BIND)
        try:
            become.label([("exec", "label")])
        finally:
            assert (attr / "exec").read_text() == ""

    assert "/proc in the container is no procfs" in in_a_child(act)


def test_a_part_of_procfs_in_its_place_is_refused() -> None:
    def act() -> None:
        mounts.mount("/proc/self/task", "/proc", "", mounts.MS_BIND)  # has a directory of our number too
        become.label([("exec", "label")])

    assert "/proc in the container is no procfs" in in_a_child(act)


@pytest.mark.parametrize("place", ["/proc/self/attr", "/proc/self/attr/exec"])
def test_something_mounted_on_the_file_itself_is_not_written_to(place: str, tmp_path: Path) -> None:
    target = tmp_path / "exec"
    target.touch()

    def act() -> None:
        source = str(target if place.endswith("exec") else tmp_path)
        mounts.mount(source, place.replace("self", str(os.getpid())), "", mounts.MS_BIND)
        become.label([("exec", "label")])

    assert "OSError(18" in in_a_child(act)  # EXDEV
    assert target.read_text() == ""
