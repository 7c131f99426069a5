"""commit: the read-write layer, turned read-only, on top of the container's image: a new image"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from engine.errors import Conflict, NoSuchImage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from engine.commands.context import Context
    from engine.oci.references import Reference
    from engine.store.containers import Container, ContainerConfig


def commit(
    context: Context,
    ref: str,
    name: str | None = None,
    *,
    message: str = "",
    author: str = "",
    changes: Sequence[str] = (),
    pause: bool = True,
    warn: Callable[[str], None] | None = None,
) -> str:
    """Make an image of a container and return the image's id; a name is given to it (or taken over from another).

    changes: Dockerfile instructions (`engine.commands.changes`). pause: freeze the container while its layer is packed,
    so that the layer is one moment's; warn: is told when that cannot be, for want of a freezer. InvalidInput for a bad
    name or change; Conflict when the image it was made from was removed meanwhile (its layers are here, but not what
    they were called).
    """
    from engine.archive.assemble import add_image, layer_from_archive, layers_of, pack_layer
    from engine.commands.changes import apply_changes
    from engine.commands.telling import container_event, image_event
    from engine.oci.times import rfc3339

    names = [_name(name)] if name else []
    store = context.store
    container_id = store.containers.resolve(ref)
    with store.containers.lock(container_id):
        container = store.containers.snapshot(container_id)
        own = container.config
        try:
            base = store.images.get(own.image)
        except NoSuchImage:
            raise Conflict(f"image {own.image} of container {own.name} was removed: nothing to commit onto") from None
        created, command = rfc3339(), " ".join(own.args)
        settings = apply_changes(_config_of(own, base.config.config), changes)
        with store.tmp_dir() as staging:
            upper, parent = store.layers.diff_path(container_id), own.layers[-1] if own.layers else None
            with _still(context, container, warn) if pause else _nothing():
                archive, digest = pack_layer(store, staging, "layer", upper, parent)
            layer = layer_from_archive(
                store, staging, archive, digest, parent, diff_id=digest, created=created, created_by=command
            )
            history: dict[str, Any] = {"created": created, "created_by": command}
            history |= {key: text for key, text in (("author", author), ("comment", message)) if text}
            document = {
                **base.config.raw,
                "created": created,
                "author": author,
                "comment": message,
                "container": container_id,
                "config": settings,
                "history": [*(base.config.raw.get("history") or []), history],
            }
            image_id = add_image(store, document, [*layers_of(store, base), layer], names, parent=base.id)
        shown = names[0].familiar() if names else ""
        container_event(context, own, "commit", comment=message, imageID=image_id, imageRef=shown)
        if shown:
            image_event(context, "tag", image_id, shown)
        return image_id


def _name(text: str) -> Reference:
    from engine.errors import InvalidInput
    from engine.oci.references import parse_reference

    name = parse_reference(text)
    if name.digest:
        raise InvalidInput("refusing to create a tag with a digest reference")
    return name


def _config_of(own: ContainerConfig, image: dict[str, Any]) -> dict[str, Any]:
    """What a container made from the new image starts with: as docker, what this container started with."""
    from engine.commands.living import health_document

    over: dict[str, Any] = {
        "Env": list(own.env),
        "Cmd": list(own.cmd) or None,
        "Entrypoint": list(own.entrypoint) or None,
        "User": own.user,
        "WorkingDir": own.cwd,
        "Labels": dict(own.labels) or None,
        "ExposedPorts": {port: {} for port in own.exposed_ports} or None,
        "Volumes": {path: {} for path in own.volumes} or None,
        "StopSignal": own.stop_signal or None,
        "Healthcheck": health_document(own.settings.health),
        "OnBuild": None,  # its triggers belong to the image they were written for
    }
    merged = {**image, **over}
    return {key: value for key, value in merged.items() if value is not None}


@contextmanager
def _still(context: Context, container: Container, warn: Callable[[str], None] | None) -> Iterator[None]:
    """Freeze a running container for a while; a paused one stays paused, one without a group of its own runs on."""
    from engine.cgroups.groups import NOT_DELEGATED
    from engine.commands.monitors import monitor_of
    from engine.commands.processes import group_of
    from engine.errors import NotRunning

    monitor = monitor_of(context, container)
    frozen = False
    if container.state.status == "running" and not group_of(context, container).directories:
        if warn is not None:
            warn(f"not paused while its layer is packed: {NOT_DELEGATED}")
    elif container.state.status == "running":
        try:
            monitor.pause()
            frozen = True
        except NotRunning:
            pass  # it has ended since: nothing writes any more
    try:
        yield
    finally:
        if frozen:
            try:
                monitor.resume()
            except Conflict:
                pass  # killed, or thawed by somebody, while it was frozen


@contextmanager
def _nothing() -> Iterator[None]:
    yield
