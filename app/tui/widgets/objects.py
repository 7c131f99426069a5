"""The list: containers with the glyph of their state, then images."""

from __future__ import annotations

from rich.cells import cell_len
from textual import events

from app.tui.drawing import GLYPHS, STATUS_STYLES
from app.tui.model import Objects
from app.tui.paint import Line, fit, size
from app.tui.safe_text import safe
from app.tui.widgets.line_view import LineView
from engine.commands.summaries import ContainerSummary, ImageSummary


class ObjectsPane(LineView):
    """Lines whose targets are ids."""

    def __init__(self) -> None:
        super().__init__("list", "reading…")
        self.objects = Objects()

    def show(self, objects: Objects) -> None:
        self.objects = objects
        self.set_lines(self._draw())

    def go(self, identity: str) -> None:
        """Put the cursor on an object, without telling anybody."""
        for number in range(self.count):
            if self.line(number).target == identity:
                self.point(number, tell=False)
                return

    def on_resize(self, event: events.Resize) -> None:
        self.set_lines(self._draw())

    def longest(self) -> int:
        return 0  # drawn to fit

    def _draw(self) -> list[Line]:
        width = max(self.scrollable_content_region.width - 2, 16)
        lines = [Line((("containers", "dim"),))]
        lines += [_container(one, width) for one in self.objects.containers]
        if not self.objects.containers:
            lines.append(Line((("  none: r runs one", "dim"),)))
        lines.append(Line((("images", "dim"),)))
        for image in self.objects.images:
            lines += _image(image, width)
        if not self.objects.images:
            lines.append(Line((("  none yet", "dim"),)))
        return lines


def _container(one: ContainerSummary, width: int) -> Line:
    style = STATUS_STYLES.get(one.status, "text")
    status = one.status if one.status != "exited" else f"exited {one.exit_code}"
    room = width - 2 - len(status) - 1
    return Line(
        ((GLYPHS.get(one.status, "?") + " ", style), (fit(safe(one.name), room) + " ", "text"), (status, style)), one.id
    )


def _image(image: ImageSummary, width: int) -> list[Line]:
    names = image.names or (image.id.removeprefix("sha256:")[:12],)
    amount = size(image.size)
    lines = []
    for number, name in enumerate(names):
        shown = safe(name)
        # The name matters more than the size, which the sheet has too.
        tail = amount if number == 0 and cell_len(shown) + len(amount) + 3 <= width else ""
        parts = (("▤ ", "ro"), (fit(shown, width - 3 - len(tail)) + " ", "text"), (tail, "dim"))
        lines.append(Line(parts, image.id))
    return lines
