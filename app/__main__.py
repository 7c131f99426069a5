"""`strata`: without words the explorer, else a command in docker's language."""

from __future__ import annotations

import os
import sys


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


if __name__ == "__main__":
    sys.exit(main())
