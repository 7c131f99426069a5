"""Changes on disk, as they happen: watchfiles (inotify) in threads; an event is a hint to look again.

Two watches. The store: `containers/` (states, logs) and `images.json`. The read-write layer of the selected
container: each of its directories by itself and none below, because a recursive watch would follow a symlink that
the container made and watch the host; when directories come, the watch is made again and the layer read again.
Images are never watched: read-only layers do not change.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator

from watchfiles._rust_notify import RustNotify, WatchfilesRustInternalError

STEP = 20  # milliseconds of quiet that end a burst: the latency that is left
BURST = 100  # milliseconds after which a burst that does not end is told of anyway
STOP_WITHIN = 5000  # milliseconds between two looks of watchfiles at nothing; `stop` is seen at every step
MOST_DIRECTORIES = 20_000  # of a read-write layer; each costs the kernel about a kilobyte
UNNAMED = "\ufffd"  # stands for a path that is not UTF-8: nobody can tell which
MOST_HELD = 256  # descriptors of directories with names that are not UTF-8


def store_changes(root: str, stop: threading.Event) -> Iterator[tuple[bool, frozenset[str]]]:
    """For each burst of changes: (whether states, containers or images changed, ids of containers that logged)."""
    queue: list[set[str] | OSError] = []
    ready = threading.Condition()

    def tell(news: set[str] | OSError) -> None:
        with ready:
            queue.append(news)
            ready.notify()

    def collect(paths: tuple[str, ...], recursive: bool, wanted: Callable[[str], bool]) -> None:
        try:
            while not stop.is_set():
                for changes in _watch(paths, stop, recursive):
                    found = {path for path in changes if wanted(path)}
                    if found:
                        tell(found)
        except OSError as error:  # the store is gone: for whoever listens
            tell(error)

    containers = os.path.join(root, "containers")
    images = os.path.join(root, "images.json")
    watched: list[tuple[tuple[str, ...], bool, Callable[[str], bool]]] = [
        ((containers,), True, lambda path: True),
        ((root,), False, lambda path: path == images),
    ]
    for arguments in watched:
        threading.Thread(target=collect, args=arguments, name="watch", daemon=True).start()
    while not stop.is_set():
        with ready:
            ready.wait_for(lambda: bool(queue), 0.2)
            news = queue.copy()
            queue.clear()
        found: set[str] = set()
        for one in news:
            if isinstance(one, OSError):
                raise one
            found |= one
        if found:
            yield _sorted_out(found)


def _sorted_out(paths: set[str]) -> tuple[bool, frozenset[str]]:
    logs = frozenset(os.path.basename(os.path.dirname(path)) for path in paths if path.endswith("/log.json"))
    return any(not _aside(path) for path in paths), logs


def _aside(path: str) -> bool:
    """Whether a file says nothing of what the explorer's lists show."""
    return os.path.basename(path).startswith(("log.json", "trace.jsonl", "health.json", "events.jsonl"))


def layer_changes(diff: str, stop: threading.Event) -> Iterator[None]:
    """Once for each burst of changes in a live layer, until the layer is gone or `stop` is set.

    The first comes as soon as the watch stands: whoever reads the layer then misses nothing.
    """
    while not stop.is_set():
        directories = list(_directories(diff))
        if not directories:
            return
        known = set(directories)
        held: list[int] = []
        try:
            for changes in _watch(tuple(_watchable(directories, held)), stop, False):
                if any(path not in known and _may_be_directory(path) for path in changes):
                    break  # directories came: watch them too, then tell
                yield
                if not _may_be_directory(diff):
                    return
            if stop.is_set():
                return
        except FileNotFoundError:
            time.sleep(STEP / 1000)  # a directory went between the look and the watch: look again
        finally:
            for fd in held:
                os.close(fd)


def _watch(paths: tuple[str, ...], stop: threading.Event, recursive: bool) -> Iterator[set[str]]:
    """Bursts of changed paths; an empty one first, as soon as the watch stands.

    watchfiles' own `watch` cannot say when it stands, so this is that function without its filters. A path that
    watchfiles cannot name, not being UTF-8, ends the watch after a burst of UNNAMED.
    """
    with RustNotify(list(paths), False, False, 300, recursive, False) as watcher:
        yield set()
        while True:
            try:
                changes = watcher.watch(BURST, STEP, STOP_WITHIN, stop)
            except WatchfilesRustInternalError:
                yield {UNNAMED}
                return
            if changes == "timeout":
                continue
            if isinstance(changes, str):  # "stop" or "signal"
                return
            yield {path for _, path in changes}


def _directories(top: str) -> Iterator[str]:
    """A directory and those in it, no link followed; nothing when it is gone."""
    ahead = [top]
    count = 0
    while ahead and count < MOST_DIRECTORIES:
        path = ahead.pop()
        try:
            with os.scandir(path) as inside:
                ahead += [entry.path for entry in inside if entry.is_dir(follow_symlinks=False)]
        except OSError:
            continue  # went meanwhile
        count += 1
        yield path


def _watchable(directories: Iterable[str], held: list[int]) -> Iterator[str]:
    """Directories as watchfiles takes them: one whose name is not UTF-8 by a descriptor, added to `held`."""
    for path in directories:
        try:
            path.encode("utf-8")
            yield path
        except UnicodeEncodeError:
            if len(held) < MOST_HELD:
                held.append(os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC))
                yield f"/proc/self/fd/{held[-1]}"


def _may_be_directory(path: str) -> bool:
    """Whether this is a directory, or named so (watchfiles gives replacement characters) that it cannot be told."""
    return UNNAMED in path or (os.path.isdir(path) and not os.path.islink(path))
