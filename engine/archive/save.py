"""Images → one archive that every reader takes: the form of docker 25, a docker-archive and an OCI layout in one.

    oci-layout, index.json       the OCI layout: manifests; names as containerd's and the specification's annotations
    manifest.json, repositories  docker's: each image's config, tags and layers; names → top layers, for old docker
    blobs/sha256/<hex>           manifests, configs and layer archives, byte for byte as the store has them, each once

The documents come first, so that a reader on a pipe knows what comes. The same images give the same bytes every time:
no times, no owners. Layers are copied by the kernel, never held in memory. docker reads zstd since 23 only, so
manifest.json leads to a second, plain copy of such a layer, as docker itself would save it; index.json leads to the
layer as it is.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass

from engine.archive.layout import CONTAINERD_NAME, REF_NAME
from engine.errors import BrokenStore, Conflict, InvalidInput
from engine.oci.digests import hasher, hex_of
from engine.oci.documents import dump_document, load_object
from engine.oci.manifests import INDEX, LAYER, MANIFEST, Descriptor, Manifest, parse_manifest
from engine.oci.references import Reference, parse_reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any, BinaryIO

    from engine.store.images import ImageRecord
    from engine.store.root import Store

BOTH, DOCKER, OCI = "", "docker-archive", "oci-archive"
OCI_LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'
BLOBS = "blobs/sha256/"
CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An image on its way out: its record, its manifest as bytes and read, the names it goes by."""

    record: ImageRecord
    data: bytes
    manifest: Manifest
    names: tuple[Reference, ...]

    def blobs(self) -> Iterator[tuple[str, int, str]]:
        """(digest, size, what it is) of each of its blobs, the manifest first, layers bottom first."""
        yield self.record.manifest, len(self.data), "manifest"
        yield self.manifest.config.digest, self.manifest.config.size, "config"
        for number, layer in enumerate(self.manifest.layers, 1):
            yield layer.digest, layer.size, f"layer {number}"


def save(
    store: Store,
    wanted: Sequence[tuple[ImageRecord, Sequence[Reference | str]]],
    out: BinaryIO,
    *,
    form: str = BOTH,
    tag: str = "",
) -> None:
    """Write images, each with the names it is wanted by (none is fine), as one archive to `out`.

    form: "docker-archive" or "oci-archive" write only that one's documents; tag: what the index calls images that are
    wanted without a name (`org.opencontainers.image.ref.name`). Before the first byte is written every blob was seen.
    BrokenStore when one is missing or of another size than its manifest says; Conflict when an image is removed
    meanwhile. OSError as `out` raises it.
    """
    from engine.layers.sink import Sink

    images = [outgoing(store, record, names) for record, names in wanted]
    blobs: dict[str, int] = {}
    for image in images:
        blobs.update(checked_blobs(store, image))
    inflated = _inflated(store, images) if form != OCI else {}
    sink = Sink(out)
    for name, data in _documents(images, form, tag, inflated):
        sink.write(_header(name, len(data)))
        sink.write(data + bytes(-len(data) % 512))
    for directory in ("blobs/", BLOBS):
        sink.write(_header(directory))
    for digest, size in blobs.items():
        with _open(store, images, digest) as blob:
            sink.write(_header(BLOBS + hex_of(digest), size))
            if sink.copy(blob.fileno(), 0, size) != size:
                raise BrokenStore(f"blob {digest} became shorter while it was saved; load or pull its image again")
        sink.write(bytes(-size % 512))
    for diff_id, (layer, size) in inflated.items():
        if diff_id not in blobs:
            sink.write(_header(BLOBS + hex_of(diff_id), size))
            for chunk in _plain(store, images, layer):
                sink.write(chunk)
            sink.write(bytes(-size % 512))
    sink.write(bytes(1024))
    sink.flush()


def outgoing(store: Store, record: ImageRecord, names: Sequence[Reference | str] = ()) -> Outgoing:
    """Read what is needed to send an image out. BrokenStore when its manifest is missing."""
    data = store.blobs.read(record.manifest)
    references = [parse_reference(name) if isinstance(name, str) else name for name in names]
    return Outgoing(record, data, parse_manifest(data, f"manifest {record.manifest}"), tuple(dict.fromkeys(references)))


def checked_blobs(store: Store, image: Outgoing) -> dict[str, int]:
    """Digest → size of an image's blobs, all of them there. BrokenStore, with what to do, when they are not."""
    found = {}
    for digest, size, what in image.blobs():
        try:
            actual = os.stat(store.blobs.path(digest)).st_size
        except FileNotFoundError:
            raise _broken(image, f"{what} ({digest}) is missing from the store") from None
        if actual != size:
            raise _broken(image, f"{what} ({digest}) has {actual} bytes, not {size}")
        found[digest] = size
    return found


def descriptor(image: Outgoing) -> dict[str, Any]:
    """The image's manifest as an index names it, without annotations."""
    media_type = load_object(image.data, "manifest").get("mediaType") or MANIFEST
    return {"mediaType": media_type, "digest": image.record.manifest, "size": len(image.data)}


