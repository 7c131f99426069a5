"""rename: another name for a container, running or not."""

from __future__ import annotations

from engine.errors import Conflict, InvalidInput, NotRunning

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.commands.context import Context


def rename(context: Context, ref: str, name: str) -> None:
    """Give a container another name. Conflict when it is taken, InvalidInput when it is none or the one it has."""
    from engine.commands.monitors import monitor_of
    from engine.commands.telling import container_event

    if not ref or not name:
        raise InvalidInput("Neither old nor new names may be empty")
    containers = context.store.containers
    container_id = containers.resolve(ref)
    name = name.removeprefix("/")
    old = containers.get(container_id).name
    try:
        containers.rename(container_id, name)
    except Conflict:
        if containers.get(container_id).name == name:
            raise InvalidInput("Renaming a container with the same name as its current name") from None
        raise
    container = containers.snapshot(container_id)
    if container.state.running:
        try:
            monitor_of(context, container).update(name=name)
        except NotRunning:
            pass  # it ended meanwhile
    container_event(context, container.config, "rename", oldName=f"/{old}")
