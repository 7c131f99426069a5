"""push: an image's layers, config and manifest to a registry; what it has already is not sent again."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from engine.errors import NoSuchImage, NotFound
from engine.oci.digests import SHA256, hasher
from engine.oci.documents import dump_document
from engine.oci.manifests import (
    CONFIG,
    DOCKER_CONFIG,
    DOCKER_MANIFEST,
    LAYER,
    LAYER_GZIP,
    MANIFEST,
    Descriptor,
    parse_manifest,
)
from engine.oci.references import Reference, parse_reference
from engine.progress import Progress
from engine.registry.errors import RegistryError, Unauthorized

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from engine.commands.context import Context
    from engine.progress import Report
    from engine.registry.client import Registry
    from engine.store.images import ImageRecord
    from engine.store.root import Staging

AT_ONCE = 3
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
TO_DOCKER = {
    MANIFEST: DOCKER_MANIFEST,
    CONFIG: DOCKER_CONFIG,
    LAYER: DOCKER_LAYER,
    LAYER_GZIP: DOCKER_LAYER + ".gzip",
}


@dataclass(frozen=True, slots=True)
class Pushed:
    """What was pushed: the name as people write it, and the manifest's digest and bytes."""

    name: str
    digest: str
    size: int


@dataclass(frozen=True, slots=True)
class _Layer:
    """A layer on its way: its descriptor there, and the file with its archive."""

    descriptor: Descriptor
    path: str

    @property
    def id(self) -> str:
        return self.descriptor.digest[7:19]


def push(
    context: Context, ref: str, target: str = "", *, all_tags: bool = False, report: Report | None = None
) -> list[Pushed]:
    """Push an image under its own name, or as `target` (another name, or a place: `places.py`).

    The manifest goes as it came, to the byte; only layers that are plain tars are compressed on the way, and then it
    names those. NoSuchImage, Unauthorized, RegistryError.
    """
    from engine.commands.places import parse_place, push_place
    from engine.registry.client import Registry

    place = parse_place(target) if target else None
    if place is not None:
        push_place(context, ref, place, report=report)
        return []
    own = parse_reference(ref) if not target else None
    if all_tags and own is not None:
        prefix = own.repository + ":"
        wanted = [parse_reference(name) for name in context.store.images.read()[0] if name.startswith(prefix)]
        if not wanted:
            raise NotFound(f"An image does not exist locally with the tag: {own.familiar_repository}")
    else:
        wanted = [parse_reference(target or ref)]

    def tell(text: str) -> None:
        if report is not None:
            report(Progress("", text))

    pushed = []
    with Registry(wanted[0].domain, push=True, report=tell) as registry:
        tell(f"The push refers to repository [{wanted[0].repository}]")
        for name in wanted:
            try:
                record = context.store.images.resolve(ref if target else str(name))
            except NoSuchImage:
                raise NotFound(f"An image does not exist locally with the tag: {name.familiar_repository}")
            pushed.append(_push(context, registry, record, name, report))
    return pushed


def _push(context: Context, registry: Registry, record: ImageRecord, name: Reference, report: Report | None) -> Pushed:
    store = context.store
    with store.tmp_dir() as staging:
        for hold in (*record.layers, record.id[7:], record.manifest[7:]):
            staging.hold(hold)
        data = store.blobs.read(record.manifest)
        manifest = parse_manifest(data)
        sources = _others(context, name)

        def send(layer: Descriptor) -> _Layer:
            ready = _compressed(context, staging, layer, report)
            _upload(registry, name.path, ready, sources, report)
            return ready

        if report is not None:
            for layer in manifest.layers:
                report(Progress(layer.digest[7:19], "Preparing"))
        pool = ThreadPoolExecutor(AT_ONCE)
        try:
            sent = list(pool.map(send, manifest.layers))
        finally:
            pool.shutdown(cancel_futures=True)
        if any(new.descriptor is not old for new, old in zip(sent, manifest.layers, strict=True)):
            data = _renamed(data, [layer.descriptor for layer in sent])
        config = _Layer(manifest.config, store.blobs.path(manifest.config.digest))
        _upload(registry, name.path, config, [], None)
        digest, data = _put(registry, name, data)
    note = Reference(name.domain, name.path, digest=digest)
    store.images.tag(record.id, note)
    return Pushed(name.familiar(), digest, len(data))


