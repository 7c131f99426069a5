"""Stacks of real layers, what the kernel's own overlay mount shows of them, and what our merged view says.

with Stack(directory) as stack:
    stack.add(layer_tar([File("a", b"1")]))     # a read-only layer, unpacked
    with stack.writable() as merged:            # a read-write layer on top, mounted; `merged` is its path
        os.unlink(merged + b"/a")
    compare(stack)                              # every prefix of the stack, entry by entry
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from engine.kernel.overlays import overlay
from engine.layers import whiteouts
from engine.layers.entry import Entries, decode, encode
from engine.layers.pack import pack
from engine.layers.scan import scan
from engine.layers.unpack import unpack
from engine.layers.view import MergedView

OPTIONS = ("redirect_dir=off", "metacopy=off", "index=off", "xino=off")  # as engine.runtime.plan's


@dataclass
class Layer:
    """One layer on disk."""

    diff: str
    entries: Entries


class Stack:
    """Layers below a directory, bottom first. The directory is removed at the end."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.layers: list[Layer] = []

    def __enter__(self) -> Stack:
        os.mkdir(self.directory)
        os.mkdir(self._path("nothing"))
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.directory)

    def _path(self, name: str) -> str:
        return os.path.join(self.directory, name)

    def _new(self, name: str) -> str:
        """A directory for a new layer, its root as the one below, as `store.layers.make_diff` makes it."""
        path = self._path(f"{len(self.layers)}-{name}")
        os.mkdir(path, 0o755)
        if self.layers:
            below = os.stat(self.layers[-1].diff)
            os.chown(path, below.st_uid, below.st_gid)
            os.chmod(path, stat.S_IMODE(below.st_mode))
            os.utime(path, ns=(below.st_mtime_ns, below.st_mtime_ns))
        return path

    def add(self, archive: bytes) -> Layer:
        """Unpack an archive as the new top layer; its index says what lies on disk."""
        diff = self._new("diff")
        unpacked = unpack(io.BytesIO(archive), diff)
        assert unpacked.diff_id == "sha256:" + hashlib.sha256(archive).hexdigest()
        assert scan(diff, digests=True) == unpacked.entries
        self.layers.append(Layer(diff, unpacked.entries))
        return self.layers[-1]

    @contextmanager
    def writable(self) -> Iterator[bytes]:
        """Mount a read-write layer on the stack; at the end it is the new top layer, as a scan of it says."""
        upper, work = self._new("upper"), self._new("work")
        with self._mounted(len(self.layers), upper, work) as merged:
            yield merged
        self.layers.append(Layer(upper, scan(upper)))

    def commit(self) -> None:
        """Turn the top layer into what its archive makes of it: nothing may change."""
        top = self.layers.pop()
        archive = io.BytesIO()
        packed = pack(top.diff, archive)
        again = io.BytesIO()
        assert pack(top.diff, again).diff_id == packed.diff_id and again.getvalue() == archive.getvalue()
        committed = self.add(archive.getvalue())
        assert committed.entries == scan(top.diff, digests=True)
        assert packed.entries == committed.entries

    @contextmanager
    def mounted(self, count: int) -> Iterator[bytes]:
        """The first `count` layers as the kernel merges them, read-only."""
        with self._mounted(count, None, None) as merged:
            yield merged

    @contextmanager
    def _mounted(self, count: int, upper: str | None, work: str | None) -> Iterator[bytes]:
        lowers = whiteouts.mounted([layer.diff for layer in self.layers[count - 1 :: -1]] if count else [])
        # The kernel wants two layers at least; an empty one at the bottom adds nothing.
        fd = overlay([*lowers, self._path("nothing")], upper, work, OPTIONS)
        try:
            yield b"/proc/self/fd/%d" % fd
        finally:
            os.close(fd)


def compare(stack: Stack, view: MergedView | None = None) -> None:
    """The merged view of every prefix of a stack is what the kernel shows: type, mode, owner, size, mtime, device,
    target, attributes, content of every entry, and nothing more. view: another one to test instead of the whole's."""
    whole = view or MergedView(stack.layers)
    for count in range(len(stack.layers), 0, -1):
        with stack.mounted(count) as merged:
            _same(stack, merged, whole.upto(count - 1))


