"""What is referenced and what is garbage: derived from `images.json` and the containers' configs, never recorded.

Needed are: every image's manifest, config and layer archives; every image's layers; every container's stack, that is
its read-write layer and the read-only layers below it, also when the image was removed by force; and what a load or
pull that is at work holds.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from engine.errors import BrokenStore
from engine.oci.digests import SHA256
from engine.store import files
from engine.store.locks import lock_directory
from engine.store.root import HOLD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.store.images import Change
    from engine.store.root import Store, Trash


@dataclass(frozen=True, slots=True)
class Garbage:
    """Blobs (digests) and layers (ids, children before parents) that nothing needs."""

    blobs: tuple[str, ...]
    layers: tuple[str, ...]


def garbage(store: Store, change: Change) -> Garbage:
    """Find garbage, while the images lock (`change`) and the containers lock are held.

    BrokenStore when a document that says what is needed cannot be read: then nothing may be called garbage.
    """
    blobs, layers = set(), set()
    for image_id, entry in change.images.items():
        record = store.images.get(image_id)
        manifest = store.images.manifest(record)
        blobs |= {image_id, entry["manifest"], *(layer.digest for layer in manifest.layers)}
        layers |= set(record.layers)
    for container in store.containers.all():
        layers |= {container.id, *container.layers}
    kept = held(store)
    layers |= kept
    blobs |= {SHA256 + name for name in kept}
    unneeded = [layer_id for layer_id in store.layers.ids() if layer_id not in layers]
    return Garbage(
        tuple(digest for digest in store.blobs.all() if digest not in blobs),
        tuple(sorted(unneeded, key=lambda layer_id: _depth(store, layer_id), reverse=True)),
    )


def held(store: Store) -> set[str]:
    """What live writers hold (`Staging.hold`): 64 hex digits each, layers by their chain ids and blobs."""
    found: set[str] = set()
    for name in os.listdir(store.path("tmp")):
        path = store.path("tmp", name)
        try:
            holds = {entry.removeprefix(HOLD) for entry in os.listdir(path) if entry.startswith(HOLD)}
        except (FileNotFoundError, NotADirectoryError):
            continue
        if holds:
            lock = lock_directory(path, wait=False)
            if lock is None:
                found |= holds
            else:
                lock.release()
    return found


def collect(store: Store, trash: Trash, change: Change, only: set[str] | None = None) -> list[str]:
    """Move all garbage into `trash`, where it dies with it, after the locks are gone; returns the layers, top first.

    only: of these layers (ids) and blobs (digests), instead of all.

    Both locks are held from the look to the last move: a load publishes under one, a create refers under the other.
    """
    change.write()
    with store.lock("containers"):
        found = garbage(store, change)
        if only is not None:
            found = Garbage(tuple(only.intersection(found.blobs)), tuple(name for name in found.layers if name in only))
        for layer_id in found.layers:
            try:
                trash.take(store.layers.path(layer_id))
            except FileNotFoundError:
                continue  # a monitor removes its own container's layer (--rm) under the container's lock only
        if found.layers:
            files.sync_directory(store.path("layers"))
        for digest in found.blobs:
            trash.take(store.blobs.path(digest))
    return list(found.layers)


def gc(store: Store) -> list[str]:
    """Remove everything that nothing needs, and what dead writers left in `tmp/`; returns the removed layers' ids."""
    with store.trash() as trash, store.images.change() as change:
        removed = collect(store, trash, change)
    store.clean_tmp()
    return removed


def _depth(store: Store, layer_id: str) -> int:
    try:
        return len(store.layers.chain(layer_id))
    except BrokenStore:
        return 0  # garbage whose parents are gone already
