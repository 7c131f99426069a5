"""pull: a manifest, its config and its layers out of a registry, checked, and into the store."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from engine.errors import InvalidInput, NotFound
from engine.oci.digests import digest_of
from engine.oci.documents import MAX_DOCUMENT, load_object
from engine.oci.manifests import INDEXES, MANIFESTS, Manifest, check_image_config, choose, parse_index, parse_manifest
from engine.oci.platforms import fits, parse_platform, platform_text
from engine.oci.references import Reference, parse_reference
from engine.progress import Progress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.commands.context import Context
    from engine.progress import Report
    from engine.registry.client import Fetched, Registry

MAX_DEPTH = 4  # an index of indexes of manifests


@dataclass(frozen=True, slots=True)
class Pulled:
    """An image that was pulled. name: as people write it; digest: what the name led to, an index's where it was one, ""
    from a place without any; image: its id; fresh: False when it was here already."""

    name: str
    digest: str
    image: str
    fresh: bool


def pull(
    context: Context, ref: str, *, platform: str = "", all_tags: bool = False, report: Report | None = None
) -> list[Pulled]:
    """Pull an image by tag or digest, or all tags of a repository; or take it from a place (`places.py`).

    platform: os/architecture[/variant], "" = this machine's, or whatever there is when it is only one. NotFound,
    Unauthorized, RegistryError, InvalidInput (the registry lies, or has no image); the store is as before then.
    """
    from engine.commands.places import parse_place, pull_place
    from engine.registry.client import Registry

    place = parse_place(ref)
    if place is not None:
        return [
            Pulled(parse_reference(name).familiar() if name else "", "", loaded.image, True)
            for loaded in pull_place(context, place, platform=platform, report=report)
            for name in loaded.names or ("",)
        ]
    reference = parse_reference(ref)
    if all_tags and (reference.digest or ref.endswith(":" + reference.tag)):
        raise InvalidInput("tag can't be used with --all-tags/-a")
    parse_platform(platform)

    def tell(text: str) -> None:
        if report is not None:
            report(Progress("", text))

    with Registry(reference.domain, report=tell) as registry:
        if all_tags:
            tags = registry.tags(reference.path)
            if not tags:
                raise NotFound(f"{reference.familiar_repository} has no tags")
            wanted = [Reference(reference.domain, reference.path, tag) for tag in tags]
        else:
            wanted = [Reference(reference.domain, reference.path, reference.tag, reference.digest)]
        return [_pull(context, registry, one, platform, report) for one in wanted]


def _pull(context: Context, registry: Registry, wanted: Reference, platform: str, report: Report | None) -> Pulled:
    from engine.archive.ingest import ComingImage, ComingLayer, ingest

    if report is not None:
        report(Progress("", f"{wanted.digest or wanted.tag}: Pulling from {wanted.path}"))
    top = registry.manifest(wanted.path, wanted.digest or wanted.tag)
    fetched = _of_platform(registry, wanted.path, top, platform)
    what = f"manifest {fetched.digest}"
    manifest = parse_manifest(fetched.data, what)
    check_image_config(manifest, wanted.familiar())
    note = Reference(wanted.domain, wanted.path, digest=top.digest)
    names = (note,) if wanted.digest else (wanted, note)
    shown = wanted.familiar()
    if _is_here(context, manifest, fetched.digest, names):
        return Pulled(shown, top.digest, manifest.config.digest, False)
    config = _config(registry, wanted.path, manifest)
    if platform:
        _check_platform(config, platform, shown)

    def layer(digest: str, size: int, media_type: str) -> ComingLayer:
        return ComingLayer(digest, size, media_type, open=partial(registry.blob, wanted.path, digest, size))

    layers = tuple(layer(one.digest, one.size, one.media_type) for one in manifest.layers)
    (image,) = ingest(context.store, [ComingImage(config, layers, names, fetched.data)], report=report)
    return Pulled(shown, top.digest, image, True)


def _of_platform(registry: Registry, path: str, fetched: Fetched, platform: str) -> Fetched:
    """The manifest for a platform, through as many indexes as there are."""
    for _ in range(MAX_DEPTH):
        if not _is_index(fetched):
            return fetched
        entry = choose(
            parse_index(fetched.data, f"index {fetched.digest}"), parse_platform(platform), "the manifest list"
        )
        fetched = registry.manifest(path, entry.digest)
    raise InvalidInput(f"index {fetched.digest} is nested too deeply")


def _is_index(fetched: Fetched) -> bool:
    """Whether a document is an index. InvalidInput when it says of itself one thing and the registry another."""
    document = load_object(fetched.data, f"manifest {fetched.digest}")
    if document.get("schemaVersion") == 1:
        raise InvalidInput(
            f"manifest {fetched.digest} is of docker's schema 1, which is no longer in use: push the image anew"
        )
    own = document.get("mediaType", fetched.media_type)
    if fetched.media_type in (*INDEXES, *MANIFESTS) and own != fetched.media_type:
        raise InvalidInput(f"manifest {fetched.digest} is ambiguous: {own!r} came as {fetched.media_type!r}")
    index = own in INDEXES or (own not in MANIFESTS and "manifests" in document)
    if index != ("manifests" in document):
        raise InvalidInput(f"manifest {fetched.digest} is ambiguous: it is not what its media type {own!r} says")
    return index


def _is_here(context: Context, manifest: Manifest, digest: str, names: tuple[Reference, ...]) -> bool:
    """Whether the store has all of the image under these names already."""
    from engine.store.images import key_of

    store = context.store
    known, images = store.images.read()
    image = manifest.config.digest
    if image not in images or any(known.get(key_of(name)) != image for name in names):
        return False
    record = store.images.get(image)
    return all(store.blobs.exists(layer.digest) for layer in store.images.manifest(record).layers) and all(
        store.layers.exists(layer) for layer in record.layers
    )


def _config(registry: Registry, path: str, manifest: Manifest) -> bytes:
    if manifest.config.size > MAX_DOCUMENT:
        raise InvalidInput(f"config {manifest.config.digest} is too large: {manifest.config.size} bytes")
    stream = registry.blob(path, manifest.config.digest, manifest.config.size)
    try:
        data = b"".join(iter(stream.read, b""))
    finally:
        stream.close()
    if digest_of(data) != manifest.config.digest:
        raise InvalidInput(f"config {manifest.config.digest} is damaged: it has the digest {digest_of(data)}")
    return data


def _check_platform(data: bytes, platform: str, shown: str) -> None:
    from engine.oci.configs import parse_config

    config = parse_config(data)
    own = (config.os, config.architecture, config.variant)
    if not fits(own, parse_platform(platform)):
        raise NotFound(
            f"image with reference {shown} was found but does not match the specified platform: wanted "
            f"{platform_text(parse_platform(platform))}, actual: {platform_text(own)}"
        )
