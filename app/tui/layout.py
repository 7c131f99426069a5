"""Where each pane is on a screen of any size: pure, so that every size can be tried without a screen."""

from __future__ import annotations

from dataclasses import dataclass

LEAST = (80, 24)  # columns and rows of the terminal; below it a message says so
COMPACT = (110, 32)  # below either of these: layers a line each, one pane at a time on the right
PANES = ("list", "stack", "files", "provenance", "hood", "details")  # in the order of tab and of their numbers
TITLES = {
    "list": "0 List",
    "stack": "1 Stack",
    "files": "2 Files",
    "provenance": "3 Provenance",
    "hood": "4 Under the hood",
    "details": "5 Details",
}


@dataclass(frozen=True, slots=True)
class Place:
    x: int
    y: int
    width: int
    height: int


def fits(width: int, height: int) -> bool:
    return width >= LEAST[0] and height >= LEAST[1]


def compact(width: int, height: int) -> bool:
    return width < COMPACT[0] or height < COMPACT[1]


def arrange(width: int, height: int, front: str, zoomed: str = "", containers: int = 3) -> dict[str, Place]:
    """Places of the panes in an area below the header and above the footer; those left out are not shown.

    width, height: of that area; front: the pane that shows on the right of a compact screen; zoomed: a pane that
    takes all; containers: lines of the list, for its height. "tabs" is the strip of a compact screen.
    """
    if zoomed:
        return {zoomed: Place(0, 0, width, height)}
    if compact(width, height + 2):
        left = min(38, max(32, width * 2 // 5))
        upper = min(max(containers + 2, 5), height // 3)
        shown = front if front not in ("list", "stack") else "files"
        return {
            "list": Place(0, 0, left, upper),
            "stack": Place(0, upper, left, height - upper),
            "tabs": Place(left, 0, width - left, 1),
            shown: Place(left, 1, width - left, height - 1),
        }
    lower = max(9, min(16, height // 4))
    upper = height - lower
    first = 24 if width < 150 else 32
    stack = max(44, min(72, (width - first) * 2 // 5))
    third = width - first - stack
    why = max(7, min(12, upper // 3))
    half = first + stack
    return {
        "list": Place(0, 0, first, upper),
        "stack": Place(first, 0, stack, upper),
        "files": Place(half, 0, third, upper - why),
        "provenance": Place(half, upper - why, third, why),
        "hood": Place(0, upper, half, lower),
        "details": Place(half, upper, third, lower),
    }
