"""history: the steps that made an image, newest first, each with the layer it left."""

from __future__ import annotations

from dataclasses import dataclass

from engine.commands.lookup import image as find
from engine.commands.lookup import shown_names
from engine.errors import NoSuchImage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.commands.context import Context

MISSING = "<missing>"


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """One step of an image's history, newest first in a list of them.

    id: the image id where one is known for this step (the image itself, parents in the store), else "<missing>".
    layer: id of the read-only layer it made, "" for a step without one; size: bytes of that layer alone.
    """

    id: str
    layer: str
    created: str
    created_by: str
    size: int
    comment: str
    names: tuple[str, ...]


def history(context: Context, ref: str) -> list[HistoryRow]:
    """The rows. An id is known for the image itself and for parents that are in the store; else it is "<missing>".

    An image whose config tells fewer steps than it has layers gets blank rows for the untold ones, on top.
    """
    from engine.oci.configs import History

    store = context.store
    record = find(context, ref)
    steps = list(record.config.history)
    told = sum(not step.empty_layer for step in steps)
    steps += [History()] * (len(record.layers) - told)
    known = {len(steps) - 1: (record.id, shown_names(record))}
    parent = record.parent
    while parent:
        try:
            image = store.images.get(parent)
        except NoSuchImage:
            break
        known.setdefault(len(image.config.history) - 1, (image.id, shown_names(image)))
        parent = image.parent
    layers = iter(record.layers)
    rows = []
    for position, step in enumerate(steps):
        layer = "" if step.empty_layer else next(layers, "")
        identity, names = known.get(position, (MISSING, ()))
        size = store.layers.get(layer).size if layer else 0
        rows.append(HistoryRow(identity, layer, step.created, step.created_by, size, step.comment, names))
    return rows[::-1]
