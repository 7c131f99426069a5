"""Root directories of layers taken in side by side: each looks like the one below unless its archive says else.

overlayfs shows the top layer's root as the container's `/`: without this an image whose `/` is 0700, or owned by
somebody, would lose that under the next layer.
"""

from __future__ import annotations

from engine.archive.assemble import LayerGone
from engine.archive.intake import Root, root_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Condition

    from engine.store.root import Store

BOTTOM = Root(0o755, 0, 0, 0)  # of a bottom layer whose archive has no word on it


class Stopped(Exception):
    """Another layer failed: this one is given up."""


class Roots:
    """What is known by now, by layer. changed: notified with each; failed: whether waiting is of no use any more."""

    def __init__(self, store: Store, changed: Condition, failed: Callable[[], bool]) -> None:
        self._store = store
        self._changed = changed
        self._failed = failed
        self._known: dict[str, Root] = {}

    def settle(self, layer: str, parent: str | None, own: Root | None) -> Root:
        """What a layer's root shall be, given what its archive says of it. Waits for the layer below. Stopped."""
        with self._changed:
            if own is None and parent is not None:
                while parent not in self._known:
                    if self._failed():
                        raise Stopped
                    try:
                        self._known[parent] = root_of(self._store.layers.diff_path(parent))
                    except FileNotFoundError:
                        self._changed.wait(1)
                own = self._known[parent]
            self._known[layer] = own or BOTTOM
            self._changed.notify_all()
            return self._known[layer]

    def know(self, layer: str) -> None:
        """Note a layer's root that the store has. LayerGone when it has not any more."""
        try:
            found = root_of(self._store.layers.diff_path(layer))
        except FileNotFoundError:
            raise LayerGone(layer)
        with self._changed:
            self._known[layer] = found
            self._changed.notify_all()
