"""exec: one more process in a running container, beside its first one."""

from __future__ import annotations

from engine.errors import Conflict, InvalidInput, NotRunning

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.commands.context import Context
    from engine.commands.options import ExecOptions
    from engine.runtime.client import Session


def execute(context: Context, ref: str, options: ExecOptions, size: tuple[int, int] = (0, 0)) -> Session:
    """Run a command in the container's namespaces and cgroup; a Session on its streams (a closed one when detached).

    size: (rows, columns) of a new terminal. Conflict when the container is paused or does not run; StartFailed with
    126 or 127 when the command cannot be run.
    """
    from engine.commands.lookup import container as find
    from engine.commands.monitors import monitor_of

    if not options.command:
        raise InvalidInput("no command specified")
    container = find(context, ref)
    if container.state.status == "paused":
        raise Conflict(f"container {container.id} is paused, unpause the container before exec")
    if container.state.status == "restarting":
        raise Conflict(f"Container {container.id} is restarting, wait until the container is running")
    if not container.state.running:
        raise NotRunning(container.id)
    return monitor_of(context, container).exec(
        options.command,
        env=options.env,
        cwd=options.cwd,
        user=options.user,
        tty=options.tty,
        stdin=options.stdin,
        detach=options.detach,
        privileged=options.privileged,
        size=size,
    )
