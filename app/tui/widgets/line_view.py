"""A scrolling view of lines with a cursor: what every pane is. Only the lines that are seen are drawn."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import BindingType
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from app.tui.actions import bindings
from app.tui.messages import Pointed
from app.tui.paint import PALETTES, Line, wrap

SIDEWAYS = 8  # columns that one key scrolls
CURSOR, NO_CURSOR = "▌", " "
REVERSE = Style(reverse=True)  # the cursor where there are no colours


class LineView(ScrollView, can_focus=True):
    """Lines with a cursor on one of them (or on all of its target: a box). Its `pane` is also its id.

    A subclass may give lines one at a time (`count`, `line`) instead of setting them all.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings(pane=True)
    points = True  # whether it has a cursor; without one it just scrolls

    def __init__(self, pane: str, words: str = "") -> None:
        super().__init__(id=pane, classes="pane")
        self.pane = pane
        self.words = words  # shown while there are no lines
        self.cursor = 0
        self.follow = False  # whether it stays at the end as lines come, until somebody scrolls up
        self.at_end = True
        self._lines: Sequence[Line] = ()

    # What there is to draw.

    @property
    def count(self) -> int:
        return len(self._lines)

    def line(self, number: int) -> Line:
        return self._lines[number]

    def longest(self) -> int:
        return max((line.width for line in self._lines), default=0)

    def set_lines(self, lines: Sequence[Line]) -> None:
        """Show these lines. The cursor stays on the target that it is on."""
        target = self.target
        self._lines = lines
        if target is not None and self.points:
            self.cursor = next((n for n, line in enumerate(lines) if line.target == target), self.cursor)
        self.changed()

    def changed(self) -> None:
        """Lines came, went or changed: measure and draw again."""
        self.cursor = max(0, min(self.cursor, self.count - 1))
        self.virtual_size = Size(self.longest() + self.points, max(self.count, 1) + self._headed)
        self.refresh()
        self._stay_at_end()

    def _stay_at_end(self) -> None:
        if self.follow and self.at_end:
            self.scroll_end(animate=False, immediate=True)
            # Again when the layout is done: a pane that is only just shown has no size to scroll in yet.
            self.call_after_refresh(self._to_end)

    def _to_end(self) -> None:
        if self.follow and self.at_end and self.scroll_y < self.max_scroll_y:
            self.scroll_end(animate=False, immediate=True)

    def watch_scroll_y(self, old: float, new: float) -> None:
        super().watch_scroll_y(old, new)
        if new != old and self.size.height:
            self.at_end = new >= self.max_scroll_y - 1

    def on_resize(self, event: events.Resize) -> None:
        self._stay_at_end()

    def heading(self) -> str:
        """A first line that does not scroll away, "" for none."""
        return ""

    # The cursor.

    @property
    def target(self) -> Hashable:
        return self.line(self.cursor).target if 0 <= self.cursor < self.count else None

    def point(self, number: int, *, chosen: bool = False, tell: bool = True) -> None:
        """Put the cursor on a line and tell the app."""
        if not self.count:
            return
        self.cursor = max(0, min(number, self.count - 1))
        self._keep_in_sight()
        self.refresh()
        if tell:
            self.post_message(Pointed(self.pane, self.cursor, self.target, chosen))

    def _keep_in_sight(self) -> None:
        if not self.count:
            return
        first, last = self._extent(self.cursor)
        height = self.scrollable_content_region.height
        if height > 0:
            place = Region(self.scroll_offset.x, first, 1, last - first + 1 + self._headed)
            self.scroll_to_region(place, animate=False, force=True)

    @property
    def _headed(self) -> int:
        return 1 if self.heading() else 0

    def _extent(self, number: int) -> tuple[int, int]:
        """The first and last line of what a line is part of: the lines beside it with the same target."""
        target = self.line(number).target
        if target is None:
            return number, number
        first = last = number
        while first > 0 and self.line(first - 1).target == target:
            first -= 1
        while last + 1 < self.count and self.line(last + 1).target == target:
            last += 1
        return first, last

    def _step(self, by: int) -> None:
        if not self.points:
            self.scroll_relative(y=by, animate=False)
            return
        if not self.count:
            return
        number = self.cursor
        for _ in range(abs(by)):
            number = self._next(number, 1 if by > 0 else -1)
        self.point(number)

    def _next(self, number: int, by: int) -> int:
        """The next line with something to select, from what this line is part of."""
        first, last = self._extent(number) if 0 <= number < self.count else (number, number)
        ahead = range(last + 1, self.count) if by > 0 else range(first - 1, -1, -1)
        return next((n for n in ahead if self.line(n).target is not None), number)

    # Keys and mouse.

    def action_pane(self, verb: str) -> None:
        half = max(1, self.scrollable_content_region.height // 2)
        steps = {"up": -1, "down": 1, "half-up": -half, "half-down": half}
        if verb in steps:
            self._step(steps[verb])
        elif verb == "first":
            self.point(self._next(-1, 1)) if self.points else self.scroll_home(animate=False)
        elif verb == "last":
            self.point(self._next(self.count, -1)) if self.points else self.scroll_end(animate=False)
        elif verb == "choose":
            self.choose()
        else:
            self.sideways(1 if verb == "open" else -1)

    def sideways(self, by: int) -> None:
        self.scroll_relative(x=by * SIDEWAYS, animate=False)

    def choose(self) -> None:
        self.point(self.cursor, chosen=True)

    def on_click(self, event: events.Click) -> None:
        offset = event.get_content_offset(self)
        if offset is None or not self.points:
            return
        number = offset.y + self.scroll_offset.y - self._headed
        if offset.y < self._headed:
            return
        if 0 <= number < self.count and self.line(number).target is not None:
            self.clicked(number, offset.x + self.scroll_offset.x)

    def clicked(self, number: int, column: int) -> None:
        self.point(number, chosen=True)

    # Drawing.

    def render_line(self, y: int) -> Strip:
        palette = PALETTES[self.app.current_theme.dark]
        number = self.scroll_offset.y + y - self._headed
        if y < self._headed:
            head = Strip([Segment(self.heading(), palette.style("dim"))])
            return self._whole(head, Style.null())
        if number >= self.count:
            words = self.words.split("\n") if not self.count else []
            text = words[number] if number < len(words) else ""
            return self._whole(Strip([Segment(" " + text, palette.style("dim"))]), Style.null())
        line = self.line(number)
        under = self.points and line.target is not None and (number == self.cursor or line.target == self.target)
        ground = palette.lit if line.lit else Style.null()
        if under:
            ground = palette.cursor if self.has_focus else palette.cursor_away
            if self.app.no_color:
                ground += REVERSE
        segments = [
            Segment(text, (palette.faint if line.dim else palette.style(style)) + ground) for text, style in line.parts
        ]
        if self.points:
            mark = CURSOR if under else NO_CURSOR
            segments.insert(0, Segment(mark, palette.style("key" if self.has_focus else "dim") + ground))
        strip = Strip(segments, sum(cell_len(segment.text) for segment in segments))
        return self._whole(strip, ground)

    def _whole(self, strip: Strip, ground: Style) -> Strip:
        """The part of a line that is in sight, filled up, on the pane's own ground."""
        start, width = self.scroll_offset.x, self.scrollable_content_region.width
        return strip.extend_cell_length(start + width, ground).crop(start, start + width).apply_style(self.rich_style)

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()


class Scrolled(LineView):
    """A pane of text: it scrolls, nothing in it is selected, and long lines are broken so that nothing is cut off."""

    points = False

    def __init__(self, pane: str, words: str = "") -> None:
        super().__init__(pane, words)
        self._unbroken: Sequence[Line] = ()

    def set_lines(self, lines: Sequence[Line]) -> None:
        self._unbroken = lines
        width = self.scrollable_content_region.width
        super().set_lines([row for line in lines for row in wrap(line, width)])

    def on_resize(self, event: events.Resize) -> None:
        self.set_lines(self._unbroken)
