"""push: an image's layers, config and manifest to a registry; what it has already is not sent again.

The manifest goes as it came, to the byte. Only layers that are plain tars (from a docker-archive, a commit) are
compressed on the way, as docker does, and then the manifest names the compressed ones; an image that a registry has
with plain layers stays so. The image's id and diff ids are the same in any case.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from engine.commands.telling import image_event
from engine.errors import InvalidInput, NoSuchImage, NotFound
from engine.oci.documents import dump_document
from engine.oci.manifests import DOCKER_MANIFEST, MANIFEST
from engine.oci.references import Reference, parse_reference
from engine.progress import Progress
from engine.registry.errors import RegistryError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from engine.commands.context import Context
    from engine.progress import Report
    from engine.registry.client import Registry
    from engine.store.images import ImageRecord

COMPRESSIONS = ("", "gzip", "zstd", "none")
# What a registry answers that knows no OCI manifest (distribution-spec: MANIFEST_INVALID, UNSUPPORTED).
REFUSALS = (400, 406, 415, 422)


@dataclass(frozen=True, slots=True)
class Pushed:
    """What was pushed: the name as people write it, and the manifest's digest and bytes."""

    name: str
    digest: str
    size: int


def push(
    context: Context,
    ref: str,
    target: str = "",
    *,
    all_tags: bool = False,
    compression: str = "",
    chunk: int = 0,
    report: Report | None = None,
) -> list[Pushed]:
    """Push an image under its own name, or as `target` (another name, or a place: `places.py`, which returns nothing).

    all_tags: `ref` is a repository, all of whose tags are pushed. compression: of layers that are plain tars: "gzip",
    "zstd" or "none"; "" = gzip, but as it is what came from a registry. chunk: bytes of a request, 0 = a layer in one.
    NoSuchImage, NotFound, Unauthorized, RegistryError; what was sent until then stays in the registry.
    """
    from engine.commands.places import parse_place, push_place
    from engine.registry.client import Registry

    if compression not in COMPRESSIONS:
        raise InvalidInput(f"no such compression: {compression!r}; there are {', '.join(COMPRESSIONS[1:])}")
    place = parse_place(target) if target else None
    if place is not None:
        if all_tags:
            raise InvalidInput(f"--all-tags/-a is for registries: {place} takes one image at a time")
        push_place(context, ref, place, report=report)
        return []
    wanted = _all_tags(context, ref, target) if all_tags else [_one(context, ref, target)]

    def tell(text: str) -> None:
        if report is not None:
            report(Progress("", text))

    repository = wanted[0][1]
    tell(f"The push refers to repository [{repository.repository}]")
    with Registry(repository.domain, push=True, report=tell) as registry:
        return [_push(context, registry, record, name, compression, chunk, report) for record, name in wanted]


def _one(context: Context, ref: str, target: str) -> tuple[ImageRecord, Reference]:
    name = _tagged(target or ref)
    try:
        return context.store.images.resolve(ref if target else str(name)), name
    except NoSuchImage:
        if target:
            raise
        raise NotFound(f"An image does not exist locally with the tag: {name.familiar_repository}") from None


def _all_tags(context: Context, ref: str, target: str) -> list[tuple[ImageRecord, Reference]]:
    """Every tag of a repository, with what it is to be called."""
    own = parse_reference(ref)
    there = parse_reference(target) if target else own
    if any(text and (one.digest or text.endswith(":" + one.tag)) for text, one in ((ref, own), (target, there))):
        raise InvalidInput("tag can't be used with --all-tags/-a")
    prefix = own.repository + ":"
    names = sorted(name for name in context.store.images.read()[0] if name.startswith(prefix))
    if not names:
        raise NotFound(f"An image does not exist locally with the tag: {own.familiar_repository}")
    return [
        (context.store.images.resolve(name), Reference(there.domain, there.path, name.removeprefix(prefix)))
        for name in names
    ]


def _tagged(text: str) -> Reference:
    name = parse_reference(text)
    if name.digest:
        raise InvalidInput("cannot push a digest reference: give the image a name with a tag")
    return name


def _push(
    context: Context,
    registry: Registry,
    record: ImageRecord,
    name: Reference,
    compression: str,
    chunk: int,
    report: Report | None,
) -> Pushed:
    from engine.commands.sending import Sender

    store = context.store
    if not compression:
        as_it_is = any(one.endswith("@" + record.manifest) for one in record.names)
        compression = "none" if as_it_is else "gzip"
    with store.tmp_dir() as staging:
        data = Sender(store, staging, registry, name, compression, chunk, report).send(record)
        digest, data = _put(registry, name, data, report)
    try:
        store.images.tag(record.id, Reference(name.domain, name.path, digest=digest))
    except NoSuchImage:
        pass  # removed meanwhile: pushed it is
    image_event(context, "push", name.familiar(), name.familiar_repository)
    return Pushed(name.familiar(), digest, len(data))


def _put(registry: Registry, name: Reference, data: bytes, report: Report | None) -> tuple[str, bytes]:
    """Put the manifest; a registry that refuses OCI's types gets docker's, which say the same."""
    document = json.loads(data)
    media_type = document.get("mediaType") or MANIFEST
    try:
        return registry.put_manifest(name.path, name.tag, data, media_type), data
    except RegistryError as error:
        older = _as_docker(document) if media_type == MANIFEST and error.status in REFUSALS else None
        if older is None:
            raise
        try:
            digest = registry.put_manifest(name.path, name.tag, older, DOCKER_MANIFEST)
        except RegistryError:
            raise error from None  # it was not the type
    if report is not None:
        report(Progress("", f"{name.domain} takes no OCI manifests: pushed as docker's"))
    return digest, older


def _as_docker(document: dict[str, Any]) -> bytes | None:
    """An OCI manifest as docker's schema 2; None when it has what that knows no word for (zstd)."""
    from engine.commands.sending import TO_DOCKER

    config, *layers = (
        {**part, "mediaType": TO_DOCKER.get(part["mediaType"], "")}
        for part in (document["config"], *document["layers"])
    )
    if not all(part["mediaType"] for part in (config, *layers)):
        return None
    return dump_document({"schemaVersion": 2, "mediaType": DOCKER_MANIFEST, "config": config, "layers": layers})
