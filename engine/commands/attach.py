"""attach: the streams of a container that runs already."""

from __future__ import annotations

from engine.errors import Conflict, NotRunning

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.commands.context import Context
    from engine.runtime.client import Session

WORDS = {
    "paused": "cannot attach to a paused container, unpause it first",
    "restarting": "cannot attach to a restarting container, wait until it is running",
}
STOPPED = "cannot attach to a stopped container, start it first"


def attach(context: Context, ref: str, *, stdin: bool = False, size: tuple[int, int] = (0, 0)) -> Session:
    """A Session on a running container's streams from now on; stdin: it also feeds its standard input.

    size: (rows, columns) of the caller's terminal. Conflict, in docker's words, when it is paused, restarting or does
    not run. NoSuchContainer.
    """
    from engine.commands.lookup import container as find
    from engine.commands.monitors import monitor_of
    from engine.commands.telling import container_event

    container = find(context, ref)
    status = container.state.status
    if status != "running":
        raise Conflict(WORDS.get(status, STOPPED))
    try:
        session = monitor_of(context, container).attach(stdin=stdin, size=size)
    except NotRunning:  # it ended since
        raise Conflict(STOPPED) from None
    container_event(context, container.config, "attach")
    return session
