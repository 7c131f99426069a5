"""An image into an OCI layout directory, beside the images that are in it already (`oci:DIR:TAG`, image-spec
`image-layout.md`).

Blobs are copied, not hard-linked: what another program writes into its own layout must never reach the store's. On file
systems that share blocks a copy costs nothing.
"""

from __future__ import annotations

import os

from engine.archive.layout import REF_NAME
from engine.archive.save import OCI_LAYOUT, checked_blobs, descriptor, outgoing
from engine.errors import BrokenStore, InvalidInput
from engine.oci.digests import hex_of
from engine.oci.documents import dump_document, load_object
from engine.oci.manifests import INDEX
from engine.store.locks import lock_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from engine.store.images import ImageRecord
    from engine.store.root import Store


def write_layout(store: Store, image: ImageRecord, directory: str, tag: str = "") -> None:
    """Add an image to the layout in `directory`, which is made when it is not there.

    tag: its `org.opencontainers.image.ref.name`; an image that had it before loses its place in the index. Writers take
    turns (flock on the directory); readers see the old index or the new. InvalidInput when the directory holds
    something else than a layout; BrokenStore, and the index as it was, when a blob is missing.
    """
    outward = outgoing(store, image)
    blobs = checked_blobs(store, outward)
    os.makedirs(directory, exist_ok=True)
    lock = lock_directory(directory)
    if lock is None:
        raise FileNotFoundError(f"{directory} was removed while an image was written to it")
    with lock:
        index = _index(directory)
        os.makedirs(os.path.join(directory, "blobs", "sha256"), exist_ok=True)
        for digest, size in blobs.items():
            _copy(store, digest, size, os.path.join(directory, "blobs", "sha256", hex_of(digest)))
        entry = descriptor(outward)
        if tag:
            entry["annotations"] = {REF_NAME: tag}
        index["manifests"] = [*_others(index["manifests"], entry, tag), entry]
        _replace(os.path.join(directory, "oci-layout"), OCI_LAYOUT)
        _replace(os.path.join(directory, "index.json"), dump_document(index))


def _index(directory: str) -> dict[str, Any]:
    """The layout's index as it is, unknown fields and all; an empty one for a directory without anything in it."""
    path = os.path.join(directory, "index.json")
    try:
        with open(path, "rb") as file:
            index = load_object(file.read(), path)
    except FileNotFoundError:
        if os.listdir(directory) not in ([], ["blobs"]) and not os.path.exists(os.path.join(directory, "oci-layout")):
            raise InvalidInput(f"{directory} is no OCI layout: it has no index.json; name another directory") from None
        return {"schemaVersion": 2, "mediaType": INDEX, "manifests": []}
    entries = index.get("manifests")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InvalidInput(f"{path}: manifests must be a list of descriptors")
    return index


def _others(entries: list[dict[str, Any]], entry: dict[str, Any], tag: str) -> list[dict[str, Any]]:
    """The entries that stay beside a new one: not the one of the same tag, nor the same image without a tag."""
    return [one for one in entries if _tag(one) != tag or (not tag and one.get("digest") != entry["digest"])]


def _tag(entry: dict[str, Any]) -> str:
    annotations = entry.get("annotations")
    return str(annotations.get(REF_NAME) or "") if isinstance(annotations, dict) else ""


def _copy(store: Store, digest: str, size: int, target: str) -> None:
    """Copy a blob; one that is there already, whole, is left alone."""
    from engine.layers.sink import Sink

    try:
        if os.stat(target, follow_symlinks=False).st_size == size:
            return
    except FileNotFoundError:
        pass
    new = f"{target}.{os.getpid()}.new"
    try:
        with store.blobs.open(digest) as blob, open(new, "xb", opener=_opener) as out:
            if Sink(out).copy(blob.fileno(), 0, size) != size:
                raise BrokenStore(f"blob {digest} became shorter while it was copied; load or pull its image again")
            out.flush()
            os.fsync(out.fileno())
        os.rename(new, target)
    except BaseException:
        _forget(new)
        raise


def _replace(path: str, data: bytes) -> None:
    """Put `data` in the place of a file at once."""
    new = f"{path}.{os.getpid()}.new"
    try:
        with open(new, "xb", opener=_opener) as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        os.rename(new, path)
    except BaseException:
        _forget(new)
        raise


def _opener(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)


def _forget(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
