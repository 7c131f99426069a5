"""Reaching the monitor of a container that runs."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.commands.context import Context
    from engine.runtime.client import Monitor
    from engine.store.containers import Container, ContainerState


def monitor_of(context: Context, container: Container) -> Monitor:
    """The monitor of a container; its calls raise NotRunning when nobody listens any more."""
    from engine.runtime.client import Monitor

    return Monitor(context.store.containers.path(container.id, "control.sock"), container.id)


def ended(container: Container, seconds: float | None) -> bool:
    """Wait until the container's first process has ended; False when that takes longer (None: as long as it takes)."""
    import select

    from engine.kernel.proc import is_same, pidfd_open

    state = container.state
    if not state.pid:  # it waits to be started anew
        return True
    try:
        pidfd = pidfd_open(state.pid)
    except ProcessLookupError:
        return True
    try:
        if not is_same(state.pid, state.pid_start):  # the number names another process by now
            return True
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        return bool(poll.poll(None if seconds is None else int(seconds * 1000)))
    finally:
        import os

        os.close(pidfd)


def last_state(context: Context, container_id: str) -> ContainerState:
    """The state of a container whose monitor raised NotRunning: that one closes its socket a moment before it writes
    the end down, so "running" may still stand there. NoSuchContainer when it removed itself (--rm)."""
    import time

    while (state := context.store.containers.state(container_id)).running:
        time.sleep(0.001)  # ends: `state` finds out that a monitor is dead
    return state
