"""The stack: the document's figure, alive. The cursor is on a layer's box; scrolls for stacks of any height."""

from __future__ import annotations

from collections.abc import Hashable

from textual import events

from app.tui.drawing import PROCESSES, StackPicture, draw, height_of
from app.tui.paint import Line, size
from app.tui.widgets.line_view import LineView

BOXES, LOW, LINES = "boxes", "low", "lines"


class StackPane(LineView):
    """Draws a picture in the room that it has: three lines a layer, or two, or one."""

    def __init__(self) -> None:
        super().__init__("stack", "nothing selected")
        self.picture: StackPicture | None = None
        self.selected = 0
        self.only = False
        self.compact = False
        self.foot = ""

    def show(self, picture: StackPicture | None, layer: int, only: bool, foot: str) -> None:
        """layer: the selected one's number; only: the view is of that one alone; foot: sums, under the figure."""
        self.picture, self.selected, self.only, self.foot = picture, layer, only, foot
        self.draw()

    def draw(self) -> None:
        if self.picture is None:
            self._lines = ()
            self.changed()
            return
        width = max(self.scrollable_content_region.width - 1, 24)
        count = len(self.picture.layers)
        shown = [number == self.selected if self.only else number <= self.selected for number in range(count)]
        height = self.scrollable_content_region.height
        density = LINES if self.compact else BOXES
        if density == BOXES and height_of(self.picture, BOXES) + 1 > height:
            density = LOW
        if density == LOW and height_of(self.picture, LOW) > height and count > 12:
            density = LINES
        lines = draw(self.picture, width, shown, density)
        if self.foot:
            lines.append(Line(((self.foot, "dim"),)))
        on_processes = self.target == PROCESSES and self.picture.alive
        wanted: Hashable = PROCESSES if on_processes else self.selected
        self._lines = lines
        self.cursor = next((n for n, line in enumerate(lines) if line.target == wanted), 0)
        self.changed()

    def longest(self) -> int:
        return 0  # drawn to fit

    def on_resize(self, event: events.Resize) -> None:
        self.draw()
        if self.count:
            self._keep_in_sight()

    def sideways(self, by: int) -> None:
        pass


def sums(total: int, seen: int) -> str:
    """What a stack costs: all its bytes, and those that nobody can see any more."""
    wasted = max(total - seen, 0)
    share = f"{100 * (total - wasted) / total:.1f}" if total else "100"
    return f"image {size(total)}, wasted {size(wasted)}, eff {share} %"
