"""How far a transfer is: on a terminal a line with a bar for each layer, redrawn in place; elsewhere plain lines.

Whoever reports only notes the new state: a thread of our own draws, so that a slow or stopped terminal holds nobody up.
"""

from __future__ import annotations

import os
import sys
import threading

from app.cli.format import ellipsis, size, visible

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType
    from typing import TextIO

    from engine.progress import Progress

INTERVAL = 0.05  # seconds between two drawings
BAR = 50  # columns of a bar, less on a narrow terminal
LEAST_BAR = 5
ASLEEP = ("Pulling fs layer", "Waiting", "Preparing")  # of no interest while there are too many lines
CLEAR_LINE, CLEAR_BELOW = "\x1b[K", "\x1b[J"


class Bars:
    """Shows what `report` is told, from any thread. A context manager: leaving it, also by an error or ctrl-c, leaves
    the last state of every layer on the screen, and the cursor below.

    lines: whether to write plain lines where there is no terminal; words: to standard error, not standard output.
    """

    def __init__(self, *, lines: bool = True, words: bool = False, quiet: bool = False) -> None:
        self._out: TextIO = sys.stderr if words else sys.stdout
        self._terminal = not quiet and self._out.isatty() and os.environ.get("TERM") != "dumb"
        self._lines = lines and not quiet
        self._states: dict[str, Progress] = {}
        self._drawn: list[str] = []
        self._columns = 0
        self._lock = threading.Lock()  # of the states; held for a moment
        self._pen = threading.Lock()  # of the screen; held while writing
        self._changed = threading.Event()
        self._left = threading.Event()
        self._painter: threading.Thread | None = None

    def __enter__(self) -> Bars:
        if self._terminal:
            self._painter = threading.Thread(target=self._paint, daemon=True)
            self._painter.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._painter is not None:
            self._left.set()
            self._changed.set()
            self._painter.join()
            with self._pen:
                self._finish()

    def report(self, progress: Progress) -> None:
        if not progress.id:
            self._say(progress.action)
            return
        with self._lock:
            before = self._states.get(progress.id)
            self._states[progress.id] = progress
            if self._terminal:
                self._changed.set()
            elif self._lines and (before is None or before.action != progress.action):
                self._write(f"{visible(progress.id)}: {visible(progress.action)}\n")

    def _say(self, text: str) -> None:
        """A line about the whole: above the bars that move, below those that are at their end."""
        if self._terminal:
            with self._pen:
                with self._lock:
                    ended = all(row.ended for row in self._states.values())
                if ended:
                    self._finish()
                before, self._drawn = self._back(self._size()[0]), []
                self._write(f"{before}{visible(text)}{CLEAR_LINE}\n{CLEAR_BELOW if before else ''}")
                self._draw()
        elif self._lines:
            with self._lock:
                self._write(visible(text) + "\n")

    def _paint(self) -> None:
        while not self._left.is_set():
            self._changed.wait()
            self._changed.clear()
            try:
                with self._pen:
                    self._draw()
            except OSError:
                return  # the terminal is gone
            self._left.wait(INTERVAL)

    def _finish(self) -> None:
        """The last picture of these bars, all of them; those to come are drawn below."""
        self._draw(all=True)
        self._drawn = []
        with self._lock:
            self._states.clear()

    def _draw(self, all: bool = False) -> None:
        with self._lock:
            rows = list(self._states.values())
        if not rows:
            return
        columns, lines = self._size()
        new = picture(rows, columns, 1 << 30 if all else lines - 1)
        text, same = [self._back(columns)], self._drawn
        if columns != self._columns and same:  # first of all forget lines that the terminal has broken or joined
            text.append(CLEAR_BELOW)
            same = []
        for number, line in enumerate(new):
            text.append("\n" if number < len(same) and same[number] == line else f"{line}{CLEAR_LINE}\n")
        if len(self._drawn) > len(new):
            text.append(CLEAR_BELOW)
        self._drawn, self._columns = new, columns
        self._write("".join(text))

    def _back(self, columns: int) -> str:
        """Go to where the bars begin. Terminals break lines that became too long when they were made narrower."""
        up = sum(max(1, -(-len(line) // columns)) for line in self._drawn)
        return f"\x1b[{up}A\r" if up else ""

    def _size(self) -> tuple[int, int]:
        try:
            columns, lines = os.get_terminal_size(self._out.fileno())
        except OSError:
            columns = lines = 0
        return columns or 80, max(2, lines or 24)  # a pseudo-terminal that nobody has given a size says 0

    def _write(self, text: str) -> None:
        data = text.encode("utf-8", "backslashreplace")
        stream = getattr(self._out, "buffer", None)
        if stream is None:
            self._out.write(data.decode("utf-8"))
        else:
            self._out.flush()
            stream.write(data)
        self._out.flush()


def picture(rows: Sequence[Progress], columns: int, lines: int) -> list[str]:
    """The rows as at most `lines` lines of less than `columns` columns: when there are more, those at work, and a line
    that sums up the others."""
    if len(rows) <= lines:
        return [line(row, columns) for row in rows]
    moving = [row for row in rows if not row.ended and row.action not in ASLEEP]
    waiting = [row for row in rows if row.action in ASLEEP]
    shown = {id(row) for row in (*moving, *waiting)[: lines - 1]}
    done = sum(row.ended for row in rows)
    total = f"{len(rows)} layers: {done} done, {len(moving)} at work, {len(waiting)} waiting"
    if len(total) >= columns:
        total = f"{done}/{len(rows)} layers"
    return [*(line(row, columns) for row in rows if id(row) in shown), ellipsis(total, columns - 1)]


def line(progress: Progress, columns: int) -> str:
    """One layer's line, less than `columns` wide: `0123456789ab: Downloading [====>    ] 1.2MB/4.5MB`. What does not
    fit goes: the bar, then the word with a percentage in its place."""
    head = f"{visible(progress.id)}: {visible(progress.action)}"
    room = max(1, columns - 1)
    if progress.ended or progress.total <= 0:
        return ellipsis(head, room)
    current = max(0, min(progress.current, progress.total))
    sizes = f" {size(current)}/{size(progress.total)}"
    steady = f" {size(current):>6}/{size(progress.total)}"  # the bar must not jump with each digit
    width = min(BAR, room - len(head) - len(steady) - 3)
    if width >= LEAST_BAR:
        filled = width * current // progress.total
        bar = "=" * width if filled == width else "=" * filled + ">"
        return f"{head} [{bar:<{width}}]{steady}"
    if len(head) + len(sizes) <= room:
        return head + sizes
    return ellipsis(f"{visible(progress.id)}: {100 * current // progress.total:3d}%", room)
