"""What a long transfer says of itself while it runs: one value a step, in docker's words.

Standard library only and free of imports, so that every floor may speak it.
"""

from __future__ import annotations

from engine.values import Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Report = Callable[["Progress"], None]  # called from any thread; it must be quick and must not raise


DONE = ("Pull complete", "Already exists", "Pushed", "Layer already exists", "Loaded")


class Progress(Values):
    """One layer's (or the whole's) state.

    id: first 12 hex digits of the layer archive's digest (of its diff id when that is not known yet); "" for a line
    about the whole ("latest: Pulling from library/demo"). action: docker's words: "Pulling fs layer", "Waiting",
    "Downloading", "Verifying Checksum", "Download complete", "Extracting", "Pull complete", "Already exists",
    "Retrying in 2 seconds", "Loading layer", "Preparing", "Pushing", "Pushed", "Layer already exists",
    "Mounted from library/demo". current, total: bytes; total 0 = no bar, or not known.
    """

    id: str
    action: str
    current: int = 0
    total: int = 0

    @property
    def ended(self) -> bool:
        """Whether nothing more will be said of this layer."""
        return self.action in DONE or self.action.startswith("Mounted from ")
