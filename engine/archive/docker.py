"""docker-archive: `manifest.json` names each image's config, tags and layers (docker, podman, buildah, skopeo).

docker 25 writes an OCI layout into the same archive: then each image's OCI manifest is kept too. Archives older than
`manifest.json` (docker before 1.10): `old.py`.
"""

from __future__ import annotations

from engine.archive.ingest import ComingImage, ComingLayer
from engine.archive.layout import layout_images
from engine.archive.received import Received, Staged
from engine.errors import InvalidInput
from engine.oci.configs import parse_config
from engine.oci.digests import digest_of
from engine.oci.documents import load_document
from engine.oci.references import parse_reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAX_IMAGES = 1000


def docker_images(received: Received) -> list[ComingImage]:
    """The images that `manifest.json` names, in its order. InvalidInput when it or what it names is malformed."""
    document = load_document(received.document("manifest.json"), "manifest.json")
    if not isinstance(document, list) or not 0 < len(document) <= MAX_IMAGES:
        raise InvalidInput("manifest.json is not a list of images")
    images = [_image(received, entry) for entry in document]
    if "index.json" not in received.files:
        return images
    layouts = {digest_of(image.config): image for image in layout_images(received, "", every=True)}
    return [_with_manifest(image, layouts) for image in images]


def coming(found: Staged) -> ComingLayer:
    """A layer whose archive came as this file."""
    return ComingLayer(found.digest, found.size, path=found.path, offset=found.offset, staged=found.own)


def _image(received: Received, entry: Any) -> ComingImage:
    if not isinstance(entry, dict):
        raise InvalidInput("manifest.json is not a list of images")
    config, layers, tags = entry.get("Config"), entry.get("Layers"), entry.get("RepoTags")
    if not isinstance(config, str) or not _texts(layers or []) or not _texts(tags or []):
        raise InvalidInput("manifest.json: an image needs a Config, and lists of Layers and RepoTags")
    data = received.document(config)
    parse_config(data, f"image config {config!r}")
    found = tuple(coming(received.layer(layer)) for layer in layers or ())
    return ComingImage(data, found, tuple(parse_reference(tag) for tag in tags or ()))


def _with_manifest(image: ComingImage, layouts: dict[str, ComingImage]) -> ComingImage:
    """The image with the manifest that the OCI layout of the same archive has for it."""
    other = layouts.get(digest_of(image.config))
    if other is None:
        raise InvalidInput("the archive is ambiguous: manifest.json and index.json name different images")
    if len(other.layers) != len(image.layers):
        raise InvalidInput("the archive is ambiguous: manifest.json and index.json name different layers")
    names = image.names or other.names
    return ComingImage(image.config, other.layers, names, other.manifest)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
