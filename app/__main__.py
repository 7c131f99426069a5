"""`strata`: without words the explorer, else a command in docker's language."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


def main() -> int:
    """Run the command line of this process; returns its exit status."""
    _fill_standard_streams()
    from app.cli.main import run

    return run(sys.argv[1:])


def _fill_standard_streams() -> None:
    """A caller may have closed 0, 1 or 2: then the next file opened would get that number, and be written to."""
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number, which is this one
            if fd:
                stream = open(fd, "w", closefd=False)  # noqa: SIM115 (it lives as long as the process)
                setattr(sys, ("stdin", "stdout", "stderr")[fd], stream)


def leave(status: int) -> NoReturn:
    """End the process: at once where nothing but this thread is there, since taking an interpreter down takes 2 ms."""
    if "threading" not in sys.modules:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        except OSError:
            sys.exit(status)  # it says so as Python does
        os._exit(status)
    sys.exit(status)


if __name__ == "__main__":
    leave(main())
