"""Layers on disk: `layers/<id>/{diff/,json,index}` read-only, `layers/<id>/{diff/,work/,json}` read-write.

A read-only layer's id is its chain id, so the same layers under it give the same id and it is kept once; a read-write
layer's id is its container's. `parent` leads to the layer below; the bottom one has none.
"""

from __future__ import annotations

import os
import stat

from engine import jsons
from engine.errors import BrokenStore, NoSuchContainer, NotFound
from engine.oci.digests import is_hex_id
from engine.store import files
from engine.values import Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine.layers.entry import Entry
    from engine.store.root import Store

READ_ONLY = "ro"
READ_WRITE = "rw"


class LayerRecord(Values):
    """What `layers/<id>/json` says. size: bytes of regular files in `diff/`, hard links once; entries: how many paths
    besides the root.

    For a read-write layer diff_id is "", and size and entries are 0: `Layers.rw_size` measures.
    """

    id: str
    kind: str
    parent: str | None
    diff_id: str = ""
    created: str = ""
    created_by: str = ""
    size: int = 0
    entries: int = 0

    @property
    def empty(self) -> bool:
        """Whether the layer changes nothing."""
        return self.kind == READ_ONLY and self.entries == 0


class Layers:
    """The directory `layers/`."""

    __slots__ = ("_store",)

    def __init__(self, store: Store) -> None:
        self._store = store

    def path(self, layer_id: str) -> str:
        """`layers/<id>`, whether it is there or not."""
        return self._store.path("layers", layer_id)

    def diff_path(self, layer_id: str) -> str:
        """`layers/<id>/diff`: the layer's own files, whiteouts in the kernel's form."""
        return self._store.path("layers", layer_id, "diff")

    def exists(self, layer_id: str) -> bool:
        return os.path.isdir(self.path(layer_id))

    def get(self, layer_id: str) -> LayerRecord:
        """A layer's record. NotFound when there is none of this id; BrokenStore when its json is unreadable."""
        if not is_hex_id(layer_id):
            raise NotFound(f"No such layer: {layer_id}")
        try:
            document = jsons.loads(files.read(os.path.join(self.path(layer_id), "json")))
            return LayerRecord(**{key: document[key] for key in LayerRecord.fields()})
        except FileNotFoundError:
            raise NotFound(f"No such layer: {layer_id}")
        except (ValueError, KeyError, TypeError) as error:
            return self._derived(layer_id, error)

    def _derived(self, layer_id: str, error: Exception) -> LayerRecord:
        """The record of a read-write layer whose json a power cut tore: its container's config says all of it."""
        try:
            config = self._store.containers.get(layer_id)
        except NoSuchContainer:
            raise BrokenStore(f"{self.path(layer_id)}/json is not a layer's record: {error!r}")
        parent = config.layers[-1] if config.layers else None
        return LayerRecord(layer_id, READ_WRITE, parent, created=config.created)

    def ids(self) -> list[str]:
        """The ids of all layers, sorted."""
        return sorted(name for name in os.listdir(self._store.path("layers")) if is_hex_id(name))

    def all(self) -> list[LayerRecord]:
        """Every layer's record; those removed while we read are left out."""
        found = []
        for layer_id in self.ids():
            try:
                found.append(self.get(layer_id))
            except NotFound:
                continue
        return found

    def chain(self, layer_id: str | None) -> list[str]:
        """The ids from the bottom up to `layer_id`, following parents. BrokenStore when one of them is missing."""
        found: list[str] = []
        while layer_id is not None:
            found.append(layer_id)
            try:
                layer_id = self.get(layer_id).parent
            except NotFound:
                raise BrokenStore(f"layer {layer_id} is missing, but {found[0]} stands on it")
            if layer_id in found:
                raise BrokenStore(f"layer {layer_id} is its own parent")
        return found[::-1]

    def children(self, layer_id: str) -> list[str]:
        """The ids of the layers that stand directly on this one, read-write ones too."""
        return [record.id for record in self.all() if record.parent == layer_id]

    def index(self, layer_id: str) -> list[Entry]:
        """Every entry of a layer, parents first: the index of a read-only layer, a fresh scan of a read-write one."""
        if self.get(layer_id).kind == READ_WRITE:
            from engine.layers.scan import scan

            return scan(self.diff_path(layer_id))
        from engine.layers.index import read_index

        return read_index(os.path.join(self.path(layer_id), "index"))

    def root_entry(self, layer_id: str) -> Entry:
        """What a layer says of the root directory, without reading its index."""
        from engine.layers.entry import Entry

        diff = self.diff_path(layer_id)
        found = os.stat(diff)
        kept = tuple(sorted(_kept_xattrs(diff)))
        mode = stat.S_IMODE(found.st_mode)
        return Entry("", "d", mode, found.st_uid, found.st_gid, mtime_ns=found.st_mtime_ns, xattrs=kept)

    def rw_size(self, layer_id: str) -> int:
        """Bytes of regular files in a read-write layer now, hard links counted once."""
        return sum(entry.size for entry in self.index(layer_id) if entry.kind == "f" and not entry.link)

    def size(self, layer_ids: Iterable[str]) -> int:
        """Bytes of regular files in read-only layers together: what `images` shows as an image's size."""
        return sum(self.get(layer_id).size for layer_id in layer_ids)

    def make_diff(self, staged: str, parent: str | None, parent_directory: str = "") -> str:
        """Make `staged`/diff for a new layer; its root looks like the parent's until an archive says otherwise.

        overlayfs shows the top layer's root directory as the container's `/`: without this an image whose `/` is 0700,
        or owned by somebody, would lose that under the next layer. parent_directory: where the parent is staged, when
        it is not in its place yet. NotFound when the parent is not there.
        """
        diff = os.path.join(staged, "diff")
        os.mkdir(diff, 0o755)
        if parent is not None:
            source = os.path.join(parent_directory, "diff") if parent_directory else self.diff_path(parent)
            try:
                below = os.stat(source)
            except FileNotFoundError:
                raise NotFound(f"No such layer: {parent}")
            os.chown(diff, below.st_uid, below.st_gid)
            os.chmod(diff, stat.S_IMODE(below.st_mode))
            for name, value in _kept_xattrs(source):
                os.setxattr(diff, name, value)
            os.utime(diff, ns=(below.st_atime_ns, below.st_mtime_ns))
        else:
            os.chmod(diff, 0o755)  # whatever the umask took
        return diff

    def stage_rw(self, staged: str, layer_id: str, parent: str | None, created: str) -> None:
        """Make a read-write layer in staging; the caller renames it to its place under the containers lock.

        Nothing is synced: what its json says can be derived from the container's config, which is.
        """
        os.mkdir(staged, 0o700)
        self.make_diff(staged, parent)
        os.mkdir(os.path.join(staged, "work"), 0o700)
        self._write(staged, LayerRecord(layer_id, READ_WRITE, parent, created=created))

    def seal(self, staged: str, record: LayerRecord, entries: list[Entry]) -> None:
        """Finish a staged read-only layer, its diff/ filled: write json and index. The caller syncs, then adopts."""
        from engine.layers.index import write_index

        write_index(os.path.join(staged, "index"), entries, sync=False)
        self._write(staged, record)

    def adopt(self, staged: str, layer_id: str) -> bool:
        """Move a staged layer to its final place, under the images lock (containers lock for a read-write layer).

        The caller syncs the directory `layers/` afterwards, once for many.
        False when a layer of this id is there already: equal content by its id, so the staged one is not needed.
        """
        if self.exists(layer_id):
            return False
        os.rename(staged, self.path(layer_id))
        return True

    def _write(self, staged: str, record: LayerRecord) -> None:
        files.write_new(os.path.join(staged, "json"), jsons.sheet(record.plain()).encode(), sync=False)


def _kept_xattrs(path: str) -> list[tuple[str, bytes]]:
    names = os.listxattr(path)
    if not names:
        return []  # nearly always: the hot path loads nothing for it
    from engine.layers.whiteouts import is_kept

    return [(name, os.getxattr(path, name)) for name in names if is_kept(name)]
