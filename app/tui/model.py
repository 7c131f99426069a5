"""What the explorer knows, read from the engine in worker threads: the objects, one stack with its layers' entries,
and what lives in a container. Values go to the screen whole; nothing here touches a widget.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from app.tui.drawing import LayerPicture, ProcessPicture
from app.tui.paint import files, size
from engine import Engine
from engine.commands.stack import Stack, StackLayer
from engine.commands.summaries import ContainerSummary, ImageSummary
from engine.errors import NotRunning
from engine.layers.entry import Entries
from engine.layers.view import Counts, MergedView
from engine.network.links import Link

LOG_LINES = 500


@dataclass(frozen=True, slots=True)
class Objects:
    """Everything in the store, newest first."""

    containers: tuple[ContainerSummary, ...] = ()
    images: tuple[ImageSummary, ...] = ()

    def find(self, identity: str) -> ContainerSummary | ImageSummary | None:
        every: tuple[ContainerSummary | ImageSummary, ...] = (*self.containers, *self.images)
        return next((one for one in every if one.id == identity), None)

    @property
    def first(self) -> str:
        """The id of what to begin with: a container that runs, else the newest, else the newest image; "" = nothing."""
        every = [*(one.id for one in self.containers if one.running), *(one.id for one in self.containers)]
        return next(iter([*every, *(one.id for one in self.images)]), "")

    def match(self, text: str) -> ContainerSummary | ImageSummary | None:
        """A container or image by id, name or prefix of an id, as `select` gives it."""
        for container in self.containers:
            if text in (container.id, container.name):
                return container
        for image in self.images:
            if text in (image.id, *image.names) or f"{text}:latest" in image.names:
                return image
        every: tuple[ContainerSummary | ImageSummary, ...] = (*self.containers, *self.images)
        return next((one for one in every if one.id.removeprefix("sha256:").startswith(text)), None)


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer with its entries read: what MergedView takes."""

    about: StackLayer
    entries: Entries


@dataclass(slots=True)
class Shown:
    """One stack as it was at one moment, bottom → top, and the view of it that the screen may ask."""

    stack: Stack
    layers: tuple[Layer, ...]
    view: MergedView
    counts: dict[int, Counts] = field(default_factory=dict)
    auto_remove: bool = False  # a container that goes away when it stops
    image_size: int = 0  # bytes of the read-only layers' files
    image_seen: int = -1  # of those, what the image's own view shows; -1 = not counted yet

    @property
    def id(self) -> str:
        return self.stack.id

    def pictures(self) -> tuple[LayerPicture, ...]:
        """The layers for drawing, top first."""
        return tuple(self._picture(number) for number in range(len(self.layers) - 1, -1, -1))

    def _picture(self, number: int) -> LayerPicture:
        layer = self.layers[number]
        counts = self.counts.get(number)
        return LayerPicture(
            number=number,
            id=layer.about.id,
            rw=layer.about.kind == "rw",
            size=layer.about.size,
            files=sum(1 for entry in layer.entries if entry.kind not in "dw"),
            command=layer.about.created_by or "(no command recorded)",
            added=counts.added if counts else None,
            modified=counts.modified if counts else 0,
            deleted=counts.deleted if counts else 0,
            opaque=sum(1 for entry in layer.entries if entry.opaque),
        )


@dataclass(frozen=True, slots=True)
class Live:
    """A container's processes and use at one moment. cpu: nanoseconds so far; at: seconds (monotonic); oom_kills: how
    many processes the kernel killed because memory ran out."""

    id: str
    status: str
    processes: tuple[ProcessPicture, ...] = ()
    namespace: int | None = None
    cpu: int | None = None
    memory: int | None = None
    at: float = 0.0
    oom_kills: int = 0


