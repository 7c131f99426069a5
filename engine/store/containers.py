"""Containers on disk: `containers/<id>/config.json`, fixed at create, and `state.json`, which the monitor writes.

`state.json` is replaced without fsync. What a power cut then shows is derivable: no file means created and never
started; an old or empty one belongs to a machine that stopped, so nothing of it runs any more and `state` says exited.
`config.json` is fsynced before its directory gets its name.
"""

from __future__ import annotations

import os

from engine.errors import Ambiguous, BrokenStore, Conflict, InvalidInput, NoSuchContainer
from engine.oci.digests import HEX, is_hex_id
from engine.oci.references import ALNUM, TAG
from engine.store import files
from engine.store.container import (
    CREATED,
    EXITED,
    LOST,
    PAUSED,
    RESTARTING,
    RUNNING,
    Container,
    ContainerConfig,
    ContainerState,
    dump_config,
    dump_state,
    load_config,
    load_state,
)
from engine.store.locks import Lock, lock_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from engine.settings import Settings
    from engine.store.root import Store

__all__ = [
    "CREATED",
    "EXITED",
    "LOST",
    "PAUSED",
    "RESTARTING",
    "RUNNING",
    "Container",
    "ContainerConfig",
    "ContainerState",
    "Containers",
    "check_name",
    "new_id",
]

NAME_HEAD = 512  # bytes of config.json that hold id and name: they are written first


