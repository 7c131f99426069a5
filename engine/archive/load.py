"""`strata load`: images out of a docker-archive or an OCI layout, from a file or a pipe, all of them or none.

Files are staged as they come, configs and layers are checked against each other and unpacked in staging, and only then
does the first image appear in the store.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial

from engine.archive.assemble import LayerGone, LayerSource, add_image, check_archive, layer_from_archive
from engine.archive.docker import Found, docker_images
from engine.archive.layout import layout_images
from engine.archive.received import receive
from engine.errors import InvalidInput
from engine.oci.configs import layer_history

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO, TypeVar

    from engine.layers.unpack import Limits
    from engine.store.root import Staging, Store

    T = TypeVar("T")

ATTEMPTS = 5  # layers removed under our hands, by somebody's rmi, are unpacked again


@dataclass(frozen=True, slots=True)
class Loaded:
    """An image that was loaded: its names (normalized) in this archive, and its id."""

    names: tuple[str, ...]
    image: str


def load(store: Store, stream: BinaryIO, *, limits: Limits | None = None) -> list[Loaded]:
    """Load every image of an archive; returns them in the archive's order.

    InvalidInput, and the store as before, when the archive is no image, damaged, truncated, hostile or inconsistent;
    OSError when the disk is full or the stream fails.
    """
    store.clean_tmp()
    with store.tmp_dir() as staging:
        received = receive(staging, stream)
        if "manifest.json" in received.files:
            images = docker_images(received)
        elif "index.json" in received.files:
            images = layout_images(received)
        else:
            raise InvalidInput("not an image archive: it holds neither manifest.json nor index.json")
        ready: dict[str, LayerSource] = {}
        for image in images:
            _insist(partial(_prepare, store, staging, image, ready, limits))
        return [_insist(partial(_publish, store, staging, image, ready, limits)) for image in images]


def _insist(work: Callable[[], T]) -> T:
    for _ in range(ATTEMPTS - 1):
        try:
            return work()
        except LayerGone:
            continue
    return work()


def _prepare(
    store: Store, staging: Staging, image: Found, ready: dict[str, LayerSource], limits: Limits | None
) -> None:
    """See that `ready` (by chain id) has each of an image's layers: in the store, or else unpacked into staging."""
    for layer_id, source in list(ready.items()):
        if not _still_staged(source) and not store.layers.exists(layer_id):
            del ready[layer_id]
    parent: str | None = None
    rows = zip(image.layers, image.config.diff_ids, image.config.chain_ids, layer_history(image.config), strict=True)
    for number, (archive, diff_id, layer_id, history) in enumerate(rows, 1):
        what = f"layer {number} of {len(image.layers)}"
        if layer_id not in ready:
            ready[layer_id] = layer_from_archive(
                store,
                staging,
                archive.path,
                archive.digest,
                parent,
                parent_directory=_still_staged(ready[parent]) if parent else "",
                diff_id=diff_id,
                created=history.created,
                created_by=history.created_by,
                what=what,
                limits=limits,
            )
        elif ready[layer_id].blob.digest != archive.digest:
            check_archive(archive.path, diff_id, what)  # another image of this archive has the layer in other bytes
        parent = layer_id


def _publish(
    store: Store, staging: Staging, image: Found, ready: dict[str, LayerSource], limits: Limits | None
) -> Loaded:
    _prepare(store, staging, image, ready, limits)
    sources = [ready[layer_id] for layer_id in image.config.chain_ids]
    image_id = add_image(store, image.data, sources, image.names)
    return Loaded(tuple(str(name) for name in image.names), image_id)


def _still_staged(layer: LayerSource) -> str:
    """The layer's staged directory, "" when it has none or it was moved into the store."""
    return layer.directory if os.path.isdir(layer.directory) else ""
