"""The container `demo`: made from the demo image, started, and taken away again with all that was made for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.demo import image
from engine.commands.options import CreateOptions
from engine.errors import Conflict, NoSuchContainer, NoSuchImage

if TYPE_CHECKING:
    from engine import Engine

NAME = "demo"
CONTAINER_LABEL = "container"


def find(engine: Engine) -> str | None:
    """The id of the demo container, or None. Raises Conflict if somebody's other container has the name."""
    try:
        container = engine.container(NAME)
    except NoSuchContainer:
        return None
    if container.config.labels.get(image.LABEL) != CONTAINER_LABEL:
        raise Conflict(f"the container {NAME} is not the demo's: rename or remove it first (strata rm {NAME})")
    return container.config.id


def ensure(engine: Engine) -> str:
    """The id of the demo container, made if it is missing and started unless it runs (a paused one stays paused)."""
    found = find(engine)
    if found is None:
        image.ensure(engine)
        labels = {image.LABEL: CONTAINER_LABEL}
        found = engine.create(NAME, CreateOptions(name=NAME, hostname=NAME, labels=labels, stop_timeout=2))
    if not any(row.id == found for row in engine.containers()):
        engine.start(found)
    return found


def remove(engine: Engine) -> list[str]:
    """Take the demo container and the demo's images away; returns what was removed, a line each.

    Raises Conflict, having removed nothing, when other containers or images were made from the images.
    """
    container = find(engine)
    images = {name: found for name in (image.NAME, image.BASE_NAME) if (found := image.find(engine, name))}
    others = [
        row.name for row in engine.containers(all=True) if row.image_id in images.values() and row.id != container
    ]
    if others:
        raise Conflict(f"other containers stand on the demo image, remove them first: strata rm -f {' '.join(others)}")
    made = [
        row.names[0] if row.names else row.id.removeprefix("sha256:")[:12]
        for row in engine.images(all=True)
        if row.parent in images.values() and row.id not in images.values() and row.kind == "image"
    ]
    if made:
        raise Conflict(f"other images stand on the demo image, remove them first: strata rmi {' '.join(made)}")
    done = []
    if container:
        engine.remove(container, force=True)
        done.append(f"Deleted: container {NAME}")
    for name in images:
        try:
            done += engine.remove_image(name)
        except NoSuchImage:
            continue  # went with the image that stood on it
    return done
