"""What every command works with: the store on disk and, made when the first thing is started, a launcher."""

from __future__ import annotations

import _thread
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.runtime.client import Launcher
    from engine.store.root import Store


def default_root() -> str:
    """Where Strata keeps everything: STRATA_ROOT, else /var/lib/strata, else (not root) the user's data directory."""
    chosen = os.environ.get("STRATA_ROOT")
    if chosen:
        return chosen
    if os.geteuid() == 0:
        return "/var/lib/strata"
    data = os.environ.get("XDG_DATA_HOME") or os.path.join(os.path.expanduser("~"), ".local", "share")
    return os.path.join(data, "strata")


class Context:
    """Owns the launcher; opens the store when it is first needed. Safe to share between threads."""

    def __init__(self, root: str | None = None) -> None:
        self.root = os.path.realpath(root or default_root())
        self._lock = _thread.allocate_lock()
        self._store: Store | None = None
        self._launcher: Launcher | None = None

    @property
    def store(self) -> Store:
        """The store under `root`, laid out there if there is none."""
        with self._lock:
            if self._store is None:
                from engine.store.root import Store

                self._store = Store(self.root)
            return self._store

    @property
    def launcher(self) -> Launcher:
        """A launcher, running from the first time it is named: name it early, its start-up overlaps other work."""
        with self._lock:
            if self._launcher is None:
                from engine.runtime.client import Launcher

                self._launcher = Launcher.spawn()
            return self._launcher

    def close(self) -> None:
        """End the launcher, if there is one. Containers and their monitors go on."""
        with self._lock:
            launcher, self._launcher = self._launcher, None
        if launcher is not None:
            launcher.close()
