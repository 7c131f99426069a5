"""How far a transfer is: on a terminal a line with a bar for each layer, redrawn in place; elsewhere plain lines."""

from __future__ import annotations

import os
import sys
import threading
import time

from app.cli.format import visible

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import TextIO

    from engine.progress import Progress

INTERVAL = 0.05  # seconds between two drawings
BAR = 30  # columns of a bar, less on a narrow terminal
DONE = ("Pull complete", "Already exists", "Pushed", "Layer already exists", "Loaded")


class Bars:
    """Draws what `report` is told, from any thread. A context manager: leaving it leaves the last state on the screen.

    lines: whether to write plain lines where there is no terminal; words: to standard error, not standard output.
    """

    def __init__(self, *, lines: bool = True, words: bool = False, quiet: bool = False) -> None:
        self._out: TextIO = sys.stderr if words else sys.stdout
        self._terminal = self._out.isatty() and not quiet
        self._lines = lines and not quiet
        self._states: dict[str, Progress] = {}
        self._drawn = 0
        self._last = 0.0
        self._lock = threading.Lock()

    def __enter__(self) -> Bars:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            if self._terminal and self._states:
                self._draw(last=True)

    def report(self, progress: Progress) -> None:
        with self._lock:
            before = self._states.get(progress.id)
            if not progress.id:
                self._say(progress.action)
                return
            self._states[progress.id] = progress
            if self._terminal:
                now = time.monotonic()
                changed = before is None or before.action != progress.action
                if now - self._last >= INTERVAL or (changed and progress.action in DONE):
                    self._last = now
                    self._draw()
            elif self._lines and (before is None or before.action != progress.action):
                self._write(f"{progress.id}: {visible(progress.action)}\n")

    def _say(self, text: str) -> None:
        """A line about the whole, above the bars."""
        if self._terminal:
            self._write(self._back() + visible(text) + "\x1b[K\n")
            if self._states:
                self._draw()
        elif self._lines:
            self._write(visible(text) + "\n")

    def _back(self) -> str:
        """Go to where the bars begin, and forget that they are there."""
        up, self._drawn = self._drawn, 0
        return f"\x1b[{up}A\r\x1b[J" if up else ""

    def _draw(self, last: bool = False) -> None:
        try:
            size = os.get_terminal_size(self._out.fileno())
        except OSError:
            size = os.terminal_size((80, 24))
        rows = list(self._states.values())
        room = max(1, size.lines - 2)
        more = ""
        if len(rows) > room and not last:
            active = [row for row in rows if row.action not in DONE] or rows
            more = f"… {len(rows)} layers, {sum(row.action in DONE for row in rows)} done"
            rows = active[: room - 1]
        lines = [line(row, size.columns) for row in rows] + ([more[: size.columns - 1]] if more else [])
        back = self._back()
        self._drawn = len(lines)
        self._write(back + "".join(f"{text}\x1b[K\n" for text in lines))

    def _write(self, text: str) -> None:
        self._out.write(text.encode("utf-8", "backslashreplace").decode("utf-8"))
        self._out.flush()


def line(progress: Progress, columns: int) -> str:
    """One layer's line, at most `columns` - 1 wide: `0123456789ab: Downloading [====>    ] 1.2MB/4.5MB`."""
    from app.cli.format import size

    head = f"{progress.id}: {visible(progress.action)}"
    if progress.action not in DONE and progress.total > 0:
        sizes = f" {size(progress.current)}/{size(progress.total)}"
        width = min(BAR, columns - len(head) - len(sizes) - 5)
        if width >= 5:
            filled = min(width, width * progress.current // progress.total)
            bar = "=" * max(0, filled - 1) + (">" if filled < width else "=") if filled else ""
            head += f" [{bar:<{width}}]"
        head += sizes
    return head[: max(1, columns - 1)]
