"""Puts the session into the panes: each method draws one of them from what is known now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content

from app.tui import details
from app.tui.drawing import StackPicture, label
from app.tui.layout import TITLES
from app.tui.paint import Line
from app.tui.safe_text import safe
from app.tui.widgets import bars
from app.tui.widgets.bars import Bar
from app.tui.widgets.files import FilesPane
from app.tui.widgets.objects import ObjectsPane
from app.tui.widgets.stack import StackPane, sums
from engine.commands.summaries import ContainerSummary

if TYPE_CHECKING:
    from app.tui.app import Explorer

TABS = (("logs", "Logs"), ("inspect", "Inspect"), ("diff", "Diff"))
WELCOME = """
Nothing here yet. In another terminal:

  {strata} demo
  {strata} load -i image.tar

What they bring appears here by itself."""


class Showing:
    """Draws for one Explorer."""

    def __init__(self, app: Explorer) -> None:
        self.app = app

    def everything(self) -> None:
        self.objects()
        self.stack()
        self.files()
        for pane in ("hood", "details"):
            self.details(pane)

    def objects(self) -> None:
        pane = self.app.pane("list")
        assert isinstance(pane, ObjectsPane)
        session = self.app.session
        title(pane, TITLES["list"])
        if session.objects is not None:
            before = pane.count
            pane.show(session.objects)
            pane.go(session.selected)
            if pane.count != before:
                self.app.arrange()
        if session.shown is None:
            self.stack()
            self.files(fresh=True)
            for other in ("hood", "details"):
                self.details(other)
        self.bars()

    def stack(self) -> None:
        pane = self.app.pane("stack")
        assert isinstance(pane, StackPane)
        session = self.app.session
        name = f": {safe(session.name, 40)}" if session.selected else ""
        title(pane, TITLES["stack"] + name)
        shown = session.shown
        if shown is None:
            pane.words = "reading…" if session.selected or session.objects is None else "nothing selected"
            pane.show(None, 0, False, "")
            return
        live = session.live
        picture = StackPicture(
            layers=shown.pictures(),
            status=session.status,
            namespace=live.namespace if live else None,
            processes=live.processes if live else (),
            room=session.room,
            oom_kills=live.oom_kills if live else 0,
        )
        foot = sums(shown.image_size, shown.image_seen) if shown.image_seen >= 0 else ""
        pane.show(picture, session.layer, session.only, foot)

    def files(self, fresh: bool = False) -> None:
        pane = self.app.pane("files")
        assert isinstance(pane, FilesPane)
        session = self.app.session
        shown = session.shown
        if shown is None:
            title(pane, TITLES["files"])
            empty = session.objects is not None and not session.selected
            pane.words = WELCOME.format(strata=safe(self.app.doing.strata)) if empty else "reading…"
            pane.show(None, False, 0, fresh)
        else:
            name = label(session.layer, shown.stack.container, len(shown.layers))
            words = f"only what {name} has" if session.only else f"merged up to {name}"
            query = f"  /{safe(session.query, 30)}" if session.query else ""
            title(pane, f"{TITLES['files']}: {words}{query}")
            rows = session.make_rows()
            pane.words = "no path has this in it" if session.query else "nothing: this layer is empty"
            pane.fresh = session.fresh
            pane.show(rows, shown.stack.container, len(shown.layers), fresh)
        self.provenance()

    def provenance(self) -> None:
        pane, files = self.app.pane("provenance"), self.app.pane("files")
        assert isinstance(files, FilesPane)
        shown, row = self.app.session.shown, files.row
        if shown is None or row is None:
            title(pane, TITLES["provenance"])
            pane.set_lines([])
            return
        title(pane, f"{TITLES['provenance']}: /{safe(row.entry.path, 200)}")
        upto = shown.view.upto(min(max(self.app.session.layer, 0), len(shown.layers) - 1))
        pane.set_lines(details.provenance(upto.provenance(row.entry.path), shown, pane.scrollable_content_region.width))

    def details(self, pane: str) -> None:
        """Draw the calls, or what the last pane's front tab shows. pane: whose value came."""
        session = self.app.session
        if pane == "hood":
            hood = self.app.pane("hood")
            title(hood, f"{TITLES['hood']}: real calls of the last start")
            hood.set_lines(details.hood(session.details.get("hood") or ()))
            return
        if pane not in ("details", session.tab):
            return
        widget = self.app.pane("details")
        widget.words, lines = self._details()
        title(widget, self._tabs())
        widget.follow = session.tab == "logs"
        widget.set_lines(lines)

    def _tabs(self) -> Content:
        names = []
        for action, name in TABS:
            style = "bold underline" if action == self.app.session.tab else ""
            names.append(f"[@click=app.act('{action}')]{f'[{style}]{name}[/]' if style else name}[/]")
        return Content.from_markup("5 " + " │ ".join(names))

    def _details(self) -> tuple[str, list[Line]]:
        """Words for when there is nothing, and the lines of the front tab."""
        session = self.app.session
        value = session.details.get(session.tab)
        about = session.about
        if about is None:
            return "nothing selected", []
        if session.tab == "inspect":
            document, links = value if value else (None, ())
            width = self.app.pane("details").scrollable_content_region.width
            return "", details.sheet(about, session.shown, session.layer, session.live, document, links, width)
        if not isinstance(about, ContainerSummary):
            return "an image never ran and never changes", []
        if value is None:
            return "reading…", []
        if session.tab == "logs":
            return "it has written nothing", details.logs(value)
        return "nothing changed", details.diff(value)

    def bars(self) -> None:
        app = self.app
        session = app.session
        width = app.size.width
        screen = app.screen_stack[0]
        memory = session.live.memory if session.live else None
        note = bars.use(session.cpu, memory) if session.status in ("running", "paused") else ""
        busy = list(app.jobs.running.values())
        if not busy and session.shown is None and session.selected:
            busy = ["reading layers"]
        if session.objects is None:
            busy = [f"reading {app.engine.root}"]
        header = bars.header(width, session.name, session.kind, session.status, note, busy, app.ticks, app.engine.root)
        screen.query_one("#header", Bar).show(header)
        screen.query_one("#footer", Bar).show(bars.footer(width, session.kind, session.status))
        names = [("pane-2", "2 Files"), ("pane-3", "3 Provenance"), ("pane-4", "4 Hood"), ("pane-5", "5 Details")]
        front = {"files": "pane-2", "provenance": "pane-3", "hood": "pane-4", "details": "pane-5"}[app.front]
        screen.query_one("#tabs", Bar).show(bars.tabs(names, front))


def title(pane: object, words: str | Content) -> None:
    """Write on a pane's border. words: plain text, however it looks."""
    pane.border_title = words if isinstance(words, Content) else Content(words)  # type: ignore[attr-defined]
