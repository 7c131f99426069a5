"""The explorer: an App that puts what the readers read into the panes, and what people do into actions."""

from __future__ import annotations

import asyncio
import functools
import sys
from collections.abc import Callable, Iterable
from typing import ClassVar, TypeVar

from textual import events, on
from textual.app import App, ComposeResult, SystemCommand
from textual.binding import BindingType
from textual.containers import Container
from textual.message import Message
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import Input

from app.tui import layout, messages
from app.tui.actions import ACTIONS, BY_ID, allowed, bindings, key_names
from app.tui.moving_images import MovingImages
from app.tui.paint import THEMES
from app.tui.reading import Jobs, Watches
from app.tui.safe_text import safe
from app.tui.screens.small import SmallMessage
from app.tui.session import Session
from app.tui.showing import Showing
from app.tui.widgets.bars import Bar
from app.tui.widgets.files import FilesPane
from app.tui.widgets.line_view import LineView, Scrolled
from app.tui.widgets.objects import ObjectsPane
from app.tui.widgets.stack import StackPane
from engine import Engine
from engine.errors import StrataError

News = TypeVar("News", bound=Message)


def while_open(handle: Callable[[Explorer, News], None]) -> Callable[[Explorer, News], None]:
    """A handler of what threads tell: they may still tell it when the screens are gone already."""

    @functools.wraps(handle)
    def handled(app: Explorer, message: News) -> None:
        if app.screen_stack:
            handle(app, message)

    return handled


LIVE = 1.0  # seconds between looks at the processes: the kernel tells nobody when one comes or goes
REST = 0.04  # seconds that the cursor rests on a layer before its files are shown
TICK = 0.1  # seconds a step of the busy sign takes