class Reader:
    """Asks the engine; every method blocks and is meant for a worker thread. Keeps what can never change."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._lock = threading.Lock()
        self._entries: dict[str, Entries] = {}  # of read-only layers, by their ids
        self._seen: dict[str, int] = {}  # by the top read-only layer
        self._counts: dict[str, Counts] = {}  # a read-only layer's id names what is below it too

    def objects(self) -> Objects:
        return Objects(tuple(self.engine.containers(all=True)), tuple(self.engine.images()))

    def shown(self, ref: str) -> Shown:
        """The stack of a container or an image, its layers read. Counts come later (`count`)."""
        stack = self.engine.stack(ref)
        layers = tuple(Layer(about, self._read(about)) for about in stack.layers)
        shown = Shown(stack, layers, MergedView(layers))
        with self._lock:
            known = {number: self._counts.get(layer.about.id) for number, layer in enumerate(layers)}
        shown.counts = {number: counts for number, counts in known.items() if counts}
        if stack.container:
            top = len(layers) - 1
            shown.counts[top] = self._own_view(shown).counts(top)
            shown.auto_remove = self.engine.container(stack.id).config.auto_remove
        return shown

    def count(self, shown: Shown) -> Shown:
        """What each layer changes; may take a second on a big image, so it comes after the first picture."""
        view = self._own_view(shown)
        counts = dict(shown.counts)
        for number, layer in enumerate(shown.layers):
            if number in counts:
                continue
            if number == 0:
                counts[0] = Counts(sum(1 for entry in layer.entries if entry.path and entry.kind != "w"), 0, 0)
            else:
                counts[number] = view.counts(number)
            if layer.about.kind == "ro":
                with self._lock:
                    self._counts[layer.about.id] = counts[number]
        top = len(shown.layers) - 1 - shown.stack.container
        size = sum(layer.about.size for layer in shown.layers[: top + 1])
        if top < 0:
            return replace(shown, counts=counts, image_size=0, image_seen=0)
        identity = shown.layers[top].about.id
        if identity not in self._seen:
            rows = view.upto(top).walk()
            self._seen[identity] = sum(row.entry.size for row in rows if row.entry.kind == "f" and not row.entry.link)
        return replace(shown, counts=counts, image_size=size, image_seen=self._seen[identity])

    def live(self, container: str, status: str) -> Live:
        """Its processes and use now; of one that does not run, just that."""
        if status not in ("running", "paused"):
            return Live(container, status)
        found = tuple(
            ProcessPicture(one.pid, one.host_pid, one.name, one.state, one.memory)
            for one in self.engine.processes(container)
        )
        try:
            stats = self.engine.stats(container)
            namespace = self.engine.namespaces(container).get("pid")
        except NotRunning:
            return Live(container, status, found)
        kills = stats.oom_kills or 0
        return Live(container, status, found, namespace, stats.cpu, stats.memory, stats.at, kills)

    def logs(self, container: str) -> list[tuple[str, str, str]]:
        """The last lines: (stream, time, text with its bytes kept as surrogates)."""
        found = self.engine.logs(container, tail=LOG_LINES)
        return [(line.stream, line.time, line.data.decode("utf-8", "surrogateescape").rstrip("\n")) for line in found]

    def sheet(self, ref: str, running: bool) -> tuple[dict[str, Any], list[Link]]:
        """The document of `inspect` and the network links of what runs."""
        document = self.engine.inspect(ref)
        try:
            return document, self.engine.links(ref) if running else []
        except NotRunning:
            return document, []

    def trace(self, container: str) -> list[dict[str, Any]]:
        return self.engine.trace(container)

    def _read(self, about: StackLayer) -> Entries:
        if about.kind == "rw":
            return Entries(about.entries)
        with self._lock:
            known = self._entries.get(about.id)
        if known is None:
            known = Entries(about.entries)
            with self._lock:
                known = self._entries.setdefault(about.id, known)
        return known

    def _own_view(self, shown: Shown) -> MergedView:
        """A view for this thread: one that keeps what it found is not for two at once."""
        return MergedView(shown.layers)


def loss(layers: Sequence[Layer]) -> str:
    """What removing a container loses, in words: its read-write layer's files."""
    entries = [entry for layer in layers if layer.about.kind == "rw" for entry in layer.entries]
    kept = [entry for entry in entries if entry.kind not in "dw"]
    gone = sum(1 for entry in entries if entry.kind == "w")
    total = sum(entry.size for entry in kept if entry.kind == "f" and not entry.link)
    words = f"{files(len(kept))}, {size(total)}"
    return words + (f", {gone} whiteout{'s' if gone != 1 else ''}" if gone else "")
