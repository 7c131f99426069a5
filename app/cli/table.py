"""Columns as Go's text/tabwriter lays them out for docker: at least 10 wide, 3 spaces between, cells split at tabs."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


LEAST, PADDING = 10, 3


def tabulate(lines: Sequence[str], least: int = LEAST) -> list[str]:
    """The lines with their tabs replaced by spaces, so that cells under each other line up. least: columns of a column.

    A cell belongs to a column only when a tab ends it; a column is a run of neighbouring lines that have it.
    """
    rows = [line.split("\t") for line in lines]
    widths = [[0] * (len(row) - 1) for row in rows]
    for column in range(max((len(row) - 1 for row in rows), default=0)):
        start = 0
        while start < len(rows):
            end = start
            while end < len(rows) and len(rows[end]) - 1 > column:
                end += 1
            if end > start:
                width = max(least, max(len(rows[at][column]) for at in range(start, end)) + PADDING)
                for at in range(start, end):
                    widths[at][column] = width
            start = max(end, start + 1)
    return [
        "".join(f"{cell:<{wide}}" for cell, wide in zip(row, [*wides, 0], strict=True))
        for row, wides in zip(rows, widths, strict=True)
    ]
