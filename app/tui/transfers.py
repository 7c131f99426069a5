"""Images on their way in or out: what the engine reports, from any thread, kept as one line a layer."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from textual.content import Content

from app.tui.paint import size
from app.tui.safe_text import safe
from engine.progress import Progress

BAR = 24  # columns
LABEL = 24  # columns of "0123456789ab Downloading"


class Transfer:
    """One pull or push. `ended` is "" while it runs, then what became of it."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.ended = ""
        self.begun = time.monotonic()
        self._states: dict[str, Progress] = {}
        self._said = ""
        self._lock = threading.Lock()

    def report(self, progress: Progress) -> None:
        """Take one word of progress; quick, from any thread. Nothing is drawn here: the screen looks by itself."""
        with self._lock:
            if progress.id:
                self._states[progress.id] = progress
            else:
                self._said = progress.action

    def state(self) -> tuple[str, list[Progress]]:
        """(the last line about the whole, each layer's state in the order they came)."""
        with self._lock:
            return self._said, list(self._states.values())

    def percent(self) -> int:
        """How far it is, by the bytes of the layers."""
        _, rows = self.state()
        total = sum(row.total for row in rows)
        return 100 * sum(min(row.current, row.total) for row in rows) // total if total else 0


def picture(transfer: Transfer, width: int, height: int, ascii_only: bool = False) -> Content:
    """A transfer as at most `height` lines of at most `width` columns: a bar for each layer, those at work first when
    there are too many."""
    said, rows = transfer.state()
    lines = [Content.styled(safe(transfer.ended or said or "…", width), "$text-muted")]
    room = max(1, height - 2)
    done = sum(row.ended for row in rows)
    if len(rows) > room:
        rows = [row for row in rows if not row.ended][:room] or rows[-room:]
    lines += [_line(row, width, ascii_only) for row in rows]
    lines.append(Content.styled(f"{done} of {len(transfer.state()[1])} layers, {transfer.percent()} %", "bold"))
    return Content("\n").join(lines)


def _line(row: Progress, width: int, ascii_only: bool) -> Content:
    full, empty = ("#", ".") if ascii_only else ("━", "─")
    label = f"{safe(row.id, 12):<12} {safe(row.action, 40)}"
    if row.ended or row.total <= 0:
        return Content.styled(label[:width], "$text-success" if row.ended else "")
    sizes = f" {size(row.current)} of {size(row.total)}"
    room = max(0, min(BAR, width - LABEL - len(sizes) - 3))
    filled = min(room, room * row.current // row.total)
    return Content.assemble(
        f"{label[:LABEL]:<{LABEL}} ", (full * filled, "$text-primary"), (empty * (room - filled), "$text-muted"), sizes
    )


def running(transfers: Sequence[Transfer]) -> list[Transfer]:
    """Those that have not ended."""
    return [transfer for transfer in transfers if not transfer.ended]
