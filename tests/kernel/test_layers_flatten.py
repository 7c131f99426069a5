"""A stack flattened is what the kernel shows of it: as one layer, unpacked again, and as GNU tar unpacks it."""

from __future__ import annotations

import io
import os
import shutil
import socket
import subprocess
import tarfile
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.errors import BrokenStore
from engine.layers.entry import Entry
from engine.layers.flatten import FlatLayer, flatten
from engine.layers.scan import scan
from engine.layers.view import MergedView
from tests.kernel.test_layers_property import Act, act, acts, members
from tests.peers.layered import capability
from tests.peers.trees import Tree, differences, read_tree
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
from tests.support.needs import needs, needs_root
from tests.support.stacks import Stack

needs_root()


def flat(stack: Stack, live: bool = False) -> bytes:
    """The stack's archive; live: its top layer may change."""
    out = io.BytesIO()
    top = len(stack.layers) - 1
    told: list[str] = []
    flatten(
        [FlatLayer(layer.diff, layer.entries, live and at == top) for at, layer in enumerate(stack.layers)],
        out,
        told.append,
    )
    assert told == []
    return out.getvalue()


def gnu(archive: bytes, directory: Path) -> Tree:
    """What GNU tar makes of an archive."""
    needs("tar")
    directory.mkdir()
    argv = ["tar", "-C", str(directory), "--xattrs", "--xattrs-include=*", "--numeric-owner", "-xpf", "-"]
    subprocess.run(argv, input=archive, check=True)
    return read_tree(directory)


@pytest.fixture
def stack() -> Iterator[Stack]:
    """On a disk: what lies in memory has no holes to speak of."""
    parent = tempfile.mkdtemp(prefix="strata-flat-", dir="/var/tmp")
    try:
        with Stack(os.path.join(parent, "stack")) as found:
            yield found
    finally:
        shutil.rmtree(parent)


LOWER = [
    Dir(".", 0o711, mtime_ns=3),
    Dir("etc", 0o750, uid=7),
    File("etc/old", b"old"),
    File("etc/kept", b"kept", 0o4755, uid=3_000_000_000, gid=4_000_000_000, xattrs={"user.colour": b"\0blue"}),
    Dir("gone"),
    File("gone/inside", b"x"),
    Dir("replaced"),
    File("replaced/before", b"x"),
    File("one", b"three names", xattrs={"security.capability": capability(10)}),
    HardLink("two", "one"),
    HardLink("etc/three", "one"),
    Fifo("pipe", 0o640),
    CharDevice("null", 1, 3, 0o666),
    Symlink("link", "t" * 200, uid=5),
    File("\udcff\nx", b"no text"),
    File("n" * 255, b"a long name"),
    Dir("d" * 200),
    Dir("d" * 200 + "/" + "e" * 200),
    File("d" * 200 + "/" + "e" * 200 + "/far", b"far"),
    File("empty"),
    File("large", bytes(range(256)) * 5000),
]
UPPER = [Whiteout("etc/old"), Whiteout("gone"), Opaque("replaced"), File("replaced/after", b"y"), Whiteout("one")]
UPPER += [Dir("etc", 0o755), File("etc/new", b"new")]


def test_marks_are_resolved_and_everything_else_is_as_the_kernel_shows_it(stack: Stack, tmp_path: Path) -> None:
    for layer in (LOWER, UPPER):
        stack.add(layer_tar(layer))
    with stack.writable() as merged:
        os.rename(merged + b"/etc/new", merged + b"/etc/newer")
        with open(merged + b"/sparse", "wb") as file:
            file.truncate(50 << 20)
            os.pwrite(file.fileno(), b"middle", 20 << 20)
        os.mkdir(merged + b"/etc/.wh.no-mark")
    archive = flat(stack)
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        names = [os.fsencode(name) for name in tar.getnames()]
    assert len(names) == len(set(names)) and b"etc/old" not in names and b"etc/.wh.no-mark" in names
    assert not [name for name in names if b".wh." in name and b"no-mark" not in name]
    ours = gnu(archive, tmp_path / "ours")
    with stack.mounted(len(stack.layers)) as merged:
        kernel = read_tree(os.fsdecode(merged) + "/.")
    assert differences(ours, kernel, {}) == []
    # Two names of three are left of one file, and still are one.
    assert (ours["two"].links, ours["etc/three"].links) == (("etc/three",), ("two",))
    assert os.stat(tmp_path / "ours/sparse").st_blocks * 512 < 1 << 20
    assert len(archive) < 8 << 20


