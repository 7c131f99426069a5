"""A pseudo-terminal of a private devpts: a pair, its size, a controlling terminal."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from engine.kernel import mounts, terminals
from tests.support.isolated import isolated
from tests.support.needs import needs_root

needs_root()


def private_devpts() -> int:
    """The root of a devpts that is mounted nowhere."""
    context = mounts.fsopen("devpts")
    mounts.fsconfig_string(context, "ptmxmode", "0666")
    mounts.fsconfig_create(context)
    return mounts.fsmount(context)


def test_a_pair_is_made_in_the_devpts_that_is_given() -> None:
    devpts = private_devpts()
    master, slave = terminals.open_pty_in(devpts)
    try:
        assert not os.get_inheritable(master) and not os.get_inheritable(slave)
        assert terminals.number(master) == 0  # the first of its own instance, whatever the host has open
        assert os.fstat(slave).st_dev == os.fstat(devpts).st_dev
        assert os.listdir(f"/proc/self/fd/{devpts}") == ["0", "ptmx"]
        os.write(slave, b"hello\n")
        assert os.read(master, 100) == b"hello\r\n"
    finally:
        for fd in (devpts, master, slave):
            os.close(fd)


def test_a_size_set_on_one_end_is_read_on_the_other() -> None:
    devpts = private_devpts()
    master, slave = terminals.open_pty_in(devpts)
    terminals.set_size(master, 40, 65535)
    assert terminals.get_size(slave) == (40, 65535)
    for fd in (devpts, master, slave):
        os.close(fd)


def test_a_terminal_becomes_the_controlling_one_only_when_asked() -> None:
    def act() -> tuple[int, bool]:
        os.setsid()
        _, slave = terminals.open_pty_in(private_devpts())
        try:
            os.open("/dev/tty", os.O_RDWR)
            before = 0
        except OSError as error:
            before = error.errno or 0
        terminals.set_controlling(slave)
        return before, os.tcgetpgrp(slave) == os.getpgrp()

    assert isolated(act, 0) == (errno.ENXIO, True)


def test_a_ptmx_that_leads_elsewhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ptmx").symlink_to("/dev/ptmx")
    fd = os.open(tmp_path, os.O_PATH)
    with pytest.raises(OSError, match=r"openat2.*ptmx"):
        terminals.open_pty_in(fd)
    os.close(fd)
