"""The images `demo:base` and `demo`, made in a store: found if they are there, else put together layer by layer.

Everything that decides their bytes is fixed (times, owners, order), so the same host always makes the same ids.
"""

from __future__ import annotations

import io
import time
from typing import TYPE_CHECKING, Any

from app.demo import content, hostfiles
from engine.archive.assemble import LayerSource, add_image, layer_from_archive, stage_archive
from engine.errors import Conflict, NoSuchImage
from engine.oci.configs import chain_id
from engine.oci.platforms import host_platform

if TYPE_CHECKING:
    from engine import Engine
    from engine.store.root import Staging, Store

NAME, BASE_NAME = "demo:latest", "demo:base"
LABEL, IMAGE_LABEL = "strata.demo", "image"


def find(engine: Engine, name: str) -> str | None:
    """The id of the demo's image `name`, or None. Raises Conflict if somebody's other image has the name."""
    try:
        image = engine.image(name)
    except NoSuchImage:
        return None
    if image.config.labels.get(LABEL) != IMAGE_LABEL:
        raise Conflict(f"the image {name} is not the demo's: give it another name with `strata tag`, then untag {name}")
    return image.id


def ensure(engine: Engine) -> str:
    """The id of the image `demo`, made with its base if one of them is missing."""
    found, base = find(engine, NAME), find(engine, BASE_NAME)
    return found if found and base else _make(engine.store)


def _make(store: Store) -> str:
    with store.tmp_dir() as staging:
        sources = _layers(store, staging)
        base = add_image(store, _config(content.BASE_LAYERS), sources[: content.BASE_LAYERS], [BASE_NAME])
        return add_image(store, _config(len(sources)), sources, [NAME], parent=base)


def _layers(store: Store, staging: Staging) -> list[LayerSource]:
    sources: list[LayerSource] = []
    parent, parent_directory = None, ""
    for number, layer in enumerate(content.LAYERS):
        archive = io.BytesIO()
        hostfiles.write_tar(layer.entries(), archive)
        archive.seek(0)
        path, digest, _ = stage_archive(staging, f"layer-{number}", archive)
        source = layer_from_archive(
            store,
            staging,
            path,
            digest,
            parent,
            parent_directory=parent_directory,
            created=_time(number),
            created_by=layer.created_by,
            what=f"layer {number} of the demo image",
        )
        sources.append(source)
        parent, parent_directory = chain_id(parent, source.diff_id), source.directory
    return sources


def _config(layers: int) -> dict[str, Any]:
    """The config document of an image of the first `layers` layers; the whole image also says what it runs."""
    whole = layers == len(content.LAYERS)
    history: list[dict[str, Any]] = [
        {"created": _time(number), "created_by": layer.created_by, "comment": layer.comment}
        for number, layer in enumerate(content.LAYERS[:layers])
    ]
    settings: dict[str, Any] = {"Env": [f"PATH={content.PATH}"], "Labels": {LABEL: IMAGE_LABEL}, "Cmd": ["/bin/sh"]}
    if whole:
        settings |= {"Cmd": content.COMMAND, "WorkingDir": content.WORKING_DIRECTORY}
        history += [
            {"created": _time(layers + number), "created_by": step, "empty_layer": True}
            for number, step in enumerate(content.SETTINGS)
        ]
    return {
        "architecture": host_platform()[1],
        "os": "linux",
        "created": history[-1]["created"],
        "config": settings,
        "history": history,
    }


def _time(step: int) -> str:
    """RFC 3339 time of a step: a minute after the one before."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(hostfiles.EPOCH + 60 * step))
