"""Images: `images.json` leads from names to ids, and from ids to manifests; all else is in content-addressed blobs.

    {"names": {"docker.io/library/demo:latest": "sha256:<id>"},
     "images": {"sha256:<id>": {"manifest": "sha256:…", "parent": "sha256:…" or "", "size": bytes}}}

An image's id is the digest of its config. Readers take no lock (the file is replaced at once); writers take `images`.
"""

from __future__ import annotations

from engine import jsons
from engine.errors import Ambiguous, BrokenStore, InvalidInput, NoSuchImage
from engine.oci.configs import ImageConfig, trusted_config
from engine.oci.digests import HEX, SHA256, is_hex_id
from engine.oci.references import Reference, parse_reference
from engine.store import files
from engine.values import Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self

    from engine.oci.manifests import Manifest
    from engine.store.locks import Lock
    from engine.store.root import Store


class ImageRecord(Values):
    """An image as the store knows it.

    id: `sha256:<config's hex>`; manifest: digest; parent: id of the image it was committed from, or "";
    names: normalized, sorted; layers: chain ids (64 hex), bottom first; size: bytes of its layers' regular files.
    """

    id: str
    manifest: str
    parent: str
    names: tuple[str, ...]
    config: ImageConfig
    layers: tuple[str, ...]
    size: int


class Images:
    """The file `images.json` and the blobs it leads to."""

    __slots__ = ("_store",)

    def __init__(self, store: Store) -> None:
        self._store = store

    def read(self) -> tuple[dict[str, str], dict[str, dict[str, Any]]]:
        """(names, images) as the file says now."""
        try:
            document = jsons.loads(files.read(self._store.path("images.json")))
            return document["names"], document["images"]
        except FileNotFoundError:
            return {}, {}
        except (ValueError, KeyError, TypeError) as error:
            raise BrokenStore(f"{self._store.path('images.json')} is not an index of images: {error!r}")

    def change(self) -> Change:
        """A `with` block that holds the images lock and writes `images.json` when it ends without an error."""
        return Change(self._store)

    def find(self, text: str) -> str:
        """The id that a name, an id or a unique prefix of an id leads to; names win. NoSuchImage, Ambiguous."""
        return find(text, *self.read())

    def resolve(self, text: str) -> ImageRecord:
        """The image that a name, an id or a unique prefix of an id leads to. NoSuchImage, Ambiguous."""
        names, images = self.read()
        return self._record(find(text, names, images), names, images)

    def get(self, image_id: str) -> ImageRecord:
        """The image of this full id (`sha256:<hex>`). NoSuchImage."""
        names, images = self.read()
        if image_id not in images:
            raise NoSuchImage(image_id)
        return self._record(image_id, names, images)

    def exists(self, image_id: str) -> bool:
        return image_id in self.read()[1]

    def all(self) -> list[ImageRecord]:
        """Every image, newest first."""
        names, images = self.read()
        found = []
        for image_id in images:
            try:
                found.append(self._record(image_id, names, images))
            except NoSuchImage:
                continue  # removed while we read
        return sorted(found, key=lambda record: (record.config.created, record.id), reverse=True)

    def children(self, image_id: str) -> list[str]:
        """Ids of the images committed or built from this one."""
        return [child for child, entry in self.read()[1].items() if entry["parent"] == image_id]

    def manifest(self, image: ImageRecord) -> Manifest:
        """The image's manifest: the descriptors of its config and its layers' archives."""
        from engine.oci.manifests import parse_manifest

        return parse_manifest(self._store.blobs.read(image.manifest))

    def tag(self, image_id: str, name: Reference | str) -> str | None:
        """Give an image a name. Returns the id of the image that lost it (it stays, dangling), or None."""
        reference = parse_reference(name) if isinstance(name, str) else name
        with self.change() as change:
            return change.tag(image_id, reference)

    def untag(self, name: Reference | str) -> str:
        """Take a name away; returns the id of the image that had it. NoSuchImage when nobody had."""
        reference = parse_reference(name) if isinstance(name, str) else name
        with self.change() as change:
            image_id = change.names.pop(key_of(reference), None)
            if image_id is None:
                raise NoSuchImage(reference.familiar())
            return image_id

    def remove(self, image_id: str) -> list[str]:
        """Forget an image and its names, then remove every blob and layer that nothing needs any more.

        Who may be removed is the commands' policy. Layers under a container stay until it goes. Returns the ids of the
        removed read-only layers, top first.
        """
        from engine.store.gc import collect

        with self._store.trash() as trash, self.change() as change:
            if image_id not in change.images:
                raise NoSuchImage(image_id)
            del change.images[image_id]
            for name in [name for name, owner in change.names.items() if owner == image_id]:
                del change.names[name]
            change.write()  # first, so that a crash from here on leaves garbage, never an image without its layers
            return collect(self._store, trash, change)

    def _record(self, image_id: str, names: dict[str, str], images: dict[str, dict[str, Any]]) -> ImageRecord:
        entry = images[image_id]
        try:
            config = trusted_config(self._store.blobs.read(image_id))
        except BrokenStore:
            if not self.exists(image_id):  # removed while we read
                raise NoSuchImage(image_id)
            raise
        own = tuple(sorted(name for name, owner in names.items() if owner == image_id))
        return ImageRecord(image_id, entry["manifest"], entry["parent"], own, config, config.chain_ids, entry["size"])


class Change:
    """`images.json` open for changing: `names` and `images` are plain dictionaries, written if the block ends well."""

    __slots__ = ("_lock", "_store", "_written", "images", "names")

    def __init__(self, store: Store) -> None:
        self._store = store

    def __enter__(self) -> Self:
        self._lock: Lock = self._store.lock("images")
        try:
            self.names, self.images = self._store.images.read()
        except BaseException:
            self._lock.release()
            raise
        self._written = jsons.dumps([self.names, self.images])
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        try:
            if kind is None:
                self.write()
        finally:
            self._lock.release()

    def tag(self, image_id: str, reference: Reference) -> str | None:
        """`Images.tag`, inside the block."""
        if image_id not in self.images:
            raise NoSuchImage(image_id)
        key = key_of(reference)
        former = self.names.get(key)
        self.names[key] = image_id
        return former if former != image_id else None

    def write(self) -> None:
        """Write the file now, if anything changed: synced, for a name must not be lost behind a finished command."""
        if jsons.dumps([self.names, self.images]) != self._written:
            document = {"names": dict(sorted(self.names.items())), "images": self.images}
            import json  # for its indentation

            files.swap(self._store.path("images.json"), json.dumps(document, indent=1).encode())
            self._written = jsons.dumps([self.names, self.images])


def find(text: str, names: dict[str, str], images: dict[str, dict[str, Any]]) -> str:
    """`Images.find` on what was read already."""
    try:
        owner = names.get(key_of(parse_reference(text)))
        if owner is not None:
            return owner
    except InvalidInput:
        pass  # not a name: perhaps a full id (64 digits are never a name)
    digits = text.removeprefix(SHA256)
    if not digits or len(digits) > 64 or not HEX.issuperset(digits):
        raise NoSuchImage(text)
    found = [image_id for image_id in images if image_id.startswith(SHA256 + digits)]
    if not found:
        raise NoSuchImage(text)
    if len(found) > 1 and not is_hex_id(digits):
        raise Ambiguous(text)
    return found[0]


def key_of(reference: Reference) -> str:
    """A name as `images.json` keeps it; docker ignores the tag beside a digest."""
    if reference.digest:
        return f"{reference.repository}@{reference.digest}"
    return str(reference)
