"""Image manifests and indexes: which config and which layer archives make an image (OCI `manifest.md`,
`image-index.md`; docker's schema 2 says the same under other media types)."""

from __future__ import annotations

from dataclasses import dataclass

from engine.errors import InvalidInput
from engine.oci.digests import hex_of
from engine.oci.documents import dump_document, load_object

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"

MEDIA_TYPES = {"": LAYER, "gzip": LAYER_GZIP, "zstd": LAYER_ZSTD}  # by compression

MANIFESTS = (MANIFEST, DOCKER_MANIFEST)
INDEXES = (INDEX, DOCKER_INDEX)
# The last three: docker registries of old gave configs these (distribution#1622, moby#22378).
IMAGE_CONFIGS = (CONFIG, DOCKER_CONFIG, "application/octet-stream", "application/json", "")
MAX_LAYERS = 500  # what the kernel's overlayfs stacks (OVL_MAX_STACK)


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A blob named from a document: its media type, digest (`sha256:…`) and size in bytes, with its annotations."""

    media_type: str
    digest: str
    size: int
    annotations: tuple[tuple[str, str], ...] = ()
    platform: tuple[str, str, str] = ("", "", "")  # os, architecture, variant; of an index's entries

    def as_dict(self) -> dict[str, Any]:
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size}


@dataclass(frozen=True, slots=True)
class Manifest:
    """One image: the descriptor of its config, and of its layers' archives from the bottom up."""

    config: Descriptor
    layers: tuple[Descriptor, ...]

    def dump(self) -> bytes:
        """The manifest as a blob."""
        return dump_document(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": self.config.as_dict(),
                "layers": [layer.as_dict() for layer in self.layers],
            }
        )


def parse_manifest(data: bytes, what: str = "manifest") -> Manifest:
    """Read an OCI or docker schema 2 manifest. InvalidInput when it is malformed, or also reads as an index."""
    document = load_object(data, what)
    _one_meaning(document, what, MANIFESTS, ("manifests", "fsLayers", "history", "signatures"))
    config = _descriptor(document.get("config"), f"{what}: config")
    layers = document.get("layers")
    if not isinstance(layers, list) or len(layers) > MAX_LAYERS:
        raise InvalidInput(f"{what}: layers must be a list of at most {MAX_LAYERS}")
    return Manifest(config, tuple(_descriptor(layer, f"{what}: layer") for layer in layers))


def choose(descriptors: Sequence[Descriptor], wanted: tuple[str, str, str], what: str) -> Descriptor:
    """The manifest for a platform out of an index: the first that fits best (an ARM runs older variants' images too; an
    entry without a platform fits any). InvalidInput, saying what there is, when none does."""
    from engine.oci.platforms import fits, platform_text

    ranked = [(fits(entry.platform, wanted), -position) for position, entry in enumerate(descriptors)]
    best, position = max(ranked, default=(0, 0))
    if best:
        return descriptors[-position]
    has = sorted({platform_text(entry.platform) for entry in descriptors} - {"unknown/unknown", ""})
    raise InvalidInput(f"no image for {platform_text(wanted)} in {what}: it has {', '.join(has) or 'none'}")


def check_image_config(manifest: Manifest, what: str) -> None:
    """InvalidInput when a manifest is of something else than an image: a chart, a signature, an attestation."""
    if manifest.config.media_type not in IMAGE_CONFIGS:
        raise InvalidInput(f"{what} is no image: its config is of type {manifest.config.media_type!r}")
    for layer in manifest.layers:
        if "in-toto" in layer.media_type:
            raise InvalidInput(f"{what} is an attestation, not an image")


def parse_index(data: bytes, what: str = "index.json") -> tuple[Descriptor, ...]:
    """The descriptors in an OCI index or docker manifest list. InvalidInput when malformed or also a manifest."""
    document = load_object(data, what)
    _one_meaning(document, what, INDEXES, ("config", "layers", "fsLayers", "history", "signatures"))
    manifests = document.get("manifests")
    if not isinstance(manifests, list) or len(manifests) > 10_000:
        raise InvalidInput(f"{what}: manifests must be a list")
    return tuple(_descriptor(entry, f"{what}: manifests") for entry in manifests)


def _one_meaning(document: dict[str, Any], what: str, types: Sequence[str], foreign: Sequence[str]) -> None:
    if document.get("schemaVersion") != 2:
        raise InvalidInput(f"{what}: schemaVersion is {document.get('schemaVersion')!r}, only 2 is supported")
    if document.get("mediaType", types[0]) not in types:
        raise InvalidInput(f"{what}: media type {document['mediaType']!r} is not one of {', '.join(types)}")
    both = [key for key in foreign if key in document]
    if both:
        raise InvalidInput(f"{what} is ambiguous: {', '.join(both)} does not belong in a document of its kind")


def _descriptor(value: Any, what: str) -> Descriptor:
    if not isinstance(value, dict):
        raise InvalidInput(f"{what}: not a descriptor")
    media_type, size = value.get("mediaType", ""), value.get("size")
    if not isinstance(media_type, str) or isinstance(size, bool) or not isinstance(size, int) or size < 0:
        raise InvalidInput(f"{what}: a descriptor needs a media type and a size")
    digest = value.get("digest", "")
    hex_of(digest)
    annotations = value.get("annotations") or {}
    platform = value.get("platform") or {}
    if not isinstance(annotations, dict) or not isinstance(platform, dict):
        raise InvalidInput(f"{what}: annotations and platform must be objects")
    return Descriptor(
        media_type,
        digest,
        size,
        tuple((key, text) for key, text in annotations.items() if isinstance(text, str)),
        (str(platform.get("os", "")), str(platform.get("architecture", "")), str(platform.get("variant", ""))),
    )
