"""system df: what the store takes on disk, what of it is in use, and what could be had back. Bytes of content (apparent
sizes): directories, metadata and the file system's own rounding are not in it."""

from __future__ import annotations

import os
from dataclasses import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.commands.context import Context
    from engine.store.images import ImageRecord


@dataclass(frozen=True, slots=True)
class Usage:
    """One kind of thing. total, active: how many, and how many in use; size, reclaimable: bytes, and how many of them
    would be free again if all of the kind that is not in use were removed."""

    total: int
    active: int
    size: int
    reclaimable: int


@dataclass(frozen=True, slots=True)
class ImageUsage:
    """An image. shared: bytes of its unpacked layers that other images have too; unique: of those only it has.
    archives: bytes of its layers' archives. containers: made from it."""

    id: str
    names: tuple[str, ...]
    created: str
    shared: int
    unique: int
    archives: int
    containers: int


@dataclass(frozen=True, slots=True)
class ContainerUsage:
    """A container: the bytes of its read-write layer."""

    id: str
    name: str
    image: str
    status: str
    size: int


@dataclass(frozen=True, slots=True)
class DiskUsage:
    """What there is, kind by kind.

    images: unpacked read-only layers of images, each once; active: images with a container. archives: the layers'
    archives, kept as they came for save and push, with manifests and configs; they go with their images. containers:
    read-write layers; active: those that run. downloads: broken downloads that a pull would go on with. garbage: layers
    and blobs that nothing needs (a killed load or pull left them), and dead writers' files.
    """

    images: Usage
    archives: Usage
    containers: Usage
    downloads: Usage
    garbage: Usage
    each_image: tuple[ImageUsage, ...]
    each_container: tuple[ContainerUsage, ...]

    @property
    def size(self) -> int:
        """All of it together."""
        kinds = (self.images, self.archives, self.containers, self.downloads, self.garbage)
        return sum(kind.size for kind in kinds)


def disk_usage(context: Context) -> DiskUsage:
    """Measure; the sizes of layers are those noted when they were made, but for read-write layers."""
    from engine.commands.lookup import tags_of
    from engine.store.gc import garbage
    from engine.store.incoming import broken

    store = context.store
    with store.images.change() as change, store.lock("containers"):
        waste = garbage(store, change)
    records = store.images.all()
    snapshots = store.containers.snapshots()
    used = {snapshot.config.image for snapshot in snapshots}
    layers = {record.id: record.size for record in store.layers.all() if record.kind == "ro"}
    blobs = {digest: _size(store.blobs.path(digest)) for digest in store.blobs.all()}
    wanted = {record.id: {*record.layers} for record in records}
    archives = {record.id: _blobs(context, record) for record in records}
    held = {layer for snapshot in snapshots for layer in snapshot.config.layers}
    active = {layer for image in used for layer in wanted.get(image, ())} | held
    active_blobs = {digest for image in used for digest in archives.get(image, ())}
    ours = set().union(*wanted.values()) | held
    sizes = {snapshot.config.id: store.layers.rw_size(snapshot.config.id) for snapshot in snapshots}
    running = {snapshot.config.id for snapshot in snapshots if snapshot.state.running}
    kept = {digest: size for digest, size in blobs.items() if digest not in waste.blobs}
    downloads = broken(store)
    wasted = sum(layers.get(layer, 0) for layer in waste.layers) + sum(blobs.get(digest, 0) for digest in waste.blobs)
    return DiskUsage(
        images=Usage(
            len(records),
            sum(record.id in used for record in records),
            sum(layers.get(layer, 0) for layer in ours),
            sum(layers.get(layer, 0) for layer in ours - active),
        ),
        archives=Usage(
            len(kept),
            sum(digest in active_blobs for digest in kept),
            sum(kept.values()),
            sum(size for digest, size in kept.items() if digest not in active_blobs),
        ),
        containers=Usage(
            len(sizes),
            len(running),
            sum(sizes.values()),
            sum(size for container, size in sizes.items() if container not in running),
        ),
        downloads=Usage(len(downloads), 0, sum(size for _, size in downloads), sum(size for _, size in downloads)),
        garbage=Usage(len(waste.layers) + len(waste.blobs), 0, wasted, wasted),
        each_image=tuple(
            ImageUsage(
                record.id,
                tags_of(record),
                record.config.created,
                sum(layers.get(layer, 0) for layer in wanted[record.id] & _others(wanted, record.id)),
                sum(layers.get(layer, 0) for layer in wanted[record.id] - _others(wanted, record.id)),
                sum(blobs.get(digest, 0) for digest in archives[record.id]),
                sum(snapshot.config.image == record.id for snapshot in snapshots),
            )
            for record in records
        ),
        each_container=tuple(
            ContainerUsage(
                snapshot.config.id,
                snapshot.config.name,
                snapshot.config.image_name,
                snapshot.state.status,
                sizes[snapshot.config.id],
            )
            for snapshot in snapshots
        ),
    )


def content_bytes(context: Context) -> int:
    """All that `DiskUsage.size` counts, without saying of what: for how much a prune gave back."""
    return disk_usage(context).size


def _others(wanted: dict[str, set[str]], image: str) -> set[str]:
    return set().union(*(layers for other, layers in wanted.items() if other != image))


def _blobs(context: Context, record: ImageRecord) -> set[str]:
    manifest = context.store.images.manifest(record)
    return {record.id, record.manifest, *(layer.digest for layer in manifest.layers)}


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0
