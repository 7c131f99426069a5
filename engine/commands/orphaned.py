"""What killed monitors left: containers that seem to run, control groups and sockets of those that do not."""

from __future__ import annotations

import os

from engine.errors import BrokenStore, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.commands.context import Context

SOCKET = "control.sock"


def orphaned(context: Context, *, bury: bool = False) -> list[tuple[str, str]]:
    """(container id, what is left of it) of all that nobody looks after any more.

    bury: end and remove it, and write down how the container ended. OSError when a process will not die.
    """
    from engine.store.locks import lock_directory

    found = []
    for container_id in sorted({*context.store.containers.ids(), *_groups(context)}):
        if not _left(context, container_id):
            continue
        path = context.store.containers.path(container_id)
        lock = lock_directory(path, wait=False)
        if lock is None and os.path.exists(path):
            continue  # somebody is just starting or removing it
        try:
            text = _left(context, container_id)
            if text:
                found.append((container_id, text))
            if text and bury:
                _bury(context, container_id)
        finally:
            if lock is not None:
                lock.release()
    return found


def _groups(context: Context) -> Iterator[str]:
    """Ids in this store's part of the control groups."""
    from engine import cgroups
    from engine.cgroups.names import parent_name
    from engine.oci.digests import is_hex_id

    try:
        trees = cgroups.detect().trees()
    except OSError:
        return  # no groups here
    for tree in trees:
        try:
            names = os.listdir(f"{tree}/{parent_name(context.root)}")
        except OSError:
            continue
        yield from filter(is_hex_id, names)


def _left(context: Context, container_id: str) -> str:
    """What is left of a container without a monitor, in words; "" for one that has one, or left nothing."""
    from engine import cgroups
    from engine.cgroups.names import parent_name
    from engine.runtime.orphans import left

    containers = context.store.containers
    parts = []
    try:
        state = containers.state(container_id)
        if state.running:
            return ""
        if containers.recorded_state(container_id).running:
            parts.append(state.error)
        if os.path.lexists(containers.path(container_id, SOCKET)):
            parts.append("its socket is left")
    except (NotFound, BrokenStore):
        parts.append("there is no such container")
    try:
        group = cgroups.open_group(parent_name(context.root), container_id)
        if left(group):
            processes = len(group.pids())
            parts.append(f"its control group is left, with {processes} processes")
    except OSError:
        pass  # it went meanwhile, or there are no groups here
    return "" if parts == ["there is no such container"] else "; ".join(parts)


def _bury(context: Context, container_id: str) -> None:
    from engine.commands.telling import container_event
    from engine.runtime.orphans import bury_container

    containers = context.store.containers
    try:
        recorded, state = containers.recorded_state(container_id), containers.state(container_id)
    except (NotFound, BrokenStore):
        bury_container(context.store.root, container_id)
        return
    bury_container(context.store.root, container_id, recorded.pid, recorded.pid_start)
    try:
        os.unlink(containers.path(container_id, SOCKET))
    except FileNotFoundError:
        pass
    if recorded.running:
        containers.set_state(container_id, state.replaced(pid_start=0, monitor_start=0))
        container_event(context, containers.get(container_id), "die", exitCode=str(state.exit_code))
