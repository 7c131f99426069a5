"""pause and unpause: the cgroup freezer, by way of the monitor. No signal: the processes cannot notice."""

from __future__ import annotations

from engine.errors import Conflict, NotRunning

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.commands.context import Context


def pause(context: Context, ref: str) -> None:
    """Freeze every process of a container, execs too. Conflict when it does not run or is frozen already."""
    from engine.commands.lookup import container as find
    from engine.commands.monitors import monitor_of

    container = find(context, ref)
    if not container.state.running:
        raise NotRunning(container.id)
    if container.state.status == "restarting":
        raise Conflict(f"Container {container.id} is restarting, wait until the container is running")
    if container.state.status == "paused":
        raise Conflict(f"container {container.id} is already paused")
    monitor_of(context, container).pause()


def unpause(context: Context, ref: str) -> None:
    """Let a frozen container go on. Conflict when it does not run or is not frozen."""
    from engine.commands.lookup import container as find
    from engine.commands.monitors import monitor_of

    container = find(context, ref)
    if not container.state.running:
        raise NotRunning(container.id)
    if container.state.status != "paused":
        raise Conflict(f"container {container.id} is not paused")
    monitor_of(context, container).resume()
