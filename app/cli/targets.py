"""Verbs with several targets: try every one, print each success in order, report every failure, then end with 1."""

from __future__ import annotations

from app.cli.output import out, said, words
from engine.errors import StrataError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def each(refs: Sequence[str], act: Callable[[str], str | None]) -> int:
    """`act` on each target; what it returns is printed (None: the target as it was typed; "": nothing).

    Returns the exit status.
    """
    status = 0
    for ref in refs:
        try:
            done = act(ref)
        except (StrataError, OSError) as error:
            if isinstance(error, BrokenPipeError):
                raise
            words(f"Error: {said(error)}")
            status = 1
        else:
            if done != "":
                out((ref if done is None else done) + "\n")
    return status
