"""docker-archives older than `manifest.json`: `repositories` leads to `<id>/json` (docker's "v1" image, which names its
parent) and `<id>/layer.tar`. The config of today is put together from them (moby image/v1, imagev1.go)."""

from __future__ import annotations

from engine.archive.compression import plain
from engine.archive.docker import coming
from engine.archive.ingest import ComingImage
from engine.archive.intake import Slice
from engine.archive.received import Received, Staged
from engine.errors import InvalidInput
from engine.oci.digests import SHA256, hasher, is_hex_id
from engine.oci.documents import dump_document, load_object
from engine.oci.manifests import MAX_LAYERS
from engine.oci.references import parse_reference
from engine.store.blobs import CHUNK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NOT_OF_A_CONFIG = ("id", "parent", "Size", "parent_id", "layer_id", "throwaway")


def old_images(received: Received) -> list[ComingImage]:
    """The images that `repositories` names. InvalidInput when it or what it leads to is malformed."""
    document = load_object(received.document("repositories"), "repositories")
    names: dict[str, list[str]] = {}
    for repository, tags in document.items():
        if not isinstance(tags, dict):
            raise InvalidInput("repositories: each repository needs an object of tags")
        for tag, image in tags.items():
            if not isinstance(image, str) or not is_hex_id(image):
                raise InvalidInput(f"repositories: {repository}:{tag} is no image's id")
            names.setdefault(image, []).append(f"{repository}:{tag}")
    if not names:
        raise InvalidInput("repositories names no image")
    diff_ids: dict[str, str] = {}
    return [_image(received, image, tags, diff_ids) for image, tags in names.items()]


def _image(received: Received, image: str, tags: list[str], diff_ids: dict[str, str]) -> ComingImage:
    chain: list[tuple[str, dict[str, Any]]] = []
    here = image
    while here:
        if len(chain) > MAX_LAYERS or any(here == name for name, _ in chain):
            raise InvalidInput(f"image {image} is its own parent, or has more than {MAX_LAYERS} layers")
        if not is_hex_id(here):
            raise InvalidInput(f"image {here[:100]!r}: not an image's id")
        chain.append((here, load_object(received.document(f"{here}/json"), f"{here}/json")))
        parent = chain[-1][1].get("parent") or ""
        here = parent if isinstance(parent, str) else "?"
    chain.reverse()
    layers = []
    for name, _ in chain:
        found = received.layer(f"{name}/layer.tar")
        if name not in diff_ids:
            diff_ids[name] = _diff_id(found, f"{name}/layer.tar")
        layers.append(coming(found))
    top = {key: value for key, value in chain[-1][1].items() if key not in NOT_OF_A_CONFIG}
    top["history"] = [_history(document) for _, document in chain]
    top["rootfs"] = {"type": "layers", "diff_ids": [diff_ids[name] for name, _ in chain]}
    return ComingImage(dump_document(top), tuple(layers), tuple(parse_reference(tag) for tag in tags))


def _history(document: dict[str, Any]) -> dict[str, Any]:
    made = document.get("container_config") or {}
    command = made.get("Cmd") if isinstance(made, dict) else None
    row = {
        "created": document.get("created"),
        "author": document.get("author"),
        "created_by": " ".join(map(str, command)) if isinstance(command, list) else None,
        "comment": document.get("comment"),
    }
    return {key: text for key, text in row.items() if isinstance(text, str) and text}


def _diff_id(found: Staged, what: str) -> str:
    running = hasher()
    with open(found.path, "rb") as file:
        stream, _ = plain(Slice(file.fileno(), found.offset, found.size), what)  # type: ignore[arg-type]
        while chunk := stream.read(CHUNK):
            running.update(chunk)
    return SHA256 + running.hexdigest()
