"""OCI image layout: `index.json` leads to manifests, they to configs and layers, all under `blobs/sha256/`."""

from __future__ import annotations

from engine.archive.ingest import ComingImage, ComingLayer
from engine.archive.received import Received
from engine.errors import InvalidInput
from engine.oci.digests import hex_of
from engine.oci.manifests import INDEXES, Descriptor, check_image_config, choose, parse_index, parse_manifest
from engine.oci.platforms import parse_platform
from engine.oci.references import Reference, parse_reference

CONTAINERD_NAME = "io.containerd.image.name"
REF_NAME = "org.opencontainers.image.ref.name"
MAX_DEPTH = 4  # an index of indexes of manifests


def layout_images(received: Received, platform: str = "", *, only: str = "", every: bool = False) -> list[ComingImage]:
    """The images that `index.json` leads to, of several platforms the wanted one's; an image that has several entries,
    for its names, once. InvalidInput when malformed.

    platform: "" = this machine's. only: the entry with this ref name. every: all platforms' images, for those whose
    files are there.
    """
    wanted = parse_platform(platform)
    top = parse_index(received.document("index.json"))
    entries = [entry for entry in top if not only or only in _ref_names(entry)]
    if only and not entries:
        has = ", ".join(sorted({name for entry in top for name in _ref_names(entry)}))
        raise InvalidInput(f"index.json names no image {only!r}: it has {has or 'none with a name'}")
    platforms = {entry.platform for entry in entries}
    if len(platforms) > 1 and not any(_names(entry) for entry in entries) and not every:
        entries = [choose(entries, wanted, "index.json")]  # one image for several machines, without a list of its own
    images: dict[str, ComingImage] = {}
    for descriptor in entries:
        for manifest, names in _manifests(received, descriptor, _names(descriptor), wanted, every, MAX_DEPTH):
            before = images.get(manifest.digest)
            if before is not None:
                names = (*before.names, *(name for name in names if name not in before.names))
            images[manifest.digest] = _image(received, manifest, names)
    if not images:
        raise InvalidInput("index.json names no image")
    return list(images.values())


def _manifests(
    received: Received,
    descriptor: Descriptor,
    names: tuple[Reference, ...],
    wanted: tuple[str, str, str],
    every: bool,
    depth: int,
) -> list[tuple[Descriptor, tuple[Reference, ...]]]:
    if descriptor.media_type not in INDEXES:
        return [(descriptor, names)]
    if depth == 0:
        raise InvalidInput(f"index {descriptor.digest} is nested too deeply")
    inside = parse_index(received.document(_blob(descriptor)), descriptor.digest)
    if every:
        chosen = [entry for entry in inside if _blob(entry) in received.files and "unknown" not in entry.platform]
    else:
        chosen = [choose(inside, wanted, descriptor.digest)]
    return [
        found
        for entry in chosen
        for found in _manifests(received, entry, names or _names(entry), wanted, every, depth - 1)
    ]


def _image(received: Received, descriptor: Descriptor, names: tuple[Reference, ...]) -> ComingImage:
    data = received.document(_blob(descriptor))
    manifest = parse_manifest(data, descriptor.digest)
    check_image_config(manifest, descriptor.digest)
    config = received.document(_blob(manifest.config))
    layers = tuple(_layer(received, layer) for layer in manifest.layers)
    return ComingImage(config, layers, names, data)


def _layer(received: Received, layer: Descriptor) -> ComingLayer:
    found = received.layer(_blob(layer))
    if found.size != layer.size:
        raise InvalidInput(f"layer {layer.digest} has {found.size} bytes, its manifest says {layer.size}")
    return ComingLayer(layer.digest, layer.size, layer.media_type, found.path, found.offset, staged=found.own)


def _ref_names(descriptor: Descriptor) -> tuple[str, ...]:
    notes = dict(descriptor.annotations)
    return tuple(notes[key] for key in (REF_NAME, CONTAINERD_NAME) if key in notes)


def _names(descriptor: Descriptor) -> tuple[Reference, ...]:
    notes = dict(descriptor.annotations)
    if CONTAINERD_NAME in notes:
        return (parse_reference(notes[CONTAINERD_NAME]),)
    name = notes.get(REF_NAME, "")
    # The specification leaves its meaning open: many write a bare tag, which names no repository.
    return (parse_reference(name),) if ":" in name or "/" in name else ()


def _blob(descriptor: Descriptor) -> str:
    return "blobs/sha256/" + hex_of(descriptor.digest)
