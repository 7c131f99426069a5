"""The public face of the engine: `Engine`, one method a verb.

The verbs are in `engine.faces`, by theme. Every method imports its command when it is called, so that naming the
Engine costs nothing; `ref` is a name, an id or a unique prefix of an id, as people type it. Errors are those of
`engine.errors`.
"""

from __future__ import annotations

from engine.commands.context import Context
from engine.faces.images import Images
from engine.faces.life import Life
from engine.faces.looks import Looks
from engine.faces.transfers import Transfers
from engine.faces.upkeep import Upkeep

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.runtime.client import Launcher
    from engine.store.root import Store


class Engine(Life, Looks, Images, Transfers, Upkeep):
    """A daemonless container engine over one root directory. A context manager: leaving it ends the launcher."""

    def __init__(self, root: str | None = None) -> None:
        """root: None = STRATA_ROOT, or /var/lib/strata, or the user's own data directory when not root."""
        self._context = Context(root)

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """End the launcher. Containers and their monitors go on."""
        self._context.close()

    @property
    def root(self) -> str:
        return self._context.root

    @property
    def store(self) -> Store:
        return self._context.store

    @property
    def launcher(self) -> Launcher:
        """The warm launcher, started when it is first named."""
        return self._context.launcher
