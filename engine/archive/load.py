"""`strata load`: images out of a docker-archive or an OCI layout (file, pipe or directory), all of them or none."""

from __future__ import annotations

from dataclasses import dataclass

from engine.archive.docker import docker_images
from engine.archive.ingest import ComingImage, ingest
from engine.archive.layout import layout_images
from engine.archive.old import old_images
from engine.archive.received import Received, receive
from engine.errors import InvalidInput
from engine.oci.references import parse_reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

    from engine.layers.unpack import Limits
    from engine.progress import Report
    from engine.store.root import Store


@dataclass(frozen=True, slots=True)
class Loaded:
    """An image that was loaded: its names (normalized) in this archive, and its id."""

    names: tuple[str, ...]
    image: str


def load(
    store: Store,
    source: BinaryIO | str,
    *,
    platform: str = "",
    only: str = "",
    report: Report | None = None,
    limits: Limits | None = None,
) -> list[Loaded]:
    """Load every image of an archive (or `only` the one of this name); returns them in the archive's order.

    source: an open file or pipe, or a directory's path. platform: which image of several for one name, "" = this
    machine's. InvalidInput, and the store as before, when the archive is no image, damaged, truncated, hostile or
    inconsistent; OSError when the disk is full or the stream fails.
    """
    store.clean_tmp()
    with store.tmp_dir() as staging:
        images = _images(receive(staging, source), platform, only)
        ids = ingest(store, images, report=report, limits=limits)
    return [
        Loaded(tuple(str(name) for name in image.names), image_id) for image, image_id in zip(images, ids, strict=True)
    ]


def _images(received: Received, platform: str, only: str) -> list[ComingImage]:
    if "manifest.json" in received.files:
        return _named(docker_images(received), only)
    if "index.json" in received.files:
        return layout_images(received, platform, only=only)
    if "repositories" in received.files:
        return _named(old_images(received), only)
    raise InvalidInput("not an image archive: it holds neither manifest.json nor index.json")


def _named(images: list[ComingImage], only: str) -> list[ComingImage]:
    """Of images with names the one that is asked for."""
    if not only:
        return images
    wanted = parse_reference(only)
    chosen = [image for image in images if wanted in image.names]
    if not chosen:
        has = ", ".join(sorted(name.familiar() for image in images for name in image.names))
        raise InvalidInput(f"the archive has no image {only!r}: it has {has or 'none with a name'}")
    return [ComingImage(chosen[0].config, chosen[0].layers, (wanted,), chosen[0].manifest)]
