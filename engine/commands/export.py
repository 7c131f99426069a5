"""export: what a container shows, through all its layers, as one flat archive without any metadata."""

from __future__ import annotations

from engine.errors import BrokenStore, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

    from engine.commands.context import Context


def export(context: Context, ref: str, out: BinaryIO, *, warn: Callable[[str], None] | None = None) -> None:
    """Write a container's merged view to `out` as a tar archive, running or not, and without pausing it, as docker.

    Volumes and whatever else is mounted in it stay out: mount points are the directories that they are below, and those
    that no layer has (`engine.runtime.plan`, SKELETON) are not there. warn: is told of files that changed while they
    were read. NoSuchContainer, also when it is removed meanwhile; BrokenStore when a layer of it is missing.
    """
    from engine.commands.telling import container_event
    from engine.layers.flatten import FlatLayer, flatten

    store = context.store
    container_id = store.containers.resolve(ref)
    own = store.containers.get(container_id)
    try:
        layers = [FlatLayer(store.layers.diff_path(one), store.layers.index(one)) for one in own.layers]
        layers.append(FlatLayer(store.layers.diff_path(own.id), store.layers.index(own.id), live=True))
        flatten(layers, out, warn)
    except (NotFound, FileNotFoundError, BrokenStore) as error:
        store.containers.get(container_id)
        if isinstance(error, NotFound):
            raise BrokenStore(f"a layer of container {own.name} is missing from the store ({error})") from error
        raise
    container_event(context, own, "export")
    store.containers.get(container_id)  # files that vanished with their container were no part of its view