def _same(stack: Stack, merged: bytes, view: MergedView) -> None:
    seen = {}
    ahead = [""]
    while ahead:
        path = ahead.pop()
        seen[path] = _kernel_facts(merged, path)
        row = view.get(path)
        assert row is not None, f"the kernel shows {path!r}, the view does not"
        assert seen[path] == _view_facts(stack, view, path), path
        if seen[path]["kind"] == "d":
            rows = view.list(path)
            assert _names(merged, path, view) == [row.name for row in rows], f"in {path!r}"
            assert rows == [row for row in view.list(path, hidden=True) if row.state not in ("whiteout", "shadowed")]
            for row in rows:
                assert row == view.get(row.path)
            ahead += [row.path for row in rows]
    assert sorted(seen) == sorted(row.path for row in view.walk())
    _complete(view, set(seen))


def _names(merged: bytes, path: str, view: MergedView) -> list[str]:
    """What a directory of the mount holds. overlayfs lists whiteouts in a directory that it does not merge, though
    nothing can be found under their names: in a directory that one layer alone has, a whiteout is idle."""
    place = merged + b"/" + encode(path)
    listed = os.listdir(place)
    found = [name for name in listed if os.path.lexists(place + b"/" + name)]
    for name in set(listed) - set(found):
        assert len(view.merge(path).live) == 1
        assert decode(name) in [row.name for row in view.list(path, hidden=True) if row.state == "whiteout"]
    return sorted(decode(name) for name in found)


def _complete(view: MergedView, seen: set[str]) -> None:
    """Every entry of every layer is accounted for once: seen, merged, or a hidden row; the provenance agrees."""
    everything = {(number, entry.path) for number, table in enumerate(view.tables) for entry in table if entry.path}
    rows = []
    for path in {""} | {path for number, path in everything if view.tables[number].by_path[path].kind == "d"}:
        rows += view.list(path, hidden=True)
    accounted = []
    for row in rows:
        if row.hidden_by is None and row.state not in ("whiteout",):
            accounted += [(number, row.path) for number in row.merged_from or (row.layer,)]
        else:
            accounted.append((row.layer, row.path))
        if row.hidden_by is not None:
            assert row.hidden_by > row.layer
    assert sorted(accounted) == sorted(everything)
    for path in {path for _, path in everything}:
        shown = view.get(path)
        assert (shown is not None) == (path in seen), path
        told = view.provenance(path)
        assert [one.layer for one in told] == list(range(view.top, -1, -1))
        gives = [one.layer for one in told if one.role == "gives"]
        assert gives == ([shown.layer] if shown else []), path
        if shown:
            assert shown.merged_from[1:] == tuple(one.layer for one in told if one.role == "merged"), path
            hidden = tuple(one.layer for one in told if one.role == "shadowed")
            assert shown.shadows == hidden, path


def _kernel_facts(merged: bytes, path: str) -> dict[str, Any]:
    place = merged + b"/" + encode(path) if path else merged + b"/."
    found = os.lstat(place)
    names = os.listxattr(place, follow_symlinks=False)
    attributes = [(name, os.getxattr(place, name, follow_symlinks=False)) for name in names if whiteouts.is_kept(name)]
    kind = {"-": "f"}.get(letter := stat.filemode(found.st_mode)[0], letter)
    return {
        "kind": kind,
        "mode": stat.S_IMODE(found.st_mode),
        "owner": (found.st_uid, found.st_gid),
        "mtime": found.st_mtime_ns,
        "size": found.st_size if kind == "f" else 0,
        "rdev": (os.major(found.st_rdev), os.minor(found.st_rdev)),
        "target": decode(os.readlink(place)) if kind == "l" else "",
        "xattrs": tuple(sorted(attributes)),
        "content": _content(place) if kind == "f" else b"",
    }


def _view_facts(stack: Stack, view: MergedView, path: str) -> dict[str, Any]:
    row = view.get(path)
    assert row is not None
    entry = row.entry
    content = b""
    if entry.kind == "f":
        # What the view says gives the content: read it there.
        content = _content(encode(stack.layers[row.layer].diff) + b"/" + entry.raw)
        if entry.digest:
            assert entry.digest == hashlib.sha256(content).hexdigest()
    return {
        "kind": entry.kind,
        "mode": entry.mode,
        "owner": (entry.uid, entry.gid),
        "mtime": entry.mtime_ns,
        "size": entry.size,
        "rdev": entry.rdev,
        "target": entry.target,
        "xattrs": entry.xattrs,
        "content": content,
    }


def _content(place: bytes) -> bytes:
    with open(place, "rb") as file:
        return file.read()
