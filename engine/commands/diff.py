"""diff: what a container's read-write layer adds, changes and deletes."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.commands.context import Context
    from engine.layers.diff import Change


def diff(context: Context, ref: str) -> list[Change]:
    """The changes, sorted by path: A, C or D; parent directories of a change show as C, as docker says them."""
    from engine.commands.stacks import stack
    from engine.layers.diff import changes

    container = context.store.containers.resolve(ref)
    found = stack(context, container)
    upper = found.layers[-1]
    return list(changes(upper.entries, found.view(len(found.layers) - 2)))