class Containers:
    """The directory `containers/`."""

    __slots__ = ("_store",)

    def __init__(self, store: Store) -> None:
        self._store = store

    def path(self, container_id: str, *names: str) -> str:
        """`containers/<id>/…`, whether it is there or not."""
        return self._store.path("containers", container_id, *names)

    def create(self, config: ContainerConfig, extra: Mapping[str, bytes] | None = None) -> None:
        """Make a container and its read-write layer; `extra`: further files of its directory, by name.

        All of it or nothing: the layer appears first, the container last. Conflict when the name is taken, InvalidInput
        when it is malformed, BrokenStore when one of its layers is gone. Three fsyncs: config.json, then `layers/` and
        `containers/` in the order of their renames; the layer's json can be derived, `extra` files be written again.
        """
        check_name(config.name)
        with self._store.tmp_dir() as staging:
            container, layer = staging.join("container"), staging.join("layer")
            os.mkdir(container, 0o700)
            os.mkdir(os.path.join(container, "rootfs"), 0o755)
            for name, data in (extra or {}).items():
                files.write_new(os.path.join(container, name), data, sync=False, mode=0o644)
            files.write_new(os.path.join(container, "config.json"), dump_config(config))
            # `gc` holds this lock too: nobody collects the layers below between our look at them and our reference.
            with self._store.lock("containers"):
                self._check_free(config.name)
                for layer_id in config.layers:
                    if not self._store.layers.exists(layer_id):
                        raise BrokenStore(f"layer {layer_id} of image {config.image} is missing from the store")
                top = config.layers[-1] if config.layers else None
                self._store.layers.stage_rw(layer, config.id, top, config.created)
                if not self._store.layers.adopt(layer, config.id):
                    raise Conflict(f"a layer {config.id} is there already")
                files.sync_directory(self._store.path("layers"))
                os.rename(container, self.path(config.id))
                files.sync_directory(self._store.path("containers"))

    def get(self, container_id: str) -> ContainerConfig:
        """The config of the container of this full id. NoSuchContainer; BrokenStore when it cannot be read."""
        try:
            return load_config(files.read(self.path(container_id, "config.json")))
        except (FileNotFoundError, NotADirectoryError):
            raise NoSuchContainer(container_id)
        except (ValueError, KeyError, TypeError) as error:
            raise BrokenStore(f"{self.path(container_id, 'config.json')} is not a container's config: {error!r}")

    def snapshot(self, container_id: str) -> Container:
        """Config and checked state of the container of this full id. NoSuchContainer."""
        return Container(self.get(container_id), self.state(container_id))

    def snapshots(self) -> list[Container]:
        """`snapshot` of every container, newest first."""
        found = []
        for config in self.all():
            try:
                found.append(Container(config, self.state(config.id)))
            except NoSuchContainer:
                continue  # removed while we read
        return found

    def ids(self) -> list[str]:
        """The ids of all containers, sorted."""
        return sorted(name for name in os.listdir(self._store.path("containers")) if is_hex_id(name))

    def all(self) -> list[ContainerConfig]:
        """Every container, newest first; those removed while we read are left out."""
        found = []
        for container_id in self.ids():
            try:
                found.append(self.get(container_id))
            except NoSuchContainer:
                continue
        return sorted(found, key=lambda config: (config.created, config.id), reverse=True)

    def using(self, image_id: str) -> list[ContainerConfig]:
        """The containers made from this image."""
        return [config for config in self.all() if config.image == image_id]

    def resolve(self, text: str) -> str:
        """The full id that an id, a name or a unique prefix of an id leads to, in this order. NoSuchContainer,
        Ambiguous."""
        if is_hex_id(text) and os.path.isdir(self.path(text)):
            return text
        name = text.removeprefix("/")
        for container_id, taken in self.names():
            if taken == name:
                return container_id
        if not text or not HEX.issuperset(text):
            raise NoSuchContainer(text)
        found = [container_id for container_id in self.ids() if container_id.startswith(text)]
        if not found:
            raise NoSuchContainer(text)
        if len(found) > 1:
            raise Ambiguous(text)
        return found[0]

    def names(self) -> Iterator[tuple[str, str]]:
        """(id, name) of every container: reads the first bytes of each config only."""
        for container_id in self.ids():
            try:
                fd = os.open(self.path(container_id, "config.json"), os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                continue  # removed since
            try:
                head = os.read(fd, NAME_HEAD)
            finally:
                os.close(fd)
            parts = head.split(b'"', 8)  # { "id": "…", "name": "…", …
            if len(parts) > 8 and parts[1] == b"id" and parts[5] == b"name":
                yield container_id, parts[7].decode("ascii", "replace")
            else:
                yield container_id, self.get(container_id).name

    def lock(self, container_id: str) -> Lock:
        """Hold one container still while its state is changed. NoSuchContainer when it is gone."""
        lock = lock_directory(self.path(container_id))
        if lock is None:
            raise NoSuchContainer(container_id)
        return lock

    def state(self, container_id: str) -> ContainerState:
        """The state, checked against the kernel: a container whose monitor is dead has exited. NoSuchContainer."""
        recorded = self.recorded_state(container_id)
        if not recorded.running:
            return recorded
        from engine.kernel.proc import boot_id, is_same

        if recorded.boot and recorded.boot != boot_id():  # a pid and its start time may well come again
            return _lost(recorded, "the machine stopped while it ran")
        if is_same(recorded.monitor_pid, recorded.monitor_start):
            return recorded
        again = self.recorded_state(container_id)  # it may have written its last words since
        if not again.running:
            return again
        return _lost(again, "the container's monitor died")

    def recorded_state(self, container_id: str) -> ContainerState:
        """The state as the file says, true or not. NoSuchContainer."""
        try:
            data = files.read(self.path(container_id, "state.json"))
        except FileNotFoundError:
            if not os.path.isdir(self.path(container_id)):
                raise NoSuchContainer(container_id)
            return ContainerState()
        return load_state(data)

    def set_state(self, container_id: str, state: ContainerState) -> None:
        """Replace the state, holding `lock(container_id)`, and only while no monitor lives: else it is the writer."""
        files.replace(self.path(container_id, "state.json"), dump_state(state), sync=False)

    def rename(self, container_id: str, name: str) -> None:
        """Give a container another name. Conflict when it is taken, InvalidInput when it is malformed."""
        check_name(name)
        with self._store.lock("containers"):
            config = self.get(container_id)
            self._check_free(name)
            files.replace(self.path(container_id, "config.json"), dump_config(config.replaced(name=name)))

    def reconfigure(self, container_id: str, *, settings: Settings) -> None:
        """Give a container other settings. NoSuchContainer."""
        with self._store.lock("containers"):  # `rename` writes this file too
            config = self.get(container_id).replaced(settings=settings)
            files.replace(self.path(container_id, "config.json"), dump_config(config))

    def remove(self, container_id: str) -> None:
        """Remove a container that does not run, and its read-write layer; then what only it kept alive.

        The container's directory goes first, in one rename: a crash after that leaves garbage only.
        """
        with self._store.trash() as trash, self._store.lock("containers"):
            image = self._image_of(container_id)
            try:
                trash.take(self.path(container_id))
            except FileNotFoundError:
                raise NoSuchContainer(container_id)
            files.sync_directory(self._store.path("containers"))
            if self._store.layers.exists(container_id):
                trash.take(self._store.layers.path(container_id))
        if image is None or (image and not self._store.images.exists(image)):
            from engine.store.gc import gc

            gc(self._store)  # the image was removed by force, and its layers waited for this container

    def _image_of(self, container_id: str) -> str | None:
        try:
            return self.get(container_id).image
        except BrokenStore:
            return None  # a container that cannot be read can still be removed

    def _check_free(self, name: str) -> None:
        for container_id, taken in self.names():
            if taken == name:
                raise Conflict(
                    f'Conflict. The container name "/{name}" is already in use by container "{container_id}". '
                    "You have to remove (or rename) that container to be able to reuse that name."
                )


def _lost(state: ContainerState, reason: str) -> ContainerState:
    return state.replaced(status=EXITED, exit_code=LOST, error=reason, pid=0, monitor_pid=0)


def check_name(name: str) -> None:
    """InvalidInput unless a container may have this name: `[a-zA-Z0-9][a-zA-Z0-9_.-]+`."""
    if len(name) < 2 or len(name) > 255 or name[0] not in ALNUM or not TAG.issuperset(name):
        raise InvalidInput(f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")


def new_id() -> str:
    """A fresh container id: 64 random hexadecimal digits, never all decimal in the first 12 (docker: a hostname)."""
    while True:
        found = os.urandom(32).hex()
        if not found[:12].isdecimal():
            return found
