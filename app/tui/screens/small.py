"""The plain words that take the explorer's place in a terminal that is too small for it."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static

from app.tui.layout import LEAST


class SmallMessage(Static):
    """Says what size is needed and what there is; it fills its parent."""

    def tell(self, width: int, height: int) -> None:
        """width, height: of the terminal, in cells."""
        self.update(
            Content.assemble(
                (f"This terminal is {width}×{height}.\n", "bold"),
                f"The explorer needs {LEAST[0]}×{LEAST[1]}: make the window larger or the letters smaller.\n",
                "q quits; the strata command works at any size.",
            )
        )
