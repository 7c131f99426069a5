"""The merged view is what the kernel shows: random stacks, random changes made through a real overlay mount, and every
prefix of what comes out compared entry by entry with the kernel's own mount of it.

On the way each layer is unpacked, scanned, packed and unpacked again, and none of that may change it.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.layers.diff import changes
from engine.layers.entry import encode
from engine.layers.view import MergedView
from tests.support.archives import (
    CharDevice,
    Dir,
    Fifo,
    File,
    HardLink,
    Member,
    Opaque,
    Symlink,
    Whiteout,
    layer_tar,
)
from tests.support.needs import needs_root
from tests.support.stacks import Stack, compare

needs_root()

NAMES = ["a", "a.b", "n\udcff"]  # the last is not UTF-8
names = st.sampled_from(NAMES)
# Paths up to three deep, the short ones often: so layers meet each other.
paths = st.lists(names, min_size=1, max_size=3).map("/".join)
contents = st.binary(max_size=5)
times = st.integers(1, 8_000_000_000_000_000_000)
owners = st.sampled_from([0, 1000, 65534])
attributes = st.sampled_from([{}, {}, {}, {"user.colour": b"blue\0"}, {"trusted.note": b"x"}])


@st.composite
def members(draw: st.DrawFn) -> list[Member]:
    """A layer's archive: a tree of anything, in an order that has parents first, except for marks."""
    tree: dict[str, str] = {}
    for path in draw(st.lists(paths, max_size=12, unique=True)):
        parts = path.split("/")
        above = ["/".join(parts[:end]) for end in range(1, len(parts))]
        if any(tree.get(parent, "d") not in ("d", "o") for parent in above):
            continue
        if tree.get(path) in ("d", "o"):
            continue
        tree.update({parent: tree.get(parent, draw(st.sampled_from("dddo"))) for parent in above})
        tree[path] = draw(st.sampled_from("ffffddolwwpch"))
    made: list[Member] = []
    files: list[str] = []
    for path in sorted(tree, key=lambda path: path.replace("/", "\0")):
        kind = tree[path]
        more: dict[str, Any] = {"uid": draw(owners), "gid": draw(owners), "mtime_ns": draw(times)}
        if kind in ("d", "o"):
            made.append(
                Dir(path, mode=draw(st.sampled_from([0o755, 0o700, 0o1777, 0])), xattrs=draw(attributes), **more)
            )
            made += [Opaque(path)] if kind == "o" else []
        elif kind == "h" and files:
            made.append(HardLink(path, draw(st.sampled_from(files))))
        elif kind in ("f", "h"):
            mode = draw(st.sampled_from([0o644, 0o4755, 0o600]))
            made.append(File(path, draw(contents), mode=mode, xattrs=draw(attributes), **more))
            files.append(path)
        elif kind == "l":
            made.append(Symlink(path, draw(st.sampled_from(["a", "../b", "/c.d", "nowhere\udcfe"])), **more))
        elif kind == "w":
            made.append(Whiteout(path))
        elif kind == "p":
            made.append(Fifo(path, **more))
        else:
            made.append(CharDevice(path, 1, draw(st.integers(3, 9)), **more))
    # A mark may come anywhere: before its directory, in the middle, at the end.
    marks = [one for one in made if ".wh." in one.path]
    rest = [one for one in made if ".wh." not in one.path]
    for mark in marks:
        rest.insert(draw(st.integers(0, len(rest))), mark)
    if draw(st.booleans()):
        rest.insert(0, Dir(".", mode=draw(st.sampled_from([0o755, 0o711])), mtime_ns=draw(times)))
    if draw(st.integers(0, 15)) == 0:
        rest.append(Member(".wh..wh..opq", mode=0))
    return rest


MAKE = ["write", "mkdir", "symlink", "mkfifo", "mknod"]
CHANGE = ["append", "truncate", "chmod", "chown", "utime", "setxattr", "removexattr", "unlink", "rmdir"]
BOTH = ["rename", "link", "replace", "rmtree", "remake"]
# What to do, to which of the paths there are, under which new name in which of the directories there are.
acts = st.tuples(st.sampled_from(MAKE + CHANGE + BOTH * 2), st.integers(0, 40), st.integers(0, 40), names)


Act = tuple[str, int, int, str]


