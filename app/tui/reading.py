"""The explorer's threads: readers that run when asked and once more when asked meanwhile, actions, and watches.

All are daemons: leaving the explorer waits for no read. Results go to the app as messages, which is safe from threads.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from typing import Protocol

from textual.message import Message

from app.tui.messages import Done, Failed, LayerChanged, StoreChanged
from app.tui.watching import layer_changes, store_changes
from engine.errors import StrataError
from engine.store.root import Store

RESCAN = 2.0  # seconds between looks at a small live layer: mmap writes and lost events tell nobody


class Posts(Protocol):
    def post_message(self, message: Message) -> bool: ...


class Reader:
    """One kind of read. However often it is asked for, one runs at a time, and one more for what came meanwhile."""

    def __init__(self, name: str, read: Callable[[], Message | None], app: Posts) -> None:
        self.name = name
        self._read = read
        self._app = app
        self._lock = threading.Lock()
        self._wanted = False
        self.running = False

    def ask(self) -> None:
        with self._lock:
            self._wanted = True
            if self.running:
                return
            self.running = True
        threading.Thread(target=self._run, name=f"read-{self.name}", daemon=True).start()

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._wanted:
                    self.running = False
                    return
                self._wanted = False
            try:
                message = self._read()
            except Exception as error:  # shown whole by the app; the thread must not die with it
                message = Failed(0, f"reading the {self.name}", told(error))
            if message is not None:
                self._app.post_message(message)


class Jobs:
    """Actions on the engine, each in a thread of its own. `running`: number → what it is doing."""

    def __init__(self, app: Posts) -> None:
        self.running: dict[int, str] = {}
        self._app = app
        self._numbers = itertools.count(1)

    def start(self, doing: str, work: Callable[[], tuple[str, str]]) -> None:
        """doing: what the screen says meanwhile; work: does it, returns (what to tell, object to go to or "")."""
        number = next(self._numbers)
        self.running[number] = doing

        def run() -> None:
            try:
                said, select = work()
            except Exception as error:  # shown whole by the app
                self._app.post_message(Failed(number, doing, told(error)))
            else:
                self._app.post_message(Done(number, said, select))

        threading.Thread(target=run, name=f"job-{number}", daemon=True).start()


class Watches:
    """The watch on the store, and one on the read-write layer of the selected container."""

    def __init__(self, store: Callable[[], Store], app: Posts) -> None:
        """store: opens the store, and lays it out where there is none; called in the thread."""
        self._app = app
        self._stop = threading.Event()
        self._stop_layer = threading.Event()
        self._layer = ""
        threading.Thread(target=self._store, args=(store,), name="watch-store", daemon=True).start()

    def layer(self, identity: str, diff: str) -> None:
        """Watch this layer from now on instead of another; "" = none."""
        if identity == self._layer:
            return
        self._stop_layer.set()
        self._stop_layer = threading.Event()
        self._layer = identity
        if identity:
            arguments = (identity, diff, self._stop_layer)
            threading.Thread(target=self._watch_layer, args=arguments, name="watch-layer", daemon=True).start()

    def close(self) -> None:
        self._stop.set()
        self._stop_layer.set()

    def _store(self, store: Callable[[], Store]) -> None:
        try:
            for states, logs in store_changes(store().root, self._stop):
                self._app.post_message(StoreChanged(states, logs))
        except Exception as error:
            self._app.post_message(Failed(0, "watching the store", told(error)))

    def _watch_layer(self, identity: str, diff: str, stop: threading.Event) -> None:
        try:
            for _ in layer_changes(diff, stop):
                if not stop.is_set():
                    self._app.post_message(LayerChanged(identity))
        except Exception as error:
            self._app.post_message(Failed(0, "watching the read-write layer", told(error)))


def told(error: Exception) -> str:
    """An error in words: the engine's own say everything; of others the kind is said too."""
    if isinstance(error, StrataError):
        return str(error)
    return f"{type(error).__name__}: {error}"
