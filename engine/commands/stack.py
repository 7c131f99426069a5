"""The stack of an image or of a container: its layers as things to look into, bottom first, and the merged view."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.layers.entry import Entry
    from engine.layers.view import MergedView


class StackLayer:
    """One layer of a stack.

    id: 64 hex digits (the container's own id for a read-write layer); kind: "ro" or "rw"; parent: the id of the
    layer below, "" at the bottom; diff_path: directory of its own files; size: bytes, for "rw" as of the last
    look; created: RFC 3339; created_by: the command that made it; shared_by: names (or ids) of the images that
    stand on it, sorted.
    """

    __slots__ = ("_entries", "_look", "created", "created_by", "diff_path", "id", "kind", "parent", "shared_by", "size")

    def __init__(
        self,
        *,
        id: str,
        kind: str,
        parent: str,
        diff_path: str,
        size: int,
        created: str,
        created_by: str,
        shared_by: tuple[str, ...],
        look: Callable[[], Sequence[Entry]],
    ) -> None:
        self.id = id
        self.kind = kind
        self.parent = parent
        self.diff_path = diff_path
        self.size = size
        self.created = created
        self.created_by = created_by
        self.shared_by = shared_by
        self._look = look
        self._entries: Sequence[Entry] | None = None

    @property
    def entries(self) -> Sequence[Entry]:
        """Every entry of this layer alone, parents first: a read-only layer's index, a live one's scan. Kept."""
        if self._entries is None:
            self._entries = self._look()
            if self.kind == "rw":
                self.size = sum(entry.size for entry in self._entries if entry.kind == "f" and not entry.link)
        return self._entries

    def forget(self) -> None:
        """Drop what was read: the next look at a live layer reads the directory again."""
        self._entries = None


@dataclass(slots=True)
class Stack:
    """The layers of one image or container, bottom → top.

    reference: what was asked for; id: image id or container id; name: for people; container: whether the top
    layer is a container's read-write one.
    """

    reference: str
    id: str
    name: str
    container: bool
    layers: tuple[StackLayer, ...]

    def view(self, upto: int | None = None) -> MergedView:
        """The one filesystem that the layers up to and with number `upto` (0 = bottom; None = all) add up to."""
        from engine.layers.view import MergedView

        return MergedView(self.layers if upto is None else self.layers[: upto + 1])

    def refresh(self) -> None:
        """Look again at what may have changed: the read-write layer."""
        for layer in self.layers:
            if layer.kind == "rw":
                layer.forget()
