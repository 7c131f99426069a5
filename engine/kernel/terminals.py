"""Pseudo-terminals of a private devpts instance, by descriptor: no path a container could swap is looked up.

Light: init and the monitor load this. Sources: pts(4), ioctl_tty(2).
"""

from __future__ import annotations

import os
import struct

from engine.kernel import clib as ctypes
from engine.kernel import paths
from engine.kernel.syscalls import LIBC, call

TIOCGWINSZ = 0x5413
TIOCSWINSZ = 0x5414
TIOCSCTTY = 0x540E
TIOCGPTN = 0x80045430
TIOCSPTLCK = 0x40045431
TIOCGPTPEER = 0x5441


def open_pty_in(devpts_dirfd: int) -> tuple[int, int]:
    """Open a new pair in the devpts whose root this is: (master, slave), both close-on-exec.

    The slave comes from the master itself (TIOCGPTPEER), not from its path. Neither becomes a controlling terminal.
    """
    flags = os.O_RDWR | os.O_NOCTTY
    sealed = paths.RESOLVE_BENEATH | paths.RESOLVE_NO_SYMLINKS | paths.RESOLVE_NO_XDEV
    master = paths.openat2(devpts_dirfd, "ptmx", flags, resolve=sealed)
    try:
        call("ioctl", LIBC.ioctl, master, TIOCSPTLCK, ctypes.byref(ctypes.c_int(0)), show=(master, "TIOCSPTLCK", 0))
        show = (master, "TIOCGPTPEER", "O_RDWR|O_NOCTTY|O_CLOEXEC")
        return master, call("ioctl", LIBC.ioctl, master, TIOCGPTPEER, flags | os.O_CLOEXEC, show=show)
    except OSError:
        os.close(master)
        raise


def number(master: int) -> int:
    """The number of a pair: its slave is /dev/pts/<number> in the container."""
    answer = ctypes.c_uint()
    call("ioctl", LIBC.ioctl, master, TIOCGPTN, ctypes.byref(answer), show=(master, "TIOCGPTN"))
    return int(answer.value)


def set_controlling(slave: int) -> None:
    """Make a terminal the controlling one of this session, whose leader must be this process and have none yet."""
    call("ioctl", LIBC.ioctl, slave, TIOCSCTTY, 0, show=(slave, "TIOCSCTTY", 0))


def set_size(fd: int, rows: int, columns: int) -> None:
    """Set a terminal's size in characters (0…65535); its foreground processes get SIGWINCH if it changed."""
    size = ctypes.create_string_buffer(struct.pack("=4H", rows, columns, 0, 0), 8)
    call("ioctl", LIBC.ioctl, fd, TIOCSWINSZ, size, show=(fd, "TIOCSWINSZ", f"{rows}x{columns}"))


def get_size(fd: int) -> tuple[int, int]:
    """A terminal's size in characters: (rows, columns)."""
    size = ctypes.create_string_buffer(8)
    call("ioctl", LIBC.ioctl, fd, TIOCGWINSZ, size, show=(fd, "TIOCGWINSZ"))
    rows, columns, _, _ = struct.unpack("=4H", size.raw)
    return rows, columns
