"""The trace of a container's last start, as the monitor kept it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from engine.commands.context import Context


def trace(context: Context, ref: str) -> list[dict[str, Any]]:
    """The steps, oldest first (`engine.trace.Step.as_dict`); empty when it never started."""
    import json

    containers = context.store.containers
    path = containers.path(containers.resolve(ref), "trace.jsonl")
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as lines:
            return [json.loads(line) for line in lines if line.endswith("\n")]
    except FileNotFoundError:
        return []
