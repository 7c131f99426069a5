"""Does the store keep its invariants? Everything is read, nothing is changed.

A problem is something an image or a container needs that is missing or not what it must be. A leftover is something
nobody needs: a crash left it, the next pull may reuse it, prune removes it.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass

from engine.errors import BrokenStore, InvalidInput, NotFound
from engine.kernel.proc import mapped
from engine.oci.configs import parse_config
from engine.oci.digests import digest_of
from engine.oci.manifests import parse_manifest
from engine.store.gc import garbage
from engine.store.incoming import broken
from engine.store.locks import lock_directory
from engine.store.root import DIRECTORIES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.layers.entry import Entry
    from engine.store.root import Store

FILES = ("images.json", "images.json.spare", "compressed.json", "events.jsonl", "events.jsonl.1")
KNOWN = {
    *(name.partition("/")[0] for name in DIRECTORIES),
    *FILES,
    "incoming",
    "skeleton",
    "skeleton-init",
    "run",
    "seccomp",
    "keeper",
}
CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Finding:
    """kind: "image", "layer", "container", "store" for problems, "leftover"; what: its id, name or path; text: what is
    wrong with it."""

    kind: str
    what: str
    text: str


def check_store(store: Store, *, deep: bool = False) -> list[Finding]:
    """Look at all of it. deep: read every byte of archives and layers and compare digests."""
    found: list[Finding] = []
    try:
        _, images = store.images.read()
    except BrokenStore as error:
        return [Finding("store", "images.json", str(error))]
    layers: set[str] = set()
    for image_id, entry in images.items():
        _image(store, image_id, entry["manifest"], layers, found, deep=deep)
    for config in store.containers.all():
        missing = [layer for layer in config.layers if not store.layers.exists(layer)]
        if missing or not store.layers.exists(config.id):
            lost = missing[0] if missing else config.id
            found.append(Finding("container", config.id, f"{config.name}: its layer {lost} is missing"))
        layers.update(layer for layer in config.layers if layer not in missing)
    for layer in sorted(layers):
        _layer(store, layer, found, deep=deep)
    if not found:
        _leftovers(store, found)
    found += [
        Finding("leftover", name, "does not belong in the store's root")
        for name in sorted(os.listdir(store.root))
        if name not in KNOWN
    ]
    return found


def _image(
    store: Store, image_id: str, manifest_id: str, layers: set[str], found: list[Finding], *, deep: bool
) -> None:
    def wrong(text: str) -> None:
        found.append(Finding("image", image_id, text))

    try:
        config_data, manifest_data = store.blobs.read(image_id), store.blobs.read(manifest_id)
        for name, data in ((image_id, config_data), (manifest_id, manifest_data)):
            if digest_of(data) != name:
                wrong(f"{name} is damaged: its content has another digest")
                return
        config, manifest = parse_config(config_data), parse_manifest(manifest_data)
    except (BrokenStore, InvalidInput) as error:
        wrong(str(error))
        return
    for layer in config.chain_ids:
        if store.layers.exists(layer):
            layers.add(layer)
        else:
            wrong(f"its layer {layer} is missing")
    for descriptor in manifest.layers:
        path = store.blobs.path(descriptor.digest)
        if not os.path.exists(path):
            wrong(f"its layer archive {descriptor.digest} is missing")
        elif os.path.getsize(path) != descriptor.size:
            wrong(f"its layer archive {descriptor.digest} has {os.path.getsize(path)} bytes, not {descriptor.size}")
        elif deep and "sha256:" + _digest(path) != descriptor.digest:
            wrong(f"its layer archive {descriptor.digest} is damaged: its content has another digest")


def _layer(store: Store, layer: str, found: list[Finding], *, deep: bool) -> None:
    try:
        record = store.layers.get(layer)
        entries = store.layers.index(layer)
    except (BrokenStore, NotFound, OSError) as error:
        found.append(Finding("layer", layer, str(error)))
        return
    if record.parent is not None and not store.layers.exists(record.parent):
        found.append(Finding("layer", layer, f"its parent {record.parent} is missing"))
    if record.id != layer or len(entries) != record.entries + 1:
        found.append(Finding("layer", layer, "its json and its index do not belong together"))
    if deep:
        diff = os.fsencode(store.layers.diff_path(layer))
        wrong = next((text for entry in entries if (text := _entry(diff, entry))), "")
        if wrong:
            found.append(Finding("layer", layer, wrong))


def _entry(diff: bytes, entry: Entry) -> str:
    """What is wrong with a file on disk, or ""."""
    import stat

    path = os.path.join(diff, entry.raw) if entry.path else diff
    try:
        now = os.lstat(path)
    except OSError as error:
        if entry.kind in ("c", "b") and mapped():
            return ""  # nobody makes devices in a user namespace: `unpack` leaves them out
        return f"{entry.path}: {error.strerror}"
    kinds = {"f": stat.S_ISREG, "d": stat.S_ISDIR, "l": stat.S_ISLNK, "w": stat.S_ISCHR, "c": stat.S_ISCHR}
    test = kinds.get(entry.kind)
    if test is not None and not test(now.st_mode):
        return f"{entry.path} is not of the kind its index says"
    if entry.kind == "f" and now.st_size != entry.size:
        return f"{entry.path} has {now.st_size} bytes, its index says {entry.size}"
    if entry.kind == "f" and entry.digest and _digest(path) != entry.digest:
        return f"{entry.path} is damaged: its content has another digest than its index says"
    return ""


def _leftovers(store: Store, found: list[Finding]) -> None:
    with store.images.change() as change, store.lock("containers"):
        waste = garbage(store, change)
    found += [Finding("leftover", layer, "a layer that nothing needs") for layer in waste.layers]
    found += [Finding("leftover", digest, "a blob that nothing needs") for digest in waste.blobs]
    found += [Finding("leftover", path, f"a broken download, {size} bytes") for path, size in broken(store)]
    for name in sorted(os.listdir(store.path("tmp"))):
        path = store.path("tmp", name)
        lock = lock_directory(path, wait=False)
        if lock is not None:
            lock.release()
            found.append(Finding("leftover", path, "what a dead writer left"))


def _digest(path: str | bytes) -> str:
    running = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            running.update(chunk)
    return running.hexdigest()
