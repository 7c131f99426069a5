"""The store's root directory: its layout, its locks, and the staging directories in `tmp/`.

    blobs/sha256/<hex>   layers/<id>/   containers/<id>/   images.json   locks/{images,containers}   tmp/

Opening a store makes what is missing and reads nothing else, so that `strata run` pays for one `mkdir` at most.
"""

from __future__ import annotations

import os

from engine.errors import BrokenStore
from engine.store.locks import Lock, lock_directory, lock_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

    from engine.store.blobs import Blobs
    from engine.store.containers import Containers
    from engine.store.images import Images
    from engine.store.layers import Layers

DIRECTORIES = ("blobs", "blobs/sha256", "layers", "containers", "tmp", "locks")  # `locks` last: it proves the rest

HOLD = "hold-"
SEVERAL = 6  # things in the trash that are worth threads


class Staging:
    """A directory in `tmp/` of our own, locked while in use and removed with all it still holds when left."""

    __slots__ = ("_lock", "path")

    def __init__(self, path: str, lock: Lock) -> None:
        self.path = path
        self._lock = lock

    def join(self, *names: str) -> str:
        return os.path.join(self.path, *names)

    @property
    def lock_fd(self) -> int:
        """The lock's descriptor: a child that has it too keeps the directory from being cleaned."""
        return self._lock.fd

    def hold(self, name: str) -> None:
        """Keep a layer (chain id) or blob (64 hex digits) that no image refers to yet from being collected as garbage
        while this directory is locked (`gc.held`)."""
        with open(self.join(HOLD + name), "w"):
            pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        try:
            try:
                os.rmdir(self.path)  # everything was moved to its final place: the usual case
            except OSError:
                remove_tree(self.path)
        finally:
            self._lock.release()


class Trash:
    """What was moved out of its place to be removed: moved under the locks, removed at the end of the `with` block.

    Each thing becomes an entry of `tmp/` itself, so that nothing must be made, and a full disk can be emptied. It is
    not locked: a cleaner that removes it too does no harm.
    """

    __slots__ = ("_directory", "_moved")

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._moved: list[str] = []

    def take(self, path: str) -> None:
        """Move a file or directory here. FileNotFoundError when it is not there."""
        moved = os.path.join(self._directory, os.urandom(8).hex())
        os.rename(path, moved)
        self._moved.append(moved)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if len(self._moved) < SEVERAL:
            for path in self._moved:
                remove_tree(path)
            return
        # Removing files is the kernel's work, in which Python's lock is not held: side by side it goes faster.
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
            list(pool.map(remove_tree, self._moved))


class Store:
    """A store on disk. Values read through it are snapshots; every writer takes the locks itself."""

    __slots__ = ("_blobs", "_containers", "_images", "_layers", "root")

    def __init__(self, root: str) -> None:
        """Open the store at `root`, making it (mode 0700) if need be.

        OSError when it cannot be made; BrokenStore when something else lies there.
        """
        self.root = os.path.realpath(root)
        self._blobs: Blobs | None = None
        self._layers: Layers | None = None
        self._images: Images | None = None
        self._containers: Containers | None = None
        if not os.path.isdir(os.path.join(self.root, DIRECTORIES[-1])):
            os.makedirs(self.root, 0o700, exist_ok=True)
            for name in DIRECTORIES:
                try:
                    os.mkdir(os.path.join(self.root, name), 0o700)
                except FileExistsError:
                    if not os.path.isdir(os.path.join(self.root, name)):
                        raise BrokenStore(f"{os.path.join(self.root, name)} is not a directory: not a store of strata")

    @property
    def blobs(self) -> Blobs:
        if self._blobs is None:
            from engine.store.blobs import Blobs

            self._blobs = Blobs(self)
        return self._blobs

    @property
    def layers(self) -> Layers:
        if self._layers is None:
            from engine.store.layers import Layers

            self._layers = Layers(self)
        return self._layers

    @property
    def images(self) -> Images:
        if self._images is None:
            from engine.store.images import Images

            self._images = Images(self)
        return self._images

    @property
    def containers(self) -> Containers:
        if self._containers is None:
            from engine.store.containers import Containers

            self._containers = Containers(self)
        return self._containers

    def path(self, *names: str) -> str:
        """A path below the root."""
        return os.path.join(self.root, *names)

    def lock(self, name: str) -> Lock:
        """Wait for the lock `images` or `containers`; who needs both takes them in this order."""
        return lock_file(self.path("locks", name))

    def tmp_dir(self) -> Staging:
        """A new staging directory, for a `with` block. Its lock tells `clean_tmp` of other processes to keep off."""
        while True:
            path = self.path("tmp", os.urandom(8).hex())
            os.mkdir(path, 0o700)
            lock = lock_directory(path)
            if lock is not None:  # else a cleaner took it for a dead writer's before we could lock it
                return Staging(path, lock)

    def trash(self) -> Trash:
        """For a `with` block that removes things: they are out of their place at once, and gone when it ends."""
        return Trash(self.path("tmp"))

    def clean_tmp(self) -> int:
        """Remove what dead writers left in `tmp/`; returns how many entries. Safe beside living writers."""
        cleaned = 0
        for name in os.listdir(self.path("tmp")):
            path = self.path("tmp", name)
            if os.path.islink(path) or not os.path.isdir(path):
                remove_tree(path)  # nothing but directories is ever staged here: it is trash
                cleaned += 1
                continue
            lock = lock_directory(path, wait=False)
            if lock is not None:
                with lock:
                    remove_tree(path)
                cleaned += 1
        return cleaned

    def sync(self) -> None:
        """Write everything this filesystem holds in memory to the disk: one syncfs for a whole staged layer."""
        from engine.kernel.paths import syncfs

        fd = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            syncfs(fd)
        finally:
            os.close(fd)


def remove_tree(path: str) -> None:
    """Remove a file or a whole tree by descriptors, never following a link; absent is fine."""
    from engine.kernel import trees

    parent = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        trees.remove_tree(parent, os.path.basename(path))
    finally:
        os.close(parent)
