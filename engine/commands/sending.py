"""An image's blobs into one repository of a registry: several layers at a time, each in the cheapest way there is.

It has the blob already; or another repository of the registry has, and gives it (a cross-repository mount); or it is
uploaded.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from dataclasses import dataclass

from engine.errors import BrokenStore, NotFound, StrataError
from engine.oci.documents import dump_document
from engine.oci.manifests import (
    CONFIG,
    DOCKER_CONFIG,
    DOCKER_MANIFEST,
    LAYER,
    LAYER_GZIP,
    LAYER_ZSTD,
    MANIFEST,
    Descriptor,
    parse_manifest,
)
from engine.oci.references import parse_reference
from engine.progress import Progress
from engine.registry.errors import RegistryError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, BinaryIO

    from engine.oci.references import Reference
    from engine.progress import Report
    from engine.registry.client import Registry
    from engine.store.images import ImageRecord
    from engine.store.root import Staging, Store

AT_ONCE = 3
MOUNTS = 3  # repositories that are asked for a layer before it is uploaded; docker asks as many for a small one
SMALLER = 5 << 20  # bytes of a request to a registry that finds a whole layer too large
TOO_LARGE = 413
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
TO_DOCKER = {CONFIG: DOCKER_CONFIG, LAYER: DOCKER_LAYER, LAYER_GZIP: DOCKER_LAYER + ".gzip"}
TO_OCI = {docker: oci for oci, docker in TO_DOCKER.items()}
COMPRESSED = {"gzip": LAYER_GZIP, "zstd": LAYER_ZSTD}
LAYERS = (*TO_DOCKER, *TO_OCI, LAYER_ZSTD)


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer on its way. blob: what its manifest says of its archive; id: what people are shown, as by docker of the
    diff id."""

    diff_id: str
    blob: Descriptor

    @property
    def id(self) -> str:
        return self.diff_id[7:19]


class Stopped(StrataError):
    """Another layer failed, or the person had enough."""


class Sender:
    """Sends one image. compression: "gzip", "zstd" or "none" for layers that are plain tars; chunk: bytes of a request,
    0 = all in one; staging: where what is compressed lies while it is sent."""

    def __init__(
        self,
        store: Store,
        staging: Staging,
        registry: Registry,
        name: Reference,
        compression: str,
        chunk: int,
        report: Report | None,
    ) -> None:
        self._store = store
        self._staging = staging
        self._registry = registry
        self._name = name
        self._compression = compression
        self._chunk = chunk
        self._report = report
        self._stop = threading.Event()
        self._sources: dict[str, list[str]] = {}

    def send(self, record: ImageRecord) -> bytes:
        """Send layers and config; returns the manifest that is to follow them."""
        data = self._store.blobs.read(record.manifest)
        manifest = parse_manifest(data, f"manifest {record.manifest}")
        layers = list(map(Layer, record.config.diff_ids, manifest.layers))
        for blob in (record.id, record.manifest, *(layer.blob.digest for layer in layers)):
            self._staging.hold(blob[7:])
        for chain_id in record.layers:
            self._staging.hold(chain_id)
        self._sources = _repositories(self._store, self._name)
        for layer in layers:
            self._say(layer, "Preparing")
        sent = self._side_by_side(list(dict.fromkeys(layers)))
        self._upload(manifest.config, self._store.blobs.path(record.id), None)
        if all(sent[layer] == layer.blob for layer in layers):
            return data
        return _with_layers(data, [sent[layer] for layer in layers])

    def _side_by_side(self, layers: list[Layer]) -> dict[Layer, Descriptor]:
        """Send layers, some at a time, in threads that a broken connection cannot make us wait for."""
        queue = deque(layers)
        sent: dict[Layer, Descriptor] = {}
        failures: list[BaseException] = []

        def work() -> None:
            try:
                while not self._stop.is_set():
                    layer = queue.popleft()
                    sent[layer] = self._send(layer)
            except IndexError:
                pass  # nothing is left
            except BaseException as error:
                failures.append(error)
                self._stop.set()

        threads = [threading.Thread(target=work, daemon=True) for _ in range(min(AT_ONCE, len(layers)))]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            self._stop.set()
        if failures:
            raise failures[0]
        return sent

    def _send(self, layer: Layer) -> Descriptor:
        """See that the repository has a layer; returns what it is there."""
        blob, path = layer.blob, self._store.blobs.path(layer.blob.digest)
        if self._compression != "none" and blob.media_type in LAYERS and not _is_compressed(path):
            known = self._known(layer)
            if known is not None and self._there(known, layer):
                return known
            blob, path = self._compress(layer, path)
            if blob == known:
                self._upload(blob, path, layer)
                return blob
        if not self._there(blob, layer):
            self._upload(blob, path, layer)
        return blob

    def _there(self, blob: Descriptor, layer: Layer) -> bool:
        """Whether the repository has a blob, or another one of the registry gives it."""
        if self._registry.blob_size(self._name.path, blob.digest) is not None:
            self._say(layer, "Layer already exists")
            return True
        for source in self._sources.get(layer.diff_id, ())[:MOUNTS]:
            try:
                mounted = self._registry.mount_blob(self._name.path, blob.digest, source)
            except (RegistryError, NotFound):
                continue  # not ours to read, or no such repository any more: there is still the upload
            if mounted:
                self._say(layer, f"Mounted from {source}")
                return True
        return False

    def _upload(self, blob: Descriptor, path: str, layer: Layer | None) -> None:
        """Upload a layer, or (None) the config unless it is there."""
        if layer is None and self._registry.blob_size(self._name.path, blob.digest) is not None:
            return

        def opened(offset: int) -> BinaryIO:
            file = open(path, "rb")  # noqa: SIM115 (the client closes it)
            file.seek(offset)
            return file

        def progress(count: int) -> None:
            if self._stop.is_set() and layer is not None:
                raise Stopped("the push was stopped")
            self._say(layer, "Pushing", count, blob.size)

        def upload(chunk: int) -> None:
            self._registry.upload_blob(self._name.path, blob.digest, blob.size, opened, progress=progress, chunk=chunk)

        try:
            upload(self._chunk)
        except RegistryError as error:
            if error.status != TOO_LARGE or 0 < self._chunk <= SMALLER:
                raise
            upload(SMALLER)
        self._say(layer, "Pushed")

    def _known(self, layer: Layer) -> Descriptor | None:
        """What a plain layer became when it was compressed before."""
        from engine.store.compressed import recall

        known = recall(self._store, layer.blob.digest, self._compression)
        return self._compressed(layer, *known) if known else None

    def _compress(self, layer: Layer, path: str) -> tuple[Descriptor, str]:
        from engine.archive.compress import compress
        from engine.store.compressed import remember

        def progress(count: int) -> None:
            if self._stop.is_set():
                raise Stopped("the push was stopped")
            self._say(layer, "Preparing", count, layer.blob.size)

        target = self._staging.join(f"{self._compression}-{layer.blob.digest[7:]}")
        digest, size = compress(path, target, self._compression, progress)
        remember(self._store, layer.blob.digest, self._compression, digest, size)
        return self._compressed(layer, digest, size), target

    def _compressed(self, layer: Layer, digest: str, size: int) -> Descriptor:
        oci = COMPRESSED[self._compression]
        kind = TO_DOCKER.get(oci, oci) if layer.blob.media_type in TO_OCI else oci
        return Descriptor(kind, digest, size)

    def _say(self, layer: Layer | None, action: str, current: int = 0, total: int = 0) -> None:
        if self._report is not None and layer is not None:
            self._report(Progress(layer.id, action, current, total))


