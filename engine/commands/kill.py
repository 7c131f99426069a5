"""kill: one signal to the container's first process; SIGKILL ends every process of it."""

from __future__ import annotations

from engine.errors import Conflict, NoSuchContainer, NotRunning

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.commands.context import Context

SIGKILL = 9


def kill(context: Context, ref: str, signal: str = "KILL") -> None:
    """Send a signal. SIGKILL waits for the end (and thaws: a v1 freezer holds it until then), others return at once.

    One that asks for the end (INT, QUIT, TERM, KILL, its own stop signal) also ends what its restart policy would do.
    Conflict when the container does not run.
    """
    from engine.commands.lookup import container as find
    from engine.commands.monitors import last_state, monitor_of
    from engine.commands.signals import signal_number

    number = signal_number(signal)
    container = find(context, ref)
    monitor = monitor_of(context, container)
    try:
        if not container.state.running:
            raise NotRunning(container.id)
        monitor.signal(number, stop=_ends(number, container.config.stop_signal))
    except NotRunning as refused:
        raise Conflict(f"cannot kill container: {ref}: {refused}") from None
    if number != SIGKILL:
        return
    try:
        try:
            monitor.resume()
        except Conflict as refused:
            if isinstance(refused, NotRunning):
                raise
        monitor.wait(removed=container.config.auto_remove)
    except NotRunning:  # it has ended, which is what was asked
        try:
            last_state(context, container.id)
        except NoSuchContainer:
            pass


def _ends(number: int, stop_signal: str) -> bool:
    """Whether a signal asks a container to end, whatever it makes of that."""
    from engine.commands.signals import signal_number
    from engine.kernel.proc import ENDING

    return number in ENDING or bool(stop_signal and number == signal_number(stop_signal))
