"""update: other limits, or another restart policy, for a container that there is, at once when it runs.

Source: moby, container/container_unix.go, UpdateContainer.
"""

from __future__ import annotations

from engine.errors import Conflict, InvalidInput, NotRunning
from engine.settings import Limits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from engine.commands.context import Context
    from engine.settings import Settings
    from engine.store.containers import Container

LINKED = (("memory", "memory_swap"), ("nano_cpus", "cpu_quota", "cpu_period"))
"""Fields that the kernel weighs against each other: one of them changed, all are written."""


def update(
    context: Context,
    ref: str,
    changes: Mapping[str, Any],
    *,
    restart: tuple[str, int] | None = None,
    warn: Callable[[str], None],
) -> None:
    """Change some limits, and the restart policy: all of it or nothing.

    changes: fields of `engine.settings.Limits`; those left out stay. restart: (policy, most restarts). warn: told of
    what this machine cannot hold. NoSuchContainer; InvalidInput, Conflict for what breaks a rule; the kernel's OSError.
    """
    from engine.commands.telling import container_event

    containers = context.store.containers
    container_id = containers.resolve(ref)
    with containers.lock(container_id):
        container = containers.snapshot(container_id)
        try:
            settings, change = _decided(context, container, changes, restart, warn)
        except (Conflict, InvalidInput) as error:
            raise type(error)(f"Cannot update container {container_id}: {error}") from None
        undo = _apply(context, container, change)
        try:
            containers.reconfigure(container_id, settings=settings)
        except BaseException:
            undo()
            raise
        if restart is not None and container.state.running:
            from engine.commands.monitors import monitor_of

            try:
                monitor_of(context, container).update(restart=restart)
            except NotRunning:
                pass  # it ended meanwhile
        container_event(context, container.config, "update")


def _decided(
    context: Context,
    container: Container,
    changes: Mapping[str, Any],
    restart: tuple[str, int] | None,
    warn: Callable[[str], None],
) -> tuple[Settings, Limits]:
    """The settings from now on, and of their limits those to be written."""
    from engine.commands.limiting import machine, of_group, verified
    from engine.commands.processes import group_of

    settings = container.config.settings
    wanted, change = settings.limits, Limits()
    if changes:
        group = group_of(context, container) if container.state.pid else None
        here = of_group(group) if group else machine(context, container.id)
        checked = verified(Limits(**changes), here, warn, update=True)
        fields = {field for field in changes if getattr(checked, field) != getattr(Limits(), field)}
        wanted = _merged(settings.limits, {field: getattr(checked, field) for field in fields}, here.settable)
        for linked in LINKED:
            if not fields.isdisjoint(linked):
                fields.update(linked)
        change = Limits(**{field: getattr(wanted, field) for field in fields})
    settings = settings.replaced(limits=wanted)
    if restart is not None:
        from engine.commands.living import check_restart

        check_restart(*restart)
        if container.config.auto_remove and restart[0] not in ("", "no"):
            raise Conflict("Restart policy cannot be updated because AutoRemove is enabled for the container")
        settings = settings.replaced(restart=restart[0], restart_max=restart[1])
    return settings, change


def _merged(old: Limits, changes: Mapping[str, Any], settable: frozenset[str]) -> Limits:
    """The old limits with the changes, where they go together."""
    for new, had, names in (
        ("nano_cpus", "cpu_period", "Nano CPUs cannot be updated as CPU Period"),
        ("nano_cpus", "cpu_quota", "Nano CPUs cannot be updated as CPU Quota"),
        ("cpu_period", "nano_cpus", "CPU Period cannot be updated as NanoCPUs"),
        ("cpu_quota", "nano_cpus", "CPU Quota cannot be updated as NanoCPUs"),
    ):
        if changes.get(new, 0) > 0 and getattr(old, had) > 0:
            raise Conflict(f"Conflicting options: {names} has already been set")
    wanted = old.replaced(**changes)
    if "memory" in changes and "memory_swap" not in changes:
        if 0 < old.memory_swap < wanted.memory:
            raise Conflict(
                "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same "
                "time"
            )
        if not old.memory_swap:  # as for a new container
            wanted = wanted.replaced(memory_swap=2 * wanted.memory if "memory_swap" in settable else -1)
    if wanted.memory_swap > 0 and not wanted.memory:
        raise InvalidInput("You should always set the Memory limit when using Memoryswap limit, see usage")
    if 0 < wanted.memory_swap < wanted.memory:
        raise InvalidInput("Minimum memoryswap limit should be larger than memory limit, see usage")
    if wanted.memory and wanted.memory_reservation > wanted.memory:
        raise InvalidInput("Minimum memory limit can not be less than memory reservation limit, see usage")
    return wanted


def _apply(context: Context, container: Container, limits: Limits) -> Callable[[], None]:
    """Let a running container's group hold them; gives what undoes that."""
    if not container.state.pid or limits == Limits():
        return lambda: None
    from engine.cgroups.limits import change
    from engine.commands.processes import group_of

    try:
        return change(group_of(context, container), limits)
    except FileNotFoundError:
        if context.store.containers.state(container.id).pid:
            raise
        return lambda: None  # it ended meanwhile
