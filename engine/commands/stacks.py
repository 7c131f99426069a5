"""Stacks: which layers a container or an image stands on, and who else stands on them."""

from __future__ import annotations

from engine.commands.stack import Stack, StackLayer
from engine.errors import NoSuchContainer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engine.commands.context import Context
    from engine.layers.entry import Entry


def stack(context: Context, ref: str) -> Stack:
    """The layers of a container, else of an image, bottom → top. NoSuchImage when `ref` is neither."""
    from engine.commands.lookup import shown_names

    store = context.store
    try:
        own = store.containers.get(store.containers.resolve(ref))
    except NoSuchContainer:
        record = store.images.resolve(ref)
        names = shown_names(record)
        name = names[0] if names else record.id.removeprefix("sha256:")[:12]
        return Stack(ref, record.id, name, False, _read_only(context, record.layers))
    top = StackLayer(
        id=own.id,
        kind="rw",
        parent=own.layers[-1] if own.layers else "",
        diff_path=store.layers.diff_path(own.id),
        size=0,
        created=own.created,
        created_by=" ".join(own.args),
        shared_by=(),
        look=_look(context, own.id),
    )
    return Stack(ref, own.id, own.name, True, (*_read_only(context, own.layers), top))


def _read_only(context: Context, layer_ids: Sequence[str]) -> tuple[StackLayer, ...]:
    from engine.commands.lookup import shown_names

    store = context.store
    sharers: dict[str, set[str]] = {layer_id: set() for layer_id in layer_ids}
    for image in store.images.all():
        for layer_id in sharers.keys() & set(image.layers):
            sharers[layer_id].update(shown_names(image) or (image.id.removeprefix("sha256:")[:12],))
    records = [store.layers.get(layer_id) for layer_id in layer_ids]
    return tuple(
        StackLayer(
            id=record.id,
            kind="ro",
            parent=record.parent or "",
            diff_path=store.layers.diff_path(record.id),
            size=record.size,
            created=record.created,
            created_by=record.created_by,
            shared_by=tuple(sorted(sharers[record.id])),
            look=_look(context, record.id),
        )
        for record in records
    )


def _look(context: Context, layer_id: str) -> Callable[[], Sequence[Entry]]:
    return lambda: context.store.layers.index(layer_id)
