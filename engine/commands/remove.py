"""rm: the container and its read-write layer go; the image stays."""

from __future__ import annotations

from engine.errors import Conflict, NoSuchContainer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.commands.context import Context


def remove(context: Context, ref: str, *, force: bool = False, volumes: bool = False) -> None:
    """Remove a container that does not run; force: end it first.

    volumes: its anonymous volumes too (this version makes none). Conflict when it runs, NoSuchContainer.
    """
    containers = context.store.containers
    container_id = containers.resolve(ref)
    if force and containers.state(container_id).running:
        from engine.commands.kill import kill
        from engine.commands.monitors import last_state

        try:
            kill(context, container_id)
        except Conflict:  # it ended by itself
            try:
                last_state(context, container_id)
            except NoSuchContainer:
                pass
    try:
        with containers.lock(container_id):
            state = containers.state(container_id)
            if state.running:
                name = containers.get(container_id).name
                what = {
                    "paused": "container is paused and must be unpaused first",
                    "restarting": "container is restarting: stop the container before removing or force remove",
                }.get(state.status, "container is running: stop the container before removing or force remove")
                raise Conflict(f'cannot remove container "/{name}": {what}')
            if containers.recorded_state(container_id).running:  # its monitor was killed
                from engine.runtime.orphans import bury_container

                bury_container(context.store.root, container_id)
            containers.remove(container_id)
    except NoSuchContainer:
        if not force:
            raise  # with force: one that removes itself (--rm) was quicker
