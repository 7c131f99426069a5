"""start: the container's config becomes a plan, and the launcher carries it out."""

from __future__ import annotations

from engine.errors import Conflict, NoSuchContainer, StartFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.commands.context import Context
    from engine.runtime.client import Session
    from engine.runtime.plan import Plan
    from engine.store.container import ContainerConfig

ENGINE_FAILED = 128  # docker's exit code of a container that could not be started for another reason than its command


def start(
    context: Context, ref: str, *, attach: bool = False, stdin: bool = False, size: tuple[int, int] = (0, 0)
) -> Session | None:
    """Start a created or exited container; one that runs already is left alone.

    attach: return a Session on its streams, complete from the first byte when it was started here; stdin: that
    session feeds its standard input, if the container keeps one open. size: (rows, columns) of the caller's terminal.
    Conflict when it is paused; StartFailed (125, 126, 127), which is also recorded in its state (as 128, 126, 127).
    """
    from engine.commands.monitors import monitor_of
    from engine.store.container import PAUSED, Container

    containers = context.store.containers
    container_id = containers.resolve(ref)
    with containers.lock(container_id):
        container = Container(containers.get(container_id), containers.state(container_id))
        if container.state.status == PAUSED:
            raise Conflict("cannot start a paused container, try unpause instead")
        if not container.state.running:
            recorded = containers.recorded_state(container_id)
            if recorded.running:  # its monitor was killed: what is left of it would write to the same layer
                from engine.runtime.orphans import bury_container

                bury_container(context.store.root, container_id, recorded.pid, recorded.pid_start)
            try:
                plan = plan_of(context, container.config, size)
                return context.launcher.start(plan, attach=attach).session
            except StartFailed as failed:
                if container.config.auto_remove:
                    try:
                        containers.remove(container_id)
                    except NoSuchContainer:
                        pass  # its monitor was quicker
                    raise
                status = failed.exit_status if failed.exit_status in (126, 127) else ENGINE_FAILED
                state = container.state.replaced(exit_code=status, error=str(failed))
                containers.set_state(container_id, state)
                raise
    return monitor_of(context, container).attach(stdin=stdin, size=size) if attach else None


def plan_of(context: Context, config: ContainerConfig, size: tuple[int, int] = (0, 0)) -> Plan:
    """What a start of this container will do, on this machine. StartFailed, InvalidInput."""
    from engine.commands.confining import confined
    from engine.kernel.proc import mapped
    from engine.runtime.plan import make_plan

    plan = make_plan(_mounted(context, config), context.store.root, size=size, mapped=mapped())
    if config.settings.init:
        from engine.commands.reaper import with_init

        plan = with_init(plan)
    return confined(context.store, config.settings, plan)


def _mounted(context: Context, config: ContainerConfig) -> ContainerConfig:
    """The config with the layers that its mount takes: none below an opaque root, which the kernel does not heed."""
    from engine.layers.whiteouts import mounted

    paths = [context.store.layers.diff_path(layer) for layer in reversed(config.layers)]
    return config.replaced(layers=config.layers[len(paths) - len(mounted(paths)) :])
