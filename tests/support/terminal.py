"""`strata …` at a terminal of its own, as a person sits at it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time

from tests.support.command import Strata


class Terminal:
    """`strata …` on a terminal of its own, as a person sits at it; with `argv` another program, whose session it leads.

    history: everything that came; seen: what of it was not expected yet.
    """

    def __init__(
        self, strata: Strata, *args: str, rows: int = 33, columns: int = 101, argv: list[str] | None = None
    ) -> None:
        self.master, slave = pty.openpty()
        self.resize(rows, columns)
        self.before = termios.tcgetattr(slave)
        self.slave = slave
        self.process = subprocess.Popen(
            argv or strata.argv(*args),
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=strata.env,
            start_new_session=True,
            preexec_fn=(lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0)) if argv else None,
        )
        self.seen = b""
        self.history = b""

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def expect(self, pattern: str, seconds: float = 30) -> None:
        """Read until the pattern has come; what was read is used up."""
        end = time.monotonic() + seconds
        while not (match := re.search(pattern.encode(), self.seen)):
            ready, _, _ = select.select([self.master], [], [], max(0, end - time.monotonic()))
            assert ready, f"{pattern!r} did not come; this did: {self.seen!r}"
            data = os.read(self.master, 65536)
            self.seen += data
            self.history += data
        self.seen = self.seen[match.end() :]

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def foreground(self) -> int:
        """The process group that the terminal's keys go to."""
        return os.tcgetpgrp(self.master)

    def raw(self) -> bool:
        """Whether keys pass through unread now."""
        lflag = termios.tcgetattr(self.slave)[3]
        return not lflag & (termios.ICANON | termios.ECHO | termios.ISIG)

    def hang_up(self) -> None:
        """The window is closed."""
        os.close(self.slave)
        os.close(self.master)
        self.slave = self.master = -1

    def ends(self, seconds: float = 30) -> int:
        return self.process.wait(seconds)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *error: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for fd in (self.slave, self.master):
            if fd >= 0:
                os.close(fd)