def test_sockets_are_left_out(stack: Stack) -> None:
    stack.add(layer_tar([File("file", b"x")]))
    with stack.writable() as merged, socket.socket(socket.AF_UNIX) as listener:
        os.chdir(merged)
        try:
            listener.bind("socket")
        finally:
            os.chdir("/")
    with tarfile.open(fileobj=io.BytesIO(flat(stack))) as tar:
        assert tar.getnames() == [".", "file"]


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(members(), min_size=1, max_size=3), st.lists(acts, max_size=16))
def test_any_stack_flattened_and_unpacked_is_the_same_view(layers: list[list[Member]], todo: list[Act]) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="strata-flat-", dir="/var/tmp") as place,
        Stack(os.path.join(place, "stack")) as stack,
    ):
        for layer in layers:
            stack.add(layer_tar(layer))
        with stack.writable() as merged:
            for one in todo:
                try:
                    act(merged, *one)
                except (OSError, NotImplementedError):
                    pass
        view = MergedView(stack.layers)
        with Stack(os.path.join(place, "flat")) as flattened:
            flattened.add(flat(stack, live=True))
            found = flattened.layers[0].entries
        assert [facts(entry) for entry in found] == [facts(row.entry) for row in view.walk()]
        assert all(entry.kind != "w" and not entry.opaque for entry in found)


def facts(entry: Entry) -> tuple[object, ...]:
    """What both sides know of an entry."""
    return (
        entry.path, entry.kind, entry.mode, entry.uid, entry.gid, entry.size, entry.mtime_ns, entry.target, entry.rdev,
        entry.xattrs,
    )  # fmt: skip


# While it changes.


class Live:
    """One live layer with files in it, and what was said of it while it was flattened."""

    def __init__(self, directory: Path) -> None:
        self.diff = directory / "diff"
        self.diff.mkdir()
        self.told: list[str] = []

    def flatten(self) -> dict[str, bytes]:
        """Each file of the archive as another reader reads it; it must be whole to its end."""
        out = io.BytesIO()
        flatten([FlatLayer(str(self.diff), self.entries, live=True)], out, self.told.append)
        with tarfile.open(fileobj=io.BytesIO(out.getvalue())) as tar:
            found = {}
            for member in tar:
                if member.isfile():
                    data = tar.extractfile(member)
                    assert data is not None
                    found[member.name] = data.read()
        assert out.getvalue()[-1024:] == bytes(1024)
        return found

    def look(self) -> None:
        self.entries = scan(str(self.diff))


@pytest.fixture
def live(tmp_path: Path) -> Live:
    return Live(tmp_path)


def test_what_changed_since_it_was_listed(live: Live) -> None:
    for name in ("grown", "shrunk", "gone", "other", "link", "last"):
        (live.diff / name).write_bytes(b"12345678")
    (live.diff / "moved").mkdir()
    (live.diff / "moved/inside").write_bytes(b"12345678")
    live.look()
    (live.diff / "grown").write_bytes(b"123456789abcdef")
    (live.diff / "shrunk").write_bytes(b"1")
    (live.diff / "gone").unlink()
    (live.diff / "other").unlink()
    os.mkfifo(live.diff / "other")
    (live.diff / "link").unlink()
    (live.diff / "link").symlink_to("/etc/passwd")
    (live.diff / "moved").rename(live.diff / "away")
    found = live.flatten()
    assert found == {"grown": b"123456789abcdef", "shrunk": b"1", "last": b"12345678"}
    assert live.told == ["other: file changed as it was read; left out"]


