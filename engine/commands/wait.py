"""wait: until a container has ended."""

from __future__ import annotations

from engine.errors import NotRunning

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.commands.context import Context


def wait(context: Context, ref: str) -> int:
    """Block until the container ends; its exit status (0 for one that never started). As for docker an end counts
    even if its restart policy starts it anew."""
    from engine.commands.lookup import container as find
    from engine.commands.monitors import last_state, monitor_of

    container = find(context, ref)
    if container.state.running:
        try:
            return monitor_of(context, container).wait()
        except NotRunning:
            return last_state(context, container.id).exit_code
    return container.state.exit_code
