"""What the explorer knows and what is selected: filled by readers in threads, read by the panes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from textual.message import Message

from app.tui import messages, reading
from app.tui.model import Live, Objects, Reader, Shown
from app.tui.rows import FileRows
from engine import Engine
from engine.commands.summaries import ContainerSummary, ImageSummary
from engine.errors import NotFound

FEW = 40  # changed paths whose directories are opened by themselves
LIT = 1.5  # seconds that a changed path is lit
SMALL_LAYER = 2000  # entries of a live layer that is looked at again every RESCAN seconds in any case


class Session:
    """The selection, and the readers of what belongs to it."""

    def __init__(self, engine: Engine, select: str, app: reading.Posts) -> None:
        self.source = Reader(engine)
        self.wanted = select  # to be selected as soon as it is in the list: a name or an id
        self.objects: Objects | None = None
        self.selected = ""
        self.shown: Shown | None = None
        self.live: Live | None = None
        self.layer = -1
        self.only = False
        self.hidden = True
        self.query = ""
        self.rows: FileRows | None = None
        self.opened: dict[str, set[str]] = {}  # of every stack that was seen: its open directories
        self.details: dict[str, Any] = {}
        self.tab = "logs"
        self.room = 1  # lines of the process box
        self.cpu: float | None = None
        self.fresh: dict[str, float] = {}  # paths that just changed in the live layer, and until when they are lit
        self._scanned = 0.0
        reads: dict[str, Callable[[], Message | None]] = {
            "objects": lambda: messages.ObjectsRead(self.source.objects()),
            "stack": self._read_stack,
            "counts": self._read_counts,
            "live": self._read_live,
            "hood": lambda: self._detail("hood", self.source.trace),
            "logs": lambda: self._detail("logs", self.source.logs),
            "diff": lambda: self._detail("diff", self.source.engine.diff),
            "inspect": self._read_sheet,
        }
        self.readers = {name: reading.Reader(name, read, app) for name, read in reads.items()}

    def ask(self, *names: str) -> None:
        for name in names:
            self.readers[name].ask()

    @property
    def reading(self) -> bool:
        return any(reader.running for name, reader in self.readers.items() if name != "live")

    @property
    def about(self) -> ContainerSummary | ImageSummary | None:
        return self.objects.find(self.selected) if self.objects else None

    @property
    def kind(self) -> str:
        about = self.about
        return "" if about is None else "container" if isinstance(about, ContainerSummary) else "image"

    @property
    def status(self) -> str:
        about = self.about
        return about.status if isinstance(about, ContainerSummary) else ""

    @property
    def name(self) -> str:
        """What people call the selected object, and commands take."""
        about = self.about
        if isinstance(about, ContainerSummary):
            return about.name
        if about is None:
            return ""
        return about.names[0] if about.names else about.id.removeprefix("sha256:")[:12]

    @property
    def small_layer(self) -> bool:
        shown = self.shown
        return shown is not None and shown.stack.container and len(shown.layers[-1].entries) <= SMALL_LAYER

    def select(self, identity: str) -> None:
        """Go to another object: what belongs to the last one is forgotten at once."""
        if identity == self.selected:
            return
        if self.rows is not None:
            self.opened[self.selected] = self.rows.opened
        self.selected = identity
        self.shown = self.live = self.rows = None
        self.layer, self.room, self.cpu = -1, 1, None
        self.fresh.clear()
        self.details.clear()
        self.query = ""
        if identity:
            self.ask("stack")
            self.ask_details()

    def ask_details(self) -> None:
        """Read again what the lower panes show."""
        if self.kind == "container":
            self.ask("live", "hood", "logs")
        if self.tab == "inspect" or (self.tab == "diff" and self.kind == "container"):
            self.ask(self.tab)

    def rescan_later(self) -> None:
        if time.monotonic() - self._scanned >= reading.RESCAN:
            self.ask("stack")

    # What came back. Each returns whether it still matters.

    def take_objects(self, objects: Objects) -> None:
        before = self.status
        self.objects = objects
        if self.wanted:
            found = objects.match(self.wanted)
            if found is not None:
                self.wanted = ""
                self.select(found.id)
        if objects.find(self.selected) is None:
            self.select(objects.first)
        elif self.status != before or (self.kind == "container" and self.live is None):
            self.room = 1
            self.ask("stack")
            self.ask_details()

    def take_stack(self, shown: Shown) -> bool:
        if shown.id != self.selected:
            return False
        self._scanned = time.monotonic()
        top = len(shown.layers) - 1
        if self.shown is None or not 0 <= self.layer <= top:
            self.layer = top
        elif shown.image_seen < 0:
            shown.image_size, shown.image_seen = self.shown.image_size, self.shown.image_seen
        self._light(shown)
        self.shown = shown
        if len(shown.counts) <= top or shown.image_seen < 0:
            self.ask("counts")
        if self.tab == "diff":
            self.ask("diff")
        return True

    def _light(self, shown: Shown) -> None:
        """Find what changed in the live layer since the last look: it is lit for a moment, and its directory opened.

        At the first look: open what the layer changed, if that is little, so that its changes are seen at once.
        """
        if not shown.stack.container:
            self._open_image(shown)
            return
        new = shown.layers[-1].entries.by_path
        opened = self.opened.setdefault(self.selected, set()) if self.rows is None else self.rows.opened
        if self.shown is None:
            changed = [] if opened or len(new) > FEW else [entry for entry in new.values() if entry.kind != "d"]
        else:
            old = self.shown.layers[-1].entries.by_path
            changed = [entry for path, entry in new.items() if entry.kind != "d" and old.get(path) != entry]
            until = time.monotonic() + LIT
            self.fresh.update((entry.path, until) for entry in changed)
            changed = [entry for entry in changed if entry.path not in old][:FEW]
        for entry in changed:
            parts = entry.path.split("/")[:-1]
            opened.update("/".join(parts[: count + 1]) for count in range(len(parts)))

    def _open_image(self, shown: Shown) -> None:
        """At the first look at an image: open what its upper layers changed, the topmost first, if that is little."""
        opened = self.opened.setdefault(self.selected, set())
        if self.shown is not None or opened:
            return
        found: list[str] = []
        for layer in reversed(shown.layers[1:]):
            paths = [entry.path for entry in layer.entries if entry.kind != "d"]
            if len(found) + len(paths) > FEW:
                break
            found += paths
        for path in found:
            parts = path.split("/")[:-1]
            opened.update("/".join(parts[: count + 1]) for count in range(len(parts)))

    def fade(self) -> bool:
        """Put out what was lit long enough; whether that changed anything."""
        now = time.monotonic()
        over = [path for path, end in self.fresh.items() if end <= now]
        for path in over:
            del self.fresh[path]
        return bool(over)

    def take_live(self, live: Live) -> bool:
        if live.id != self.selected:
            return False
        old = self.live
        if old and old.cpu is not None and live.cpu is not None and live.at > old.at:
            self.cpu = 100 * (live.cpu - old.cpu) / 1e9 / (live.at - old.at)
        self.live = live
        self.room = max(self.room, min(len(live.processes), 6))
        return True

    def make_rows(self) -> FileRows | None:
        """The rows of the files pane for what is selected now, with the directories open that were."""
        shown = self.shown
        if shown is None:
            self.rows = None
            return None
        opened = self.rows.opened if self.rows is not None else self.opened.setdefault(self.selected, set())
        upto = min(max(self.layer, 0), len(shown.layers) - 1)
        only = upto if self.only else None
        view = shown.view if self.only else shown.view.upto(upto)
        rows = FileRows(view, only=only, hidden=self.hidden, query=self.query, opened=opened)
        self.rows = rows
        return rows

    # In threads.

    def _read_stack(self) -> Message | None:
        ref = self.selected
        if not ref:
            return None
        try:
            return messages.StackRead(self.source.shown(ref))
        except (NotFound, FileNotFoundError):
            return messages.StackGone(ref)  # removed while it was read: the list will say so too

    def _read_counts(self) -> Message | None:
        shown = self.shown
        return messages.StackRead(self.source.count(shown)) if shown is not None else None

    def _read_live(self) -> Message | None:
        ref, status = self.selected, self.status
        try:
            return messages.LiveRead(self.source.live(ref, status))
        except NotFound:
            return None

    def _read_sheet(self) -> Message | None:
        running = self.status in ("running", "paused")
        return self._detail("inspect", lambda ref: self.source.sheet(ref, running))

    def _detail(self, pane: str, read: Callable[[str], Any]) -> Message | None:
        ref = self.selected
        if not ref:
            return None
        try:
            return messages.DetailRead(pane, ref, read(ref))
        except (NotFound, FileNotFoundError):
            return None  # removed while it was read