def test_a_directory_that_becomes_a_link_leads_nowhere(live: Live, tmp_path: Path) -> None:
    (live.diff / "d").mkdir()
    (live.diff / "d/passwd").write_bytes(b"ours")
    live.look()
    (live.diff / "d").rename(live.diff / "e")
    (live.diff / "d").symlink_to("/etc")
    assert live.flatten() == {}


def test_a_file_that_shrinks_while_it_is_read_is_filled_up_and_one_that_grows_is_cut(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    (live.diff / "shrinks").write_bytes(b"s" * 1_000_000)
    (live.diff / "small").write_bytes(b"t" * 100)
    (live.diff / "grows").write_bytes(b"g" * 1_000_000)
    live.look()
    fstat = os.fstat

    def afterwards(fd: int) -> os.stat_result:
        """The file's facts, and then it changes: the worst moment."""
        found = fstat(fd)
        name = os.path.basename(os.readlink(f"/proc/self/fd/{fd}"))
        if name in ("shrinks", "small"):
            os.truncate(live.diff / name, 40)
        if name == "grows":
            os.truncate(live.diff / name, 2_000_000)
        return found

    monkeypatch.setattr("engine.layers.flatten.os.fstat", afterwards)
    found = live.flatten()
    assert found == {
        "grows": b"g" * 1_000_000,
        "shrinks": b"s" * 40 + bytes(999_960),
        "small": b"t" * 40 + bytes(60),
    }
    assert live.told == [
        "shrinks: file shrank by 999960 bytes; padding with zeros",
        "small: file shrank by 60 bytes; padding with zeros",
    ]


def test_files_that_change_all_the_time_never_break_the_archive(live: Live) -> None:
    for number in range(300):
        (live.diff / f"f{number}").write_bytes(b"x" * 50_000)
    stop = threading.Event()

    def busy() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            path = live.diff / f"f{number % 300}"
            os.truncate(path, number * 7919 % 200_000) if number % 3 else path.write_bytes(b"y" * (number % 1000))

    thread = threading.Thread(target=busy)
    thread.start()
    try:
        for _ in range(5):
            live.look()
            assert len(live.flatten()) == 300
    finally:
        stop.set()
        thread.join()


def test_an_attribute_that_no_archive_can_hold_is_left_out_with_a_word(live: Live) -> None:
    (live.diff / "f").write_bytes(b"x")
    os.setxattr(live.diff / "f", "user.a=b", b"1")
    os.setxattr(live.diff / "f", "user.fine", b"2")
    live.look()
    assert live.flatten() == {"f": b"x"}
    assert len(live.told) == 1 and live.told[0].startswith("f: left out an attribute")


@pytest.mark.parametrize("size", [100, 100_000])
def test_a_read_only_layer_that_is_not_what_its_index_says_is_an_error(tmp_path: Path, size: int) -> None:
    (tmp_path / "f").write_bytes(b"x" * size)
    entries = scan(str(tmp_path))
    layer = FlatLayer(str(tmp_path), entries)
    os.truncate(tmp_path / "f", size - 1)
    with pytest.raises(BrokenStore, match=r"f in .* is not what the layer's index says; load or pull"):
        flatten([layer], io.BytesIO())
    (tmp_path / "f").unlink()
    with pytest.raises(BrokenStore, match="load or pull"):
        flatten([layer], io.BytesIO())


def test_more_directories_than_descriptors(live: Live) -> None:
    for number in range(300):
        (live.diff / f"d{number}").mkdir()
        (live.diff / f"d{number}/f").write_bytes(b"%d" % number)
    live.look()
    before = len(os.listdir("/proc/self/fd"))
    assert live.flatten() == {f"d{number}/f": b"%d" % number for number in range(300)}
    assert len(os.listdir("/proc/self/fd")) == before
