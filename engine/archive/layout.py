"""OCI image layout: `index.json` leads to manifests, they to configs and layers, all under `blobs/sha256/`."""

from __future__ import annotations

import os

from engine.archive.docker import Found, found_image
from engine.archive.received import Received, Staged
from engine.errors import InvalidInput
from engine.oci.digests import hex_of
from engine.oci.manifests import INDEXES, Descriptor, parse_index, parse_manifest
from engine.oci.references import Reference, parse_reference

CONTAINERD_NAME = "io.containerd.image.name"
REF_NAME = "org.opencontainers.image.ref.name"
MAX_DEPTH = 4  # an index of indexes of manifests

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}


def layout_images(received: Received) -> list[Found]:
    """The images that `index.json` leads to, this machine's of several platforms. InvalidInput when malformed."""
    found = [
        _image(received, manifest, names)
        for descriptor in parse_index(received.document("index.json"))
        for manifest, names in _manifests(received, descriptor, _names(descriptor), MAX_DEPTH)
    ]
    if not found:
        raise InvalidInput("index.json names no image")
    return found


def architecture() -> str:
    """This machine's architecture in Go's words, as images name theirs."""
    machine = os.uname().machine
    return ARCHITECTURES.get(machine, machine)


def _manifests(
    received: Received, descriptor: Descriptor, names: tuple[Reference, ...], depth: int
) -> list[tuple[Descriptor, tuple[Reference, ...]]]:
    if descriptor.media_type not in INDEXES:
        return [(descriptor, names)]
    if depth == 0:
        raise InvalidInput(f"index {descriptor.digest} is nested too deeply")
    inside = parse_index(received.document(_blob(descriptor)), descriptor.digest)
    ours = [entry for entry in inside if entry.platform in (("linux", architecture()), ("", ""))]
    if not ours:
        has = ", ".join(sorted({"/".join(entry.platform) for entry in inside}))
        raise InvalidInput(f"no image for linux/{architecture()} in {descriptor.digest}: it has {has or 'none'}")
    return _manifests(received, ours[0], names or _names(ours[0]), depth - 1)


def _image(received: Received, descriptor: Descriptor, names: tuple[Reference, ...]) -> Found:
    manifest = parse_manifest(received.document(_blob(descriptor)), descriptor.digest)
    config = received.document(_blob(manifest.config))
    layers = tuple(_layer(received, layer) for layer in manifest.layers)
    return found_image(config, layers, names, manifest.config.digest)


def _layer(received: Received, layer: Descriptor) -> Staged:
    found = received.verified(_blob(layer))
    if found.size != layer.size:
        raise InvalidInput(f"layer {layer.digest} has {found.size} bytes, its manifest says {layer.size}")
    return found


def _names(descriptor: Descriptor) -> tuple[Reference, ...]:
    notes = dict(descriptor.annotations)
    if CONTAINERD_NAME in notes:
        return (parse_reference(notes[CONTAINERD_NAME]),)
    name = notes.get(REF_NAME, "")
    # The specification leaves its meaning open: many write a bare tag, which names no repository.
    return (parse_reference(name),) if ":" in name or "/" in name else ()


def _blob(descriptor: Descriptor) -> str:
    return "blobs/sha256/" + hex_of(descriptor.digest)