class Explorer(App[int]):
    """`Explorer(engine, select="demo").run()`; select: a container or image to begin with."""

    TITLE = "strata"
    CSS_PATH = "styles/explorer.tcss"
    ENABLE_COMMAND_PALETTE = True
    COMMAND_PALETTE_BINDING = "ctrl+p"
    BINDINGS: ClassVar[list[BindingType]] = bindings(pane=False)

    def __init__(self, engine: Engine, select: str | None = None) -> None:
        super().__init__()
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = "strata-dark"
        self.engine = engine
        self.session = Session(engine, select or "", self)
        self.jobs = Jobs(self)
        self.showing = Showing(self)
        self.doing = MovingImages(self)
        self.watches: Watches | None = None
        self.zoomed = ""
        self.front = "files"
        self.ticks = 0
        self.leaving = False
        self._resting: Timer | None = None

    def compose(self) -> ComposeResult:
        yield Bar("header")
        with Container(id="body"):
            yield ObjectsPane()
            yield StackPane()
            yield Bar("tabs")
            yield FilesPane()
            yield Scrolled("provenance", "nothing selected")
            yield Scrolled("hood", "it never started: no call was made for it")
            yield Scrolled("details", "")
        yield Input(placeholder="part of a path; ⏎ keeps the filter, esc ends it", id="filter", compact=True)
        yield Bar("footer")
        yield SmallMessage(id="small")

    def on_mount(self) -> None:
        self.pane("stack").focus()
        self.session.ask("objects")
        self.watches = Watches(lambda: self.engine.store, self)
        self.set_interval(LIVE, self._every_second)
        self.set_interval(TICK, self._every_tick)
        self.theme_changed_signal.subscribe(self, lambda theme: self.showing.everything())
        self.showing.everything()

    def on_unmount(self) -> None:
        if self.watches is not None:
            self.watches.close()

    async def settled(self) -> None:
        """Wait until no reader reads, no action runs and every message is handled: for tests and screenshots."""
        quiet = 0
        while quiet < 3:
            await asyncio.sleep(0.03)
            busy = bool(self.jobs.running or self._resting) or self.session.reading or self.session.objects is None
            quiet = 0 if busy else quiet + 1

    # Panes.

    def pane(self, name: str) -> LineView:
        """A pane of the main screen, whatever lies over it."""
        return self.screen_stack[0].query_one(f"#{name}", LineView)

    @property
    def focused_pane(self) -> str:
        """The pane with the focus, or the one in front."""
        focused = self.screen_stack[0].focused
        return focused.pane if isinstance(focused, LineView) else self.front

    @property
    def compact(self) -> bool:
        return layout.compact(self.size.width, self.size.height)

    def arrange(self) -> None:
        """Put every pane in its place."""
        screen = self.screen_stack[0]
        width, height = self.size
        small = not layout.fits(width, height)
        screen.set_class(small, "too-small")
        if small:
            screen.query_one(SmallMessage).tell(width, height)
            return
        filtering = screen.query_one("#filter").has_class("open")
        rows = self.pane("list").count
        places = layout.arrange(width, height - 2 - filtering, self.front, self.zoomed, rows)
        for name in (*layout.PANES, "tabs"):
            widget = screen.query_one(f"#{name}")
            place = places.get(name)
            widget.display = place is not None
            if place is not None:
                widget.styles.offset = (place.x, place.y)
                widget.styles.width, widget.styles.height = place.width, place.height
        stack = screen.query_one(StackPane)
        stack.compact = self.compact and not self.zoomed
        stack.draw()
        self.showing.bars()

    def on_resize(self, event: events.Resize) -> None:
        self.call_after_refresh(self.arrange)

    def go(self, pane: str) -> None:
        """Bring a pane to the front and give it the focus."""
        if self.zoomed and pane != self.zoomed:
            self.zoomed = pane
        if pane not in ("list", "stack"):
            self.front = pane
        widget = self.pane(pane)
        widget.display = True
        self.screen_stack[0].set_focus(widget)  # before the pane that has it is hidden: Textual would pick another
        self.arrange()

    # Textual's screens bind tab themselves: among the panes it goes through all of them, hidden ones too.

    def action_focus_next(self) -> None:
        if len(self.screen_stack) > 1:
            super().action_focus_next()
        else:
            self.doing.do_next_pane()

    def action_focus_previous(self) -> None:
        if len(self.screen_stack) > 1:
            super().action_focus_previous()
        else:
            self.doing.do_previous_pane()

    # Actions.

    async def action_act(self, identity: str) -> None:
        """Do an action of the registry, if it can be done now; else say why not."""
        action = BY_ID[identity]
        if len(self.screen_stack) > 1:
            return
        if not allowed(action, self.session.kind, self.session.status):
            what = {"container": "a container", "alive": "a running container", "startable": "a container at rest"}
            self.notify(f"{action.label}: select {what.get(action.needs, 'something')} first", severity="warning")
            return
        getattr(self.doing, "do_" + identity.replace("-", "_"))()

    def on_bar_chosen(self, event: Bar.Chosen) -> None:
        self.run_worker(self.action_act(event.action))

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """The palette: every action that is not a movement within a pane and can be done now."""
        for action in ACTIONS:
            if action.pane or action.id == "palette":
                continue
            if allowed(action, self.session.kind, self.session.status):
                yield SystemCommand(
                    action.label,
                    f"{action.help}  ({key_names(action)})",
                    lambda identity=action.id: self.run_worker(self.action_act(identity)),
                )

    @on(Input.Changed, "#filter")
    def _filter_typed(self, event: Input.Changed) -> None:
        self.session.query = event.value
        self.showing.files(fresh=True)

    @on(Input.Submitted, "#filter")
    def _filter_done(self, event: Input.Submitted) -> None:
        self.go("files")

    # Messages of the readers and watches.

    def _every_second(self) -> None:
        if self.session.status in ("running", "paused"):
            self.session.ask("live")
            if self.session.small_layer:
                self.session.rescan_later()

    def _every_tick(self) -> None:
        self.ticks += 1
        if self.session.fresh and self.session.fade():
            self.pane("files").refresh()
        if self.jobs.running:
            self.showing.bars()

    @while_open
    def on_objects_read(self, message: messages.ObjectsRead) -> None:
        self.session.take_objects(message.objects)
        self.showing.objects()
        self._watch()

    @while_open
    def on_stack_read(self, message: messages.StackRead) -> None:
        first = self.session.shown is None
        if self.session.take_stack(message.shown):
            self.showing.stack()
            self.showing.files(fresh=first)
            self.showing.bars()
            self._watch()

    @while_open
    def on_stack_gone(self, message: messages.StackGone) -> None:
        self.session.ask("objects")

    @while_open
    def on_live_read(self, message: messages.LiveRead) -> None:
        if self.session.take_live(message.live):
            self.showing.stack()
            self.showing.bars()

    @while_open
    def on_detail_read(self, message: messages.DetailRead) -> None:
        if message.about == self.session.selected:
            self.session.details[message.pane] = message.value
            self.showing.details(message.pane)

    @while_open
    def on_store_changed(self, message: messages.StoreChanged) -> None:
        if message.states:
            self.session.ask("objects")
        if self.session.selected in message.logs:
            self.session.ask("logs")

    @while_open
    def on_layer_changed(self, message: messages.LayerChanged) -> None:
        if message.layer == self.session.selected:
            self.session.ask("stack")

    def on_pointed(self, message: messages.Pointed) -> None:
        if message.pane == "list" and isinstance(message.target, str):
            self.session.select(message.target)
            self.showing.objects()
        elif message.pane == "stack" and isinstance(message.target, int):
            self.session.layer = message.target
            self.showing.stack()
            if self._resting is not None:
                self._resting.stop()
            self._resting = self.set_timer(REST, self._rested)
        elif message.pane == "files":
            self.showing.provenance()

    def _rested(self) -> None:
        """The cursor rests on a layer: show its files. Running through the stack would build each view for nothing."""
        self._resting = None
        self.showing.files()
        self.showing.details("inspect")

    @while_open
    def on_done(self, message: messages.Done) -> None:
        self.jobs.running.pop(message.number, None)
        if message.select:
            self.session.wanted = message.select
        self.session.ask("objects")
        self.showing.bars()
        if message.said:
            self.notify(safe(message.said), timeout=4, markup=False)

    @while_open
    def on_failed(self, message: messages.Failed) -> None:
        self.jobs.running.pop(message.number, None)
        self.session.ask("objects")
        self.showing.bars()
        self.doing.fail(message.title, message.error)

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        if isinstance(event.widget, LineView) and event.widget.pane not in ("list", "stack", self.front):
            self.front = event.widget.pane
        self.showing.bars()

    def _watch(self) -> None:
        shown = self.session.shown
        if self.watches is not None:
            own = shown.layers[-1].about if shown is not None and shown.stack.container else None
            self.watches.layer(own.id if own else "", own.diff_path if own else "")


def run(engine: Engine, select: str | None = None) -> int:
    """The explorer until it is left; returns the exit status. StrataError where there is no terminal."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise StrataError("the explorer needs a terminal; `strata --help` lists the commands")
    return Explorer(engine, select).run() or 0