def _is_compressed(path: str) -> bool:
    """Told by the bytes: what skopeo copies from an archive to a directory is called gzip and is plain. xz and bzip2
    count as plain, registries' images have no word for them."""
    from engine.archive.compression import HEAD, compression_of

    try:
        with open(path, "rb") as file:
            return compression_of(file.read(HEAD)) in COMPRESSED
    except FileNotFoundError:
        raise BrokenStore(f"{path} is missing from the store; load or pull the image again") from None


def _repositories(store: Store, name: Reference) -> dict[str, list[str]]:
    """Diff id → other repositories of the same registry that have a layer, as far as pulls and pushes have noted."""
    found: dict[str, dict[str, None]] = {}
    names, _ = store.images.read()
    for key in sorted(names):
        if "@" not in key:
            continue
        one = parse_reference(key)
        if one.domain != name.domain or one.path == name.path:
            continue
        try:
            diff_ids = store.images.get(names[key]).config.diff_ids
        except NotFound:
            continue  # removed while we look
        for diff_id in diff_ids:
            found.setdefault(diff_id, {})[one.path] = None
    return {diff_id: list(paths) for diff_id, paths in found.items()}


def _with_layers(data: bytes, layers: list[Descriptor]) -> bytes:
    """The manifest with these layers; all else in it stays. docker's becomes OCI's when a layer has no docker type."""
    document: dict[str, Any] = json.loads(data)
    document["layers"] = [
        old
        if old["digest"] == new.digest
        else {**old, "mediaType": new.media_type, "digest": new.digest, "size": new.size}
        for old, new in zip(document["layers"], layers, strict=True)
    ]
    kinds = [layer["mediaType"] for layer in document["layers"]]
    if document.get("mediaType") == DOCKER_MANIFEST and LAYER_ZSTD in kinds:
        document["mediaType"] = MANIFEST
        for part in (document["config"], *document["layers"]):
            part["mediaType"] = TO_OCI.get(part["mediaType"], part["mediaType"])
    return dump_document(document)
