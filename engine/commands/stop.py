"""stop: ask (the stop signal), wait (the grace), then make sure (SIGKILL)."""

from __future__ import annotations

from engine.errors import Conflict, NoSuchContainer, NotRunning

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.commands.context import Context

GRACE = 10  # seconds, docker's default
SIGKILL = 9


def stop(
    context: Context, ref: str, timeout: int | None = None, signal: str | None = None, *, keep: bool = False
) -> None:
    """Stop a container; one that does not run is left alone. A paused one is thawed, or it could not answer.

    timeout: seconds, None = the container's own or 10, negative = for ever. signal: None = the container's, else TERM.
    keep: one that removes itself (--rm) does not this time.
    """
    from engine.commands.lookup import container as find
    from engine.commands.monitors import ended, last_state, monitor_of
    from engine.commands.signals import signal_number
    from engine.commands.telling import container_event

    container = find(context, ref)
    number = signal_number(signal or container.config.stop_signal or "TERM")
    if not container.state.running:
        return
    grace = next(seconds for seconds in (timeout, container.config.stop_timeout, GRACE) if seconds is not None)
    monitor = monitor_of(context, container)
    try:
        monitor.signal(number, stop=True, keep=keep)
        try:
            monitor.resume()
        except Conflict as refused:
            if isinstance(refused, NotRunning):
                raise
        current = find(context, container.id)  # it may have been started anew since the first look, never after this
        if not ended(current, None if grace < 0 else grace):
            monitor.signal(SIGKILL, stop=True)
        monitor.wait(removed=container.config.auto_remove and not keep)
    except (NotRunning, NoSuchContainer):  # it ended by itself meanwhile, and removed itself (--rm)
        try:
            last_state(context, container.id)
        except NoSuchContainer:
            pass
    container_event(context, container.config, "stop")