def act(merged: bytes, what: str, pick: int, where: int, name: str) -> None:
    """Do one thing to the mounted stack; what cannot be done is not done, the kernel is the judge."""
    found = [(directory, kind, one) for directory, *kinds in os.walk(merged) for kind in (0, 1) for one in kinds[kind]]
    there = sorted(os.path.join(directory, one) for directory, _, one in found)
    directories = [merged, *sorted(os.path.join(directory, one) for directory, kind, one in found if kind == 0)]
    new = os.path.join(directories[where % len(directories)], encode(name))
    place = there[pick % len(there)] if there else new
    if what == "write":
        os.close(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640))
    elif what == "mkdir":
        os.mkdir(new, 0o750)
    elif what == "symlink":
        os.symlink(b"t%d" % pick, new)
    elif what == "mkfifo":
        os.mkfifo(new)
    elif what == "mknod":
        os.mknod(new, 0o020600, os.makedev(1, 3))
    elif what == "rename":
        os.rename(place, new)
    elif what == "link":
        os.link(place, new, follow_symlinks=False)
    elif what == "replace":
        os.rename(place, there[where % len(there)] if there else new)
    elif what in ("append", "truncate"):
        # Not through links: they lead to the host's root from here.
        fd = os.open(place, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_APPEND)
        try:
            os.ftruncate(fd, where) if what == "truncate" else os.write(fd, b"new%d" % where)
        finally:
            os.close(fd)
    elif what == "unlink":
        os.unlink(place)
    elif what == "rmdir":
        os.rmdir(place)
    elif what == "rmtree":
        remove(place)
    elif what == "remake":
        remove(place)
        os.mkdir(place)
    elif what == "chmod":
        os.chmod(place, 0o700 + where % 64, follow_symlinks=not os.path.islink(place))
    elif what == "chown":
        os.chown(place, where, 7, follow_symlinks=False)
    elif what == "setxattr":
        os.setxattr(place, b"trusted.note", b"%d" % where, follow_symlinks=False)
    elif what == "removexattr":
        os.removexattr(place, b"trusted.note", follow_symlinks=False)
    elif what == "utime":
        os.utime(place, ns=(where, where * 10**15 + 7), follow_symlinks=False)


def remove(place: bytes) -> None:
    """Remove a directory and what is in it (shutil.rmtree would wait at a FIFO of that name)."""
    if stat.S_ISDIR(os.lstat(place).st_mode):
        shutil.rmtree(place)


@pytest.fixture(scope="module")
def ground() -> Iterator[str]:
    """Where layers lie: in memory where that has extended attributes, so that hundreds of stacks are soon made."""
    for parent in ("/dev/shm", None):
        directory = tempfile.mkdtemp(prefix="strata-stacks-", dir=parent)
        try:
            os.setxattr(directory, "trusted.probe", b"")
            os.setxattr(directory, "user.probe", b"")
        except OSError:
            os.rmdir(directory)
            continue
        yield directory
        shutil.rmtree(directory)
        return
    pytest.fail("no directory for tests keeps trusted and user attributes")


@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    layers=st.lists(members(), min_size=1, max_size=3),
    rounds=st.lists(st.tuples(st.lists(acts, min_size=1, max_size=16), st.booleans()), max_size=3),
)
def test_the_merged_view_is_what_the_kernel_shows(
    ground: str, layers: list[list[Member]], rounds: list[tuple[list[Act], bool]]
) -> None:
    with Stack(os.path.join(ground, "stack")) as stack:
        for layer in layers:
            stack.add(layer_tar(layer))
        compare(stack)
        for todo, commit in rounds:
            with stack.writable() as merged:
                for one in todo:
                    try:
                        act(merged, *one)
                    except (OSError, NotImplementedError):
                        pass
            if commit:
                stack.commit()
            compare(stack)
            changed(stack)


def changed(stack: Stack) -> None:
    """The diff of the top layer is the difference of two kernel mounts, without it and with it."""
    view = MergedView(stack.layers)
    below = view.upto(view.top - 1)
    said = {change.path: change.kind for change in changes(view.tables[-1], below)}
    before = {row.path: row for row in below.walk()}
    after = {row.path: row for row in view.walk()}
    for path in after.keys() - before.keys():
        assert said.pop(path) == "A"
    for path in before.keys() - after.keys():
        # Said of the uppermost that is gone, unless something of another kind is there instead.
        parent = path.rpartition("/")[0]
        told = said.pop(path, None)
        assert told == "D" if parent in after and after[parent].entry.kind == "d" else told is None, path
    for path, kind in said.items():
        assert kind == "C"
        assert path in before and path in after
    for path in after.keys() & before.keys():
        if path and after[path].layer == view.top and path not in said:
            assert before[path].entry.kind == after[path].entry.kind == "d", path
        row = after[path]
        if row.layer == view.top and row.state == "+":
            raise AssertionError(f"{path} was there before")
    for path in after.keys() - before.keys():
        assert after[path].state == "+"
