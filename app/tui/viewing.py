"""What the actions that only look and move do: `do_<id>`. None of them changes anything in the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.widgets import Input

from app.tui import layout
from app.tui.actions import ACTIONS
from app.tui.safe_text import safe

if TYPE_CHECKING:
    from app.tui.app import Explorer


class Viewing:
    """Looks and moves for one Explorer."""

    def __init__(self, app: Explorer) -> None:
        self.app = app

    # What is shown.

    def _tab(self, name: str) -> None:
        pane = self.app.pane("details")
        if self.app.session.tab != name:
            pane.scroll_home(animate=False)
        pane.at_end = True
        self.app.session.tab = name
        self.app.session.ask(name)
        self.app.showing.details("details")
        self.app.go("details")

    def do_diff(self) -> None:
        self._tab("diff")

    def do_inspect(self) -> None:
        self._tab("inspect")

    def do_logs(self) -> None:
        self._tab("logs")

    def do_merged(self) -> None:
        self._only(False)

    def do_only(self) -> None:
        self._only(True)

    def _only(self, only: bool) -> None:
        self.app.session.only = only
        self.app.showing.stack()
        self.app.showing.files()

    def do_hidden(self) -> None:
        self.app.session.hidden = not self.app.session.hidden
        self.app.showing.files()

    def do_layer_up(self) -> None:
        self._layer(1)

    def do_layer_down(self) -> None:
        self._layer(-1)

    def _layer(self, by: int) -> None:
        session = self.app.session
        if session.shown is None:
            return
        session.layer = max(0, min(session.layer + by, len(session.shown.layers) - 1))
        pane = self.app.pane("stack")
        for number in range(pane.count):
            if pane.line(number).target == session.layer:
                pane.point(number)
                break

    def do_filter(self) -> None:
        field = self.app.screen_stack[0].query_one("#filter")
        field.add_class("open")
        self.app.go("files")
        field.focus()

    def do_zoom(self) -> None:
        pane = self.app.focused_pane
        self.app.zoomed = "" if self.app.zoomed else pane
        self.app.arrange()

    def do_clear(self) -> None:
        """Esc: leave the zoom, else the filter."""
        if self.app.zoomed:
            self.app.zoomed = ""
            self.app.arrange()
            return
        field = self.app.screen_stack[0].query_one("#filter", Input)
        field.remove_class("open")
        field.value = ""
        self.app.arrange()
        self.app.pane("files").focus()

    # Moving between the panes.

    def do_pane_0(self) -> None:
        self.app.go("list")

    def do_pane_1(self) -> None:
        self.app.go("stack")

    def do_pane_2(self) -> None:
        self.app.go("files")

    def do_pane_3(self) -> None:
        self.app.go("provenance")

    def do_pane_4(self) -> None:
        self.app.go("hood")

    def do_pane_5(self) -> None:
        self.app.go("details")

    def do_next_pane(self) -> None:
        self._pane(1)

    def do_previous_pane(self) -> None:
        self._pane(-1)

    def _pane(self, by: int) -> None:
        at = layout.PANES.index(self.app.focused_pane)
        self.app.go(layout.PANES[(at + by) % len(layout.PANES)])

    # The explorer.

    def do_refresh(self) -> None:
        self.app.session.ask("objects", "stack")
        self.app.session.ask_details()

    def do_theme(self) -> None:
        self.app.theme = "strata-light" if self.app.current_theme.dark else "strata-dark"

    def do_palette(self) -> None:
        self.app.action_command_palette()

    def do_help(self) -> None:
        from app.tui.screens.help import HelpScreen

        self.app.push_screen(HelpScreen(ACTIONS))

    def do_quit(self) -> None:
        jobs = self.app.jobs.running
        if jobs and not self.app.leaving:
            self.app.leaving = True
            doing = ", ".join(safe(one) for one in jobs.values())
            self.app.notify(f"still {doing}: q again leaves it unfinished", severity="warning", markup=False)
            return
        self.app.exit(0)