def _broken(image: Outgoing, problem: str) -> BrokenStore:
    name = image.names[0].familiar() if image.names else image.record.id
    return BrokenStore(f"cannot save {name}: its {problem}; load or pull the image again, then save it")


def _open(store: Store, images: Sequence[Outgoing], digest: str) -> BinaryIO:
    try:
        return store.blobs.open(digest)
    except BrokenStore:
        for image in images:
            if any(digest == one for one, _, _ in image.blobs()) and not store.images.exists(image.record.id):
                raise Conflict(f"image {image.record.id} was removed while it was saved") from None
        raise


def _inflated(store: Store, images: Sequence[Outgoing]) -> dict[str, tuple[str, int]]:
    """Diff id → (archive's digest, bytes of the plain tar) of each zstd layer. BrokenStore when it is another tar."""
    from engine.archive.compression import HEAD, compression_of

    found: dict[str, tuple[str, int]] = {}
    for image in images:
        for diff_id, layer in zip(image.record.config.diff_ids, image.manifest.layers, strict=True):
            with _open(store, images, layer.digest) as blob:
                zstd = compression_of(blob.read(HEAD)) == "zstd"
            if zstd and diff_id not in found:
                running, size = hasher(), 0
                for chunk in _plain(store, images, layer.digest):
                    running.update(chunk)
                    size += len(chunk)
                if running.hexdigest() != hex_of(diff_id):
                    raise _broken(image, f"layer {layer.digest} is not what its config says")
                found[diff_id] = layer.digest, size
    return found


def _plain(store: Store, images: Sequence[Outgoing], digest: str) -> Iterator[bytes]:
    """The plain tar of a layer, piece by piece. BrokenStore when the archive is damaged."""
    from engine.archive.compression import plain

    with _open(store, images, digest) as blob:
        stream, _ = plain(blob, f"layer {digest}")
        try:
            while chunk := stream.read(CHUNK):
                yield chunk
        except InvalidInput as error:
            raise BrokenStore(f"{error}; load or pull its image again") from None


def _documents(
    images: Sequence[Outgoing], form: str, tag: str, inflated: dict[str, tuple[str, int]]
) -> Iterator[tuple[str, bytes]]:
    if form not in (BOTH, DOCKER, OCI):
        raise InvalidInput(f"no such form of archive: {form}")
    if form != DOCKER:
        entries = [entry for image in images for entry in _index_entries(image, tag)]
        yield "oci-layout", OCI_LAYOUT
        yield "index.json", dump_document({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries})
    if form != OCI:
        inside = {image.record.id for image in images}
        yield "manifest.json", dump_document([_docker_entry(image, inside, inflated) for image in images])
        repositories = _repositories(images, inflated)
        if repositories:
            yield "repositories", json.dumps(repositories, separators=(",", ":")).encode()


def _index_entries(image: Outgoing, tag: str) -> list[dict[str, Any]]:
    """One entry a name, as docker and containerd write them."""
    plain = descriptor(image)
    entries: list[dict[str, Any]] = [
        {**plain, "annotations": {CONTAINERD_NAME: str(name), REF_NAME: name.tag}} for name in image.names
    ]
    return entries or [{**plain, "annotations": {REF_NAME: tag}} if tag else plain]


def _docker_entry(image: Outgoing, inside: set[str], inflated: dict[str, tuple[str, int]]) -> dict[str, Any]:
    """The image in manifest.json (moby, image/tarexport). inside: the ids of all images of this archive."""
    layers = _docker_layers(image, inflated)
    entry: dict[str, Any] = {
        "Config": BLOBS + hex_of(image.manifest.config.digest),
        "RepoTags": [name.familiar() for name in image.names] or None,
        "Layers": [BLOBS + hex_of(layer.digest) for layer in layers],
    }
    if image.record.parent in inside:
        entry["Parent"] = image.record.parent
    pairs = zip(image.record.config.diff_ids, layers, strict=True)
    entry["LayerSources"] = {diff_id: layer.as_dict() for diff_id, layer in pairs}
    return entry


def _docker_layers(image: Outgoing, inflated: dict[str, tuple[str, int]]) -> list[Descriptor]:
    """The archives that docker is led to."""
    return [
        Descriptor(LAYER, diff_id, inflated[diff_id][1]) if diff_id in inflated else layer
        for diff_id, layer in zip(image.record.config.diff_ids, image.manifest.layers, strict=True)
    ]


def _repositories(images: Sequence[Outgoing], inflated: dict[str, tuple[str, int]]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for image in images:
        for name in image.names:
            if image.manifest.layers:
                top = hex_of(_docker_layers(image, inflated)[-1].digest)
                found.setdefault(name.familiar_repository, {})[name.tag] = top
    return found


def _header(name: str, size: int = 0) -> bytes:
    from engine.layers.tar_out import header

    if name.endswith("/"):
        return header(name.encode(), b"5", 0o755)
    return header(name.encode(), b"0", 0o644, size=size)
