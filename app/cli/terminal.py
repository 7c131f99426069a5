"""The terminal that this process sits at: its size, raw mode, and how it is left as it was found."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self


def terminal_size() -> tuple[int, int]:
    """(rows, columns) of the terminal on standard input or output; (0, 0) when there is none."""
    for fd in (0, 1):
        try:
            size = os.get_terminal_size(fd)
            return size.lines, size.columns
        except OSError:
            continue
    return 0, 0


def check_terminal() -> None:
    """UsageError when standard input, which is to feed a terminal, is none itself."""
    if not os.isatty(0):
        from app.cli.flags import UsageError

        raise UsageError("cannot attach stdin to a TTY-enabled container because stdin is not a terminal", 1)


class RawTerminal:
    """The terminal on standard input passes every key through unread; as it was before, afterwards.

    Changes are made at once (TCSANOW): to wait until everything is written would wait for ever on a terminal whose
    reader has stopped it.
    """

    def __enter__(self) -> Self:
        import termios

        self._before = termios.tcgetattr(0)
        self.enter()
        return self

    def __exit__(self, *exc: object) -> None:
        self.leave()

    def enter(self) -> None:
        """Be raw (again). In the background this stops the process until it is in the foreground."""
        import termios
        import tty

        _patiently(lambda: tty.setraw(0, termios.TCSANOW))

    def leave(self) -> None:
        """Be as before; a terminal that was hung up needs nothing any more."""
        import termios

        _patiently(lambda: termios.tcsetattr(0, termios.TCSANOW, self._before))


def _patiently(change: Callable[[], object]) -> None:
    """Change a terminal's attributes, again when a signal came between (SIGCONT after a stop in the background)."""
    import errno
    import termios

    while True:
        try:
            change()
            return
        except termios.error as error:
            if error.args[0] == errno.EIO:
                return
            if error.args[0] != errno.EINTR:
                raise OSError(*error.args) from error
