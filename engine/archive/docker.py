"""docker-archive: `manifest.json` names each image's config, tags and layers (docker, podman, buildah, skopeo)."""

from __future__ import annotations

from dataclasses import dataclass

from engine.archive.received import Received, Staged
from engine.errors import InvalidInput
from engine.oci.configs import ImageConfig, parse_config
from engine.oci.documents import load_document
from engine.oci.manifests import MAX_LAYERS
from engine.oci.references import Reference, parse_reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAX_IMAGES = 1000


@dataclass(frozen=True, slots=True)
class Found:
    """An image in an archive: its config as bytes and read, its layers' archives from the bottom up, its names."""

    data: bytes
    config: ImageConfig
    layers: tuple[Staged, ...]
    names: tuple[Reference, ...]


def found_image(data: bytes, layers: tuple[Staged, ...], names: tuple[Reference, ...], what: str) -> Found:
    """Check that config and layers belong together. InvalidInput."""
    config = parse_config(data, what)
    expected, actual = len(config.diff_ids), len(layers)
    if expected != actual:
        raise InvalidInput(f"invalid manifest, layers length mismatch: expected {expected}, got {actual}")
    if actual > MAX_LAYERS:
        raise InvalidInput(f"{what}: {actual} layers, more than the {MAX_LAYERS} that overlayfs can stack")
    return Found(data, config, layers, names)


def docker_images(received: Received) -> list[Found]:
    """The images that `manifest.json` names, in its order. InvalidInput when it or what it names is malformed."""
    document = load_document(received.document("manifest.json"), "manifest.json")
    if not isinstance(document, list) or not 0 < len(document) <= MAX_IMAGES:
        raise InvalidInput("manifest.json is not a list of images")
    return [_image(received, entry) for entry in document]


def _image(received: Received, entry: Any) -> Found:
    if not isinstance(entry, dict):
        raise InvalidInput("manifest.json is not a list of images")
    config, layers, tags = entry.get("Config"), entry.get("Layers"), entry.get("RepoTags")
    if not isinstance(config, str) or not _texts(layers or []) or not _texts(tags or []):
        raise InvalidInput("manifest.json: an image needs a Config, and lists of Layers and RepoTags")
    names = tuple(parse_reference(tag) for tag in tags or ())
    found = tuple(received.verified(layer) for layer in layers or ())
    return found_image(received.document(config), found, names, f"image config {config!r}")


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
