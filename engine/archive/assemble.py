"""An image out of a config and layers: what load, commit, build and the demo have in common.

Everything is staged first; then one syncfs, then, under the images lock, layers and blobs move to their places from the
bottom up, and `images.json` is written last. A crash before that leaves garbage, never half an image.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from engine.archive.compression import plain
from engine.errors import InvalidInput, NotFound, StrataError
from engine.oci.configs import chain_id, chain_ids, parse_config
from engine.oci.digests import SHA256, digest_of, hasher
from engine.oci.documents import dump_document
from engine.oci.manifests import CONFIG, MAX_LAYERS, MEDIA_TYPES, Descriptor, Manifest, parse_manifest
from engine.oci.references import Reference, parse_reference
from engine.store import blobs, files
from engine.store.layers import READ_ONLY, LayerRecord

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from engine.layers.unpack import Limits
    from engine.store.blobs import Readable
    from engine.store.images import Change, ImageRecord
    from engine.store.root import Staging, Store


@dataclass(frozen=True, slots=True)
class LayerSource:
    """One layer of a coming image: what it is, and where its parts are.

    blob: descriptor of its archive, byte for byte as it came; archive: the staged blob's path, "" when the store has
    it; directory: the staged layer's path (diff/, json, index), "" when the store has it.
    """

    diff_id: str
    blob: Descriptor
    archive: str = ""
    directory: str = ""


class LayerGone(StrataError):
    """A layer that was in the store a moment ago was removed by somebody: prepare it and try again."""

    def __init__(self, layer_id: str) -> None:
        super().__init__(f"layer {layer_id} was removed while an image was made upon it; try again")


def layers_of(store: Store, image: ImageRecord) -> list[LayerSource]:
    """The layers of an image of the store, to stand under a new one."""
    manifest = store.images.manifest(image)
    return [LayerSource(diff_id, blob) for diff_id, blob in zip(image.config.diff_ids, manifest.layers, strict=True)]


def stage_archive(staging: Staging, name: str, stream: Readable) -> tuple[str, str, int]:
    """Copy a layer's archive to a staged file `name`; returns its path, digest and size."""
    digest, size = blobs.stage(staging, name, stream)
    return staging.join(name), digest, size


def layer_from_archive(
    store: Store,
    staging: Staging,
    archive: str,
    digest: str,
    parent: str | None,
    *,
    parent_directory: str = "",
    diff_id: str = "",
    created: str = "",
    created_by: str = "",
    what: str = "layer",
    limits: Limits | None = None,
) -> LayerSource:
    """Make a read-only layer of a staged archive (plain or gzip tar) that stands on the layer `parent`.

    parent: chain id, or None; parent_directory: the parent's staged directory while it is not in the store yet;
    diff_id: what the config promises, "" for no promise. When the store has the layer already, the archive is only
    checked. InvalidInput when the archive is damaged, hostile or not what was promised; `staging` is then of no use.
    """
    if diff_id and store.layers.exists(chain_id(parent, diff_id)):
        compression = check_archive(archive, diff_id, what)
        return LayerSource(diff_id, _descriptor(archive, digest, compression), archive)
    from engine.layers.unpack import unpack

    directory = staging.join("layer-" + os.urandom(8).hex())
    os.mkdir(directory, 0o700)
    try:
        diff = store.layers.make_diff(directory, parent, parent_directory)
    except NotFound:
        raise LayerGone(str(parent))
    with open(archive, "rb") as raw:
        stream, compression = plain(raw, what)
        try:
            unpacked = unpack(stream, diff, limits=limits)
        except InvalidInput as error:
            raise error if str(error).startswith(what) else InvalidInput(f"{what}: {error}")
    _promised(diff_id or unpacked.diff_id, unpacked.diff_id, what)
    record = LayerRecord(
        chain_id(parent, unpacked.diff_id),
        READ_ONLY,
        parent,
        unpacked.diff_id,
        created,
        created_by,
        unpacked.size,
        unpacked.entry_count - 1,
    )
    store.layers.seal(directory, record, unpacked.entries)
    return LayerSource(unpacked.diff_id, _descriptor(archive, digest, compression), archive, directory)


def check_archive(archive: str, diff_id: str, what: str = "layer") -> str:
    """Check that a staged archive's plain bytes have this digest; returns its compression. InvalidInput if not."""
    running = hasher()
    with open(archive, "rb") as raw:
        stream, compression = plain(raw, what)
        while chunk := stream.read(blobs.CHUNK):
            running.update(chunk)
    _promised(diff_id, SHA256 + running.hexdigest(), what)
    return compression


def pack_layer(store: Store, staging: Staging, name: str, upper: str, parent: str | None) -> tuple[str, str]:
    """Pack a read-write layer's diff directory, which stands on `parent`, into a staged archive `name`.

    Returns its path and its digest, which is its diff id too: it is not compressed. `layer_from_archive` makes the
    read-only layer of it, the same that any other engine would; the read-write layer goes on unharmed. The caller keeps
    the container still meanwhile, and no longer. Nothing changed gives the empty archive.
    """
    from engine.layers.pack import pack

    archive = staging.join(name)
    with open(archive, "xb") as out:
        packed = pack(upper, out, root=store.layers.root_entry(parent) if parent else None)
    return archive, packed.diff_id


