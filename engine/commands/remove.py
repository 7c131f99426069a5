"""rm: the container and its read-write layer go; the image stays."""

from __future__ import annotations

from engine.errors import Conflict, NoSuchContainer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.commands.context import Context
    from engine.store.container import ContainerConfig


def remove(context: Context, ref: str, *, force: bool = False, volumes: bool = False) -> None:
    """Remove a container that does not run; force: end it first.

    volumes: its anonymous volumes too (this version makes none). Conflict when it runs, NoSuchContainer.
    """
    from engine.commands.telling import container_event

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
            recorded = containers.recorded_state(container_id)
            if recorded.running:  # its monitor was killed
                from engine.runtime.orphans import bury_container

                bury_container(context.store.root, container_id, recorded.pid, recorded.pid_start)
            config = _config(context, container_id)
            containers.remove(container_id)
            if config is not None:
                container_event(context, config, "destroy")
    except NoSuchContainer:
        if not force:
            raise  # with force: one that removes itself (--rm) was quicker


def _config(context: Context, container_id: str) -> ContainerConfig | None:
    from engine.errors import BrokenStore

    try:
        return context.store.containers.get(container_id)
    except BrokenStore:
        return None  # one that cannot be read can still be removed
