"""pull: a manifest, its config and its layers out of a registry, checked, and into the store."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from engine.commands.resolving import Found, Resolver, check_config_size, checked_config, platform_of
from engine.commands.telling import image_event
from engine.errors import InvalidInput, NotFound
from engine.oci.digests import hex_of
from engine.oci.platforms import fits, host_platform, parse_platform, platform_text
from engine.oci.references import Reference, parse_reference, tag_ok
from engine.progress import Progress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.archive.ingest import ComingLayer
    from engine.commands.context import Context
    from engine.oci.manifests import Descriptor, Manifest
    from engine.progress import Report
    from engine.registry.client import Registry


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
    Unauthorized, RegistryError, InvalidInput (the registry lies, or has no image); the store is as before then, but
    of all tags those that came before the one that failed stay.
    """
    from engine.commands.places import parse_place, pull_place
    from engine.registry.client import Registry

    place = parse_place(ref)
    if place is not None:
        if all_tags:
            raise InvalidInput(f"{place} has no tags to pull all of")
        found = [
            Pulled(parse_reference(name).familiar() if name else "", "", loaded.image, True)
            for loaded in pull_place(context, place, platform=platform, report=report)
            for name in loaded.names or ("",)
        ]
        for one in found:
            image_event(context, "pull", one.name or one.image)
        return found
    reference = parse_reference(ref)
    if all_tags and (reference.digest or ref.endswith(":" + reference.tag)):
        raise InvalidInput("tag can't be used with --all-tags/-a")
    if reference.digest:
        hex_of(reference.digest)
    parse_platform(platform)

    def say(text: str) -> None:
        if report is not None:
            report(Progress("", text))

    with Registry(reference.domain, report=say) as registry:
        if all_tags:
            wanted = [Reference(reference.domain, reference.path, tag) for tag in _tags(registry, reference)]
        else:
            wanted = [Reference(reference.domain, reference.path, reference.tag, reference.digest)]
        return [_Pull(context, registry, one, platform, report, say).run() for one in wanted]


def _tags(registry: Registry, reference: Reference) -> list[str]:
    """All tags of a repository, which the registry says, and which must be tags."""
    tags = registry.tags(reference.path)
    if not tags:
        raise NotFound(f"{reference.familiar_repository} has no tags")
    for tag in tags:
        if not tag_ok(tag):
            raise InvalidInput(f"{registry.domain} names a tag that cannot be one: {tag[:130]!a}")
    return sorted(tags)


@dataclass(frozen=True, slots=True)
class _Pull:
    """One name on its way."""

    context: Context
    registry: Registry
    wanted: Reference
    platform: str
    report: Report | None
    say: Callable[[str], None]

    def run(self) -> Pulled:
        from engine.archive.ingest import ComingImage, ingest

        wanted = self.wanted
        shown = wanted.familiar()
        self.say(f"{wanted.digest or wanted.tag}: Pulling from {wanted.path}")
        resolver = Resolver(partial(self.registry.manifest, wanted.path), self.config, parse_platform(self.platform))
        found = resolver.find(wanted.digest or wanted.tag, shown)
        image = found.manifest.config.digest
        note = Reference(wanted.domain, wanted.path, digest=found.top.digest)
        names = (note,) if wanted.digest else (wanted, note)
        fresh = not _is_here(self.context, found.manifest, names)
        config = self.config(found.manifest) if fresh else self.context.store.blobs.read(image)
        self.check_platform(found, platform_of(config), shown)
        if fresh:
            layers = tuple(self.layer(layer) for layer in found.manifest.layers)
            ingest(self.context.store, [ComingImage(config, layers, names, found.data)], report=self.report)
        self.say(f"Digest: {found.top.digest}")
        image_event(self.context, "pull", shown, wanted.familiar_repository)
        return Pulled(shown, found.top.digest, image, fresh)

    def config(self, manifest: Manifest) -> bytes:
        """A config out of the registry. InvalidInput when it is too large, or not the one that the manifest names."""
        check_config_size(manifest)
        stream = self.registry.blob(self.wanted.path, manifest.config.digest, manifest.config.size)
        try:
            data = b"".join(iter(stream.read, b""))
        finally:
            stream.close()
        return checked_config(data, manifest)

    def layer(self, layer: Descriptor) -> ComingLayer:
        from engine.archive.ingest import ComingLayer

        def retrying(delay: float) -> None:
            if self.report is not None:
                seconds = max(1, round(delay))
                action = f"Retrying in {seconds} second{'s' if seconds != 1 else ''}"
                self.report(Progress(layer.digest[7:19], action))

        open = partial(self.registry.blob, self.wanted.path, layer.digest, layer.size, retrying=retrying)
        return ComingLayer(layer.digest, layer.size, layer.media_type, open=open)

    def check_platform(self, found: Found, own: tuple[str, str, str], shown: str) -> None:
        """NotFound when a platform was asked for and the only image is of another; a warning when none was."""
        if found.sure or fits(own, parse_platform(self.platform)):
            return
        text = f"image with reference {shown} was found but its platform ({platform_text(own)}) does not match"
        if self.platform:
            raise NotFound(f"{text} the specified platform ({platform_text(parse_platform(self.platform))})")
        self.say(f"WARNING: {text} this machine's ({platform_text(host_platform())})")


def _is_here(context: Context, manifest: Manifest, names: tuple[Reference, ...]) -> bool:
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