def add_image(
    store: Store,
    config: bytes | dict[str, Any],
    layers: Sequence[LayerSource],
    names: Sequence[str | Reference] = (),
    parent: str = "",
    *,
    manifest: bytes | None = None,
) -> str:
    """Put an image into the store and give it names; returns its id.

    config: bytes are kept as they are, and must name exactly these layers; a dictionary gets its `rootfs` from them.
    parent: id of the image it was made from, or "". manifest: the one it came with, kept to the byte; it must name this
    config and these archives; None = one is written. An image that is there already keeps its archives and parent, and
    gains the names. Staging directories of the sources must be held open by the caller until this returns.
    InvalidInput for a config that is none, LayerGone when a source's layer was removed meanwhile.
    """
    references = [parse_reference(name) if isinstance(name, str) else name for name in names]
    diff_ids = tuple(layer.diff_id for layer in layers)
    if isinstance(config, dict):
        config = dump_document({**config, "rootfs": {"type": "layers", "diff_ids": list(diff_ids)}})
    checked = parse_config(config)
    if checked.diff_ids != diff_ids:
        raise InvalidInput(f"the image config names {len(checked.diff_ids)} layers, other than the {len(layers)} given")
    if len(layers) > MAX_LAYERS:
        raise InvalidInput(f"the image has {len(layers)} layers, more than the {MAX_LAYERS} that overlayfs can stack")
    image_id = digest_of(config)
    if manifest is None:
        manifest = Manifest(Descriptor(CONFIG, image_id, len(config)), tuple(layer.blob for layer in layers)).dump()
    else:
        _fits(manifest, image_id, layers)
    with store.tmp_dir() as documents:
        files.write_new(documents.join("config"), config, sync=False)
        files.write_new(documents.join("manifest"), manifest, sync=False)
        store.sync()
        with store.images.change() as change:
            _adopt_layers(store, layers)
            if not _is_whole(store, change, image_id):
                staged = {image_id: documents.join("config"), digest_of(manifest): documents.join("manifest")}
                _adopt_blobs(store, layers, staged)
                change.images[image_id] = {
                    "manifest": digest_of(manifest),
                    "parent": change.images.get(image_id, {}).get("parent") or parent,
                    "size": store.layers.size(chain_ids(diff_ids)),
                }
            for reference in references:
                change.tag(image_id, reference)
    return image_id


def _fits(data: bytes, image_id: str, layers: Sequence[LayerSource]) -> None:
    """InvalidInput unless a manifest from outside names exactly this config and these archives."""
    manifest = parse_manifest(data)
    named = [layer.digest for layer in manifest.layers]
    if manifest.config.digest != image_id or named != [layer.blob.digest for layer in layers]:
        raise InvalidInput(f"the manifest {digest_of(data)} names another config or other layers than it came with")


def _adopt_layers(store: Store, layers: Sequence[LayerSource]) -> None:
    """Move the layers that the store lacks to their places; LayerGone before the first is moved if one is nowhere."""
    ids = chain_ids([layer.diff_id for layer in layers])
    lacking = [position for position, layer_id in enumerate(ids) if not store.layers.exists(layer_id)]
    for position in lacking:
        if not os.path.isdir(layers[position].directory):
            raise LayerGone(ids[position])
    for position in lacking:
        store.layers.adopt(layers[position].directory, ids[position])
    if lacking:
        files.sync_directory(store.path("layers"))


def _adopt_blobs(store: Store, layers: Sequence[LayerSource], documents: dict[str, str]) -> None:
    """Move archives and documents (digest → staged path) to their places; LayerGone if an archive is nowhere."""
    staged = {layer.blob.digest: layer.archive for layer in layers if layer.archive}
    for layer in layers:
        if layer.blob.digest not in staged and not store.blobs.exists(layer.blob.digest):
            raise LayerGone(layer.diff_id)
    for digest, path in {**staged, **documents}.items():
        store.blobs.adopt(path, digest)
    files.sync_directory(store.path("blobs", "sha256"))


def _is_whole(store: Store, change: Change, image_id: str) -> bool:
    """Whether the store has this image already with all its archives."""
    if image_id not in change.images or not store.blobs.exists(image_id):
        return False
    if not store.blobs.exists(change.images[image_id]["manifest"]):
        return False
    manifest = store.images.manifest(store.images.get(image_id))
    return all(store.blobs.exists(layer.digest) for layer in manifest.layers)


def _descriptor(archive: str, digest: str, compression: str) -> Descriptor:
    return Descriptor(MEDIA_TYPES[compression], digest, os.stat(archive).st_size)


def _promised(diff_id: str, found: str, what: str) -> None:
    if diff_id != found:
        raise InvalidInput(f"{what} is damaged or not the layer its image means: diff id {found}, expected {diff_id}")
