"""Layers taken in: one after the other here, or side by side by workers, each put in its place as soon as it is whole.

Lanes (a thread with a worker each) take tasks from the bottom up. A worker waits with a layer's root directory until
the layer below is known, so the lowest one at work never waits. Finished layers go to the publisher: one syncfs for all
that have come by then, then archives and layers get their final names, parents first.
"""

from __future__ import annotations

import os
import threading

from engine.archive.assemble import LayerSource
from engine.archive.downloads import Downloads
from engine.archive.intake import Order, Pipe, Slice, take_in
from engine.archive.roots import Roots
from engine.errors import InvalidInput
from engine.oci.manifests import LAYER, MEDIA_TYPES, Descriptor
from engine.progress import Progress
from engine.store.incoming import remove
from engine.store.root import HOLD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.archive.ingest import Task
    from engine.archive.intake import Root, Taken
    from engine.archive.workers import Worker
    from engine.layers.unpack import Limits
    from engine.progress import Report
    from engine.store.root import Staging, Store

LANES = max(2, min(4, os.cpu_count() or 1))


class Taking:
    """The layers of one `ingest` on their way."""

    def __init__(self, store: Store, staging: Staging, report: Report | None, limits: Limits | None) -> None:
        self.store = store
        self.staging = staging
        self._report = report
        self._limits = limits
        self._ready: dict[tuple[str, str], LayerSource] = {}
        self._changed = threading.Condition()
        self.roots = Roots(store, self._changed, lambda: self._error is not None)
        self.downloads = Downloads(store, self._changed, lambda: self._error is not None)
        self._error: BaseException | None = None
        self._finished: list[tuple[Task, LayerSource]] = []
        self._published: list[LayerSource] = []
        self._layers: list[str] = []
        self._workers: list[Worker] = []
        self._kept: set[tuple[str, str]] = set()  # keys of tasks with nothing to do
        self._ahead: list[Task] = []
        self._left = 0

    def run(self, tasks: list[Task], *, small: bool) -> dict[tuple[str, str], LayerSource]:
        """Take all in; returns where each is. small: here and now, and left in staging for `add_image` to publish."""
        for task in tasks:
            if task.coming.open is not None and not self._is_here(task):
                self._say(task, "Pulling fs layer")
        try:
            if small:
                for task in tasks:
                    self._lane_task(task, None)
            else:
                self._side_by_side(tasks)
        finally:
            for worker in self._workers:
                worker.close(kill=self._error is not None)
        return self._ready

    def settled(self) -> None:
        """`add_image` has put what `run` left in staging in its place."""
        for task, source in self._finished:
            self._settled(task, source)

    def withdraw(self) -> None:
        """Take back what was published, and what was downloaded, for an image that will not come."""
        from engine.store.gc import collect

        self.downloads.withdraw()
        for name in os.listdir(self.staging.path):
            if name.startswith(HOLD):
                os.unlink(self.staging.join(name))
        blobs = {source.blob.digest for source in self._published}
        if blobs or self._layers:
            with self.store.trash() as trash, self.store.images.change() as change:
                collect(self.store, trash, change, only={*blobs, *self._layers})

    # Side by side.

    def _side_by_side(self, tasks: list[Task]) -> None:
        from engine.archive.workers import Worker

        self._ahead = list(tasks)
        self._left = len(tasks)
        count = min(LANES, sum(not self._is_here(task) for task in tasks))
        fd = self.staging.lock_fd
        self._workers = [Worker(self.store, fd) for _ in range(count)]
        crews: list[Worker | None] = [*self._workers] or [None]
        lanes = [threading.Thread(target=self._lane, args=(worker,), daemon=True) for worker in crews]
        for lane in lanes:
            lane.start()
        try:
            self._publish()
        except BaseException as error:
            self._stop(error)
            raise
        finally:
            for worker in self._workers if self._error is not None else ():
                worker.close(kill=True)
            for lane in lanes:
                lane.join(2)
        if self._error is not None:
            raise self._error

    def _lane(self, worker: Worker | None) -> None:
        try:
            while True:
                with self._changed:
                    if self._error is not None or not self._ahead:
                        return
                    task = self._ahead.pop(0)
                self._lane_task(task, worker)
        except BaseException as error:
            self._stop(error)

    def _stop(self, error: BaseException) -> None:
        with self._changed:
            if self._error is None:
                self._error = error
            self._changed.notify_all()

    def _publish(self) -> None:
        """Give finished layers their places until all have them, or until something fails."""
        from engine.store import files

        waiting: dict[str, tuple[Task, LayerSource]] = {}
        while True:
            with self._changed:
                while not self._finished and self._left and self._error is None:
                    self._changed.wait()
                finished, self._finished = self._finished, []
                if self._error is not None or (not finished and not self._left):
                    return
            if any(source.archive or source.directory for _, source in finished):
                self.store.sync()
            for task, source in finished:
                self.staging.hold(source.blob.digest[7:])
                if source.archive:
                    self.store.blobs.adopt(source.archive, source.blob.digest)
                    self._published.append(source)
                if source.directory:
                    waiting[task.layer] = (task, source)
            files.sync_directory(self.store.path("blobs", "sha256"))
            adopted = True
            while adopted:  # parents first
                adopted = False
                for layer, (task, source) in list(waiting.items()):
                    if task.parent is None or self.store.layers.exists(task.parent):
                        if self.store.layers.adopt(source.directory, layer):
                            self._layers.append(layer)
                        del waiting[layer]
                        adopted = True
            files.sync_directory(self.store.path("layers"))
            self.downloads.release()
            for task, source in finished:
                with self._changed:
                    # Where `add_image` looks from now on: in the store.
                    self._ready[task.key] = LayerSource(source.diff_id, source.blob)
                self._settled(task, source)
            with self._changed:
                self._left -= len(finished)

    # One layer.

    def _lane_task(self, task: Task, worker: Worker | None) -> None:
        here = self._is_here(task)
        if here:
            source = LayerSource(task.diff_id, self._descriptor(task, task.coming.digest, task.coming.size, ""))
            self.roots.know(task.layer)
            if task.coming.open is not None:
                remove(self.store, task.coming.digest)  # of a try that was killed just after the last byte
            self._kept.add(task.key)
            self._say(task, "Already exists")
        else:
            source = self._take(task, worker)
        with self._changed:
            self._ready[task.key] = source
            self._finished.append((task, source))
            self._changed.notify_all()

    def _is_here(self, task: Task) -> bool:
        """Whether the store has both the layer and the archive that is promised."""
        digest = task.coming.digest
        if not digest or not self.store.blobs.exists(digest) or self.store.blobs.size(digest) != task.coming.size >= 0:
            return False
        return not task.unpack or self.store.layers.exists(task.layer)

    def _take(self, task: Task, worker: Worker | None) -> LayerSource:
        store, coming = self.store, task.coming
        unpack = task.unpack and not store.layers.exists(task.layer)
        if not unpack and store.layers.exists(task.layer):
            self.roots.know(task.layer)
        directory = self.staging.join("layer-" + os.urandom(8).hex()) if unpack else ""
        if coming.digest and store.blobs.exists(coming.digest):
            remove(store, coming.digest)
            path, size = store.blobs.path(coming.digest), store.blobs.size(coming.digest)
            taken = self._from_file(self._order(task, directory, blob=False), worker, task, path, 0, size, -1)
            return LayerSource(task.diff_id, self._descriptor(task, *_parts(taken)), "", directory)
        if coming.open is not None:
            return self._from_registry(task, worker, directory)
        # A plain archive's digest is its diff id: when the store has that already it is only looked through.
        keep = not coming.staged and not store.blobs.exists(task.diff_id)
        archive = coming.path if coming.staged else self.staging.join("archive-" + os.urandom(8).hex()) if keep else ""
        blob = os.open(archive, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600) if keep else -1
        try:
            order = self._order(task, directory, blob=keep)
            taken = self._from_file(order, worker, task, coming.path, coming.offset, coming.size, blob)
        finally:
            if blob >= 0:
                os.close(blob)
        if not keep and not coming.staged and taken.digest != task.diff_id:
            return self._again_with_archive(task, worker, directory)
        if coming.staged and taken.size != coming.size:  # kept plain: not what lies there
            return self._again_with_archive(task, worker, directory)
        return LayerSource(task.diff_id, self._descriptor(task, *_parts(taken)), archive, directory)

    def _again_with_archive(self, task: Task, worker: Worker | None, directory: str) -> LayerSource:
        """The layer is unpacked or there, but its archive must be kept in other bytes than those that lie there."""
        archive = self.staging.join("archive-" + os.urandom(8).hex())
        blob = os.open(archive, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            coming = task.coming
            taken = self._from_file(
                self._order(task, "", blob=True), worker, task, coming.path, coming.offset, coming.size, blob
            )
        finally:
            os.close(blob)
        return LayerSource(task.diff_id, self._descriptor(task, *_parts(taken)), archive, directory)

    def _from_file(
        self, order: Order, worker: Worker | None, task: Task, path: str, offset: int, size: int, blob: int
    ) -> Taken:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            talk = _Talk(self, task, size)
            if worker is None:
                return take_in(self.store, Slice(fd, offset, size), order, blob, talk)
            from dataclasses import replace

            return worker.take_in(replace(order, size=size), blob, fd, offset, file=True, talk=talk)
        finally:
            os.close(fd)

    def _from_registry(self, task: Task, worker: Worker | None, directory: str) -> LayerSource:
        """Download an archive, once: an image may have the same one in several layers."""
        digest = task.coming.digest
        path = self.downloads.claim(digest)
        if path is None:
            source = self._from_stream(task, worker, directory)
            self.downloads.arrived(digest, source.archive or self.store.blobs.path(digest))
            return source
        order, size = self._order(task, directory, blob=False), task.coming.size
        try:
            taken = self._from_file(order, worker, task, path, 0, size, -1)
        except FileNotFoundError:  # it has its final name by now
            taken = self._from_file(order, worker, task, self.store.blobs.path(digest), 0, size, -1)
        return LayerSource(task.diff_id, self._descriptor(task, *_parts(taken)), "", directory)

    def _from_stream(self, task: Task, worker: Worker | None, directory: str) -> LayerSource:
        """Download into `incoming/`, going on with what is there, and unpack meanwhile."""
        self._say(task, "Waiting")
        incoming = self.downloads.place(task.coming.digest)
        if incoming is not None and self.store.blobs.exists(task.coming.digest):  # somebody else was at it
            incoming.done()
            incoming.close()
            return self._take(task, worker)
        archive = incoming.path if incoming else self.staging.join("archive-" + os.urandom(8).hex())
        blob = incoming.fd if incoming else os.open(archive, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            had = incoming.size if incoming else 0
            if incoming is not None and 0 <= task.coming.size < had:
                incoming.restart()
                had = 0
            try:
                taken = self._pour(task, worker, directory, blob, had)
            except InvalidInput:
                if incoming is None or not had:
                    if incoming is not None:
                        incoming.done()
                    raise
                incoming.restart()  # what an earlier try left was no good: once more from the start
                directory = self.staging.join("layer-" + os.urandom(8).hex()) if directory else ""
                taken = self._pour(task, worker, directory, blob, 0)
        except BaseException:
            if incoming is not None:
                incoming.close()
            else:
                os.close(blob)
            raise
        if incoming is not None:
            self.downloads.hold(incoming)
        else:
            os.close(blob)
        return LayerSource(task.diff_id, self._descriptor(task, *_parts(taken)), archive, directory)

    def _pour(self, task: Task, worker: Worker | None, directory: str, blob: int, had: int) -> Taken:
        from engine.archive.workers import Feeder

        open = task.coming.open if had != task.coming.size else _nothing
        assert open is not None
        order = self._order(task, directory, blob=True, prefix=had)
        talk = _Talk(self, task, task.coming.size)
        if worker is None:
            stream = open(had)
            try:
                return take_in(self.store, stream, order, blob, talk)
            finally:
                close = getattr(stream, "close", None)
                if close is not None:
                    close()
        feeder = Feeder(open, had)
        try:
            return worker.take_in(order, blob, feeder.end, 0, file=False, talk=talk)
        except Exception:
            if feeder.error is not None:
                raise feeder.error
            raise
        finally:
            feeder.stop()

    def _order(self, task: Task, directory: str, *, blob: bool, prefix: int = 0) -> Order:
        coming = task.coming
        return Order(
            what=task.what,
            diff_id=task.diff_id,
            digest=coming.digest,
            size=coming.size,
            directory=directory,
            blob=blob,
            prefix=prefix,
            exact=task.exact,
            layer=task.layer,
            parent=task.parent,
            created=task.created,
            created_by=task.created_by,
            limits=self._limits,
        )

    def _descriptor(self, task: Task, digest: str, size: int, compression: str) -> Descriptor:
        return Descriptor(task.coming.media_type or MEDIA_TYPES.get(compression, LAYER), digest, size)

    def _settled(self, task: Task, source: LayerSource) -> None:
        if task.key not in self._kept:
            self._say(task, "Pull complete" if task.coming.open else "Loaded", source.blob.size, source.blob.size)

    def _say(self, task: Task, action: str, current: int = 0, total: int = 0) -> None:
        if self._report is not None:
            self._report(Progress(task.id, action, current, total))


class _Talk:
    """`intake.Talk` about one task."""

    def __init__(self, taking: Taking, task: Task, total: int) -> None:
        self._taking = taking
        self._task = task
        self._total = max(total, 0)

    def progress(self, count: int) -> None:
        action = "Downloading" if self._task.coming.open else "Loading layer"
        if self._task.coming.open and count == self._total:
            action = "Extracting"
        self._taking._say(self._task, action, count, self._total)

    def root(self, own: Root | None) -> Root | None:
        return self._taking.roots.settle(self._task.layer, self._task.parent, own)


def _parts(taken: Taken) -> tuple[str, int, str]:
    return taken.digest, taken.size, taken.compression


def _nothing(_offset: int) -> Pipe:
    """The rest of an archive that is whole already."""
    return Pipe(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