def _put(registry: Registry, name: Reference, data: bytes) -> tuple[str, bytes]:
    """Put the manifest; a registry that refuses OCI's types gets docker's, which say the same."""
    document = json.loads(data)
    media_type = document.get("mediaType", MANIFEST)
    try:
        return registry.put_manifest(name.path, name.tag or name.digest, data, media_type), data
    except Unauthorized:
        raise
    except RegistryError:
        if media_type != MANIFEST or name.digest:
            raise
        old = _as_docker(document)
        if old is None:
            raise
        return registry.put_manifest(name.path, name.tag, old, DOCKER_MANIFEST), old


def _as_docker(document: dict[str, Any]) -> bytes | None:
    parts = [document["config"], *document["layers"]]
    if any(part["mediaType"] not in TO_DOCKER for part in parts):
        return None
    config, *layers = ({**part, "mediaType": TO_DOCKER[part["mediaType"]]} for part in parts)
    return dump_document({"schemaVersion": 2, "mediaType": DOCKER_MANIFEST, "config": config, "layers": layers})


def _renamed(data: bytes, layers: list[Descriptor]) -> bytes:
    """The manifest with these layers; all else in it stays."""
    document = json.loads(data)
    document["layers"] = [
        {**old, "mediaType": new.media_type, "digest": new.digest, "size": new.size}
        for old, new in zip(document["layers"], layers, strict=True)
    ]
    return dump_document(document)


def _compressed(context: Context, staging: Staging, layer: Descriptor, report: Report | None) -> _Layer:
    """The layer as it goes out: as it is, or a plain tar as gzip, the same bytes every time."""
    path = context.store.blobs.path(layer.digest)
    if layer.media_type not in (LAYER, DOCKER_LAYER):
        return _Layer(layer, path)
    from isal import igzip

    out = staging.join("gzip-" + layer.digest[7:])
    running, size = hasher(), 0
    with open(path, "rb") as plain, open(out, "wb", buffering=0) as file:

        class Counted:
            def write(self, data: bytes) -> int:
                nonlocal size
                running.update(data)
                size += len(data)
                return file.write(data)

            def flush(self) -> None:
                pass

        packer: Any = igzip.IGzipFile(  # type: ignore[no-untyped-call]
            filename="", mode="wb", compresslevel=2, fileobj=Counted(), mtime=0
        )
        while chunk := plain.read(1 << 20):
            packer.write(chunk)
        packer.close()
    media_type = LAYER_GZIP if layer.media_type == LAYER else DOCKER_LAYER + ".gzip"
    return _Layer(Descriptor(media_type, SHA256 + running.hexdigest(), size), out)


def _upload(registry: Registry, path: str, layer: _Layer, sources: list[str], report: Report | None) -> None:
    """See that a repository has a blob: it has, another repository of the registry has, or it is sent."""

    def say(action: str, current: int = 0) -> None:
        if report is not None:
            report(Progress(layer.id, action, current, layer.descriptor.size if current else 0))

    digest, size = layer.descriptor.digest, layer.descriptor.size
    if registry.blob_size(path, digest) is not None:
        say("Layer already exists")
        return
    for source in sources:
        if registry.mount_blob(path, digest, source):
            say(f"Mounted from {source}")
            return

    def opened(offset: int) -> Any:
        file = open(layer.path, "rb")  # noqa: SIM115 (the client closes it)
        file.seek(offset)
        return file

    registry.upload_blob(path, digest, size, opened, progress=lambda count: say("Pushing", count))
    say("Pushed")


def _others(context: Context, name: Reference) -> list[str]:
    """Other repositories of the same registry that we pulled from or pushed to: they may have our layers."""
    known = (parse_reference(key) for key in context.store.images.read()[0] if "@" in key)
    return sorted({one.path for one in known if one.domain == name.domain and one.path != name.path})[:3]
