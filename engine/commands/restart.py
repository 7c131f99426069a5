"""restart: stop, then start again."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.commands.context import Context


def restart(context: Context, ref: str, timeout: int | None = None, signal: str | None = None) -> None:
    """Stop a container as `stop` does, if it runs, and start it. One of --rm is not removed in between, as docker's.

    timeout, signal: as for `stop`. StartFailed as for `start`; then it has stopped.
    """
    from engine.commands.start import start
    from engine.commands.stop import stop
    from engine.commands.telling import container_event

    container_id = context.store.containers.resolve(ref)
    stop(context, container_id, timeout, signal, keep=True)
    start(context, container_id)
    container_event(context, context.store.containers.get(container_id), "restart")
