"""The downloads of one `ingest`: each archive once, in `incoming/`, and let go of as soon as it has its final name."""

from __future__ import annotations

from engine.archive.roots import Stopped
from engine.store.incoming import Busy, Incoming, remove

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Condition

    from engine.store.root import Store


class Downloads:
    """changed: notified when one has arrived; failed: whether waiting is of no use any more."""

    def __init__(self, store: Store, changed: Condition, failed: Callable[[], bool]) -> None:
        self._store = store
        self._changed = changed
        self._failed = failed
        self._arrivals: dict[str, str] = {}  # digest → where the archive lies, "" while it is on its way
        self._held: list[Incoming] = []
        self._begun: list[str] = []

    def claim(self, digest: str) -> str | None:
        """Where an archive lies that another layer of the same image has brought, waiting for it; None: the caller
        shall bring it. A lower layer's lane never waits for a higher one's, so the wait has an end. Stopped."""
        with self._changed:
            while self._arrivals.get(digest) == "":
                if self._failed():
                    raise Stopped
                self._changed.wait(1)
            path = self._arrivals.get(digest)
            if path is None and digest:
                self._arrivals[digest] = ""
            return path

    def arrived(self, digest: str, path: str) -> None:
        with self._changed:
            self._arrivals[digest] = path
            self._changed.notify_all()

    def place(self, digest: str) -> Incoming | None:
        """The place in `incoming/` for a download; None when none was promised, or when somebody else has it and gets
        nowhere."""
        try:
            incoming = Incoming(self._store, digest) if digest else None
        except Busy:
            return None
        if incoming is not None:
            self._begun.append(digest)
        return incoming

    def hold(self, incoming: Incoming) -> None:
        """It is whole: keep it locked until it is a blob."""
        with self._changed:
            self._held.append(incoming)

    def release(self) -> None:
        """Let go of those that are blobs now: others may wait for them."""
        with self._changed:
            whole = [incoming for incoming in self._held if self._store.blobs.exists(incoming.digest)]
            self._held = [incoming for incoming in self._held if incoming not in whole]
        for incoming in whole:
            incoming.done()
            incoming.close()

    def close(self) -> None:
        """Let go of all: what is no blob stays for the next try."""
        self.release()
        for incoming in self._held:
            incoming.close()
        self._held.clear()

    def withdraw(self) -> None:
        """Remove all that were begun: their image will not come."""
        for incoming in self._held:
            incoming.done()
        self.close()
        for digest in self._begun:
            remove(self._store, digest)
