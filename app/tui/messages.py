"""Every message that goes between the panes, the workers and the app."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from textual.message import Message

from app.tui.model import Live, Objects, Shown


class ObjectsRead(Message):
    """The list of containers and images was read."""

    def __init__(self, objects: Objects) -> None:
        super().__init__()
        self.objects = objects


class StackRead(Message):
    """A stack was read, for the first time or again."""

    def __init__(self, shown: Shown) -> None:
        super().__init__()
        self.shown = shown


class StackGone(Message):
    """What was selected does not exist any more."""

    def __init__(self, ref: str) -> None:
        super().__init__()
        self.ref = ref


class LiveRead(Message):
    def __init__(self, live: Live) -> None:
        super().__init__()
        self.live = live


class DetailRead(Message):
    """What a lower pane shows was read. pane: "hood", "logs", "inspect" or "diff"; about: for which object."""

    def __init__(self, pane: str, about: str, value: Any) -> None:
        super().__init__()
        self.pane = pane
        self.about = about
        self.value = value


class StoreChanged(Message):
    """Containers or images changed on disk, by whomever. logs: ids of containers that wrote to their logs."""

    def __init__(self, states: bool, logs: frozenset[str]) -> None:
        super().__init__()
        self.states = states
        self.logs = logs


class LayerChanged(Message):
    """Something changed in the watched read-write layer."""

    def __init__(self, layer: str) -> None:
        super().__init__()
        self.layer = layer


class Done(Message):
    """An action ended. select: the object to go to, "" = stay; said: what to tell."""

    def __init__(self, number: int, said: str = "", select: str = "") -> None:
        super().__init__()
        self.number = number
        self.said = said
        self.select = select


class Failed(Message):
    """An action or a read failed; number: the action's, 0 = a read."""

    def __init__(self, number: int, title: str, error: str) -> None:
        super().__init__()
        self.number = number
        self.title = title
        self.error = error


class Pointed(Message):
    """The cursor of a pane went to a line. chosen: by Enter or a click, not by moving."""

    def __init__(self, pane: str, number: int, target: Hashable, chosen: bool) -> None:
        super().__init__()
        self.pane = pane
        self.number = number
        self.target = target
        self.chosen = chosen
