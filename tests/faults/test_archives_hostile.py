"""Hostile archives: nothing is written outside the layer, nothing forged inside it, and what is wrong is a clear error.

Each test fails when the defence it is about is removed (SECURITY.md, "hostile archives" and "bombs").
"""

from __future__ import annotations

import io
import os
import random
import stat
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.errors import InvalidInput
from engine.kernel import mounts
from engine.kernel.trees import remove_tree
from engine.layers.entry import Entries, Entry
from engine.layers.pack import pack
from engine.layers.scan import scan
from engine.layers.tree import Tree
from engine.layers.unpack import Limits, unpack
from tests.support.archives import (
    CharDevice,
    Dir,
    File,
    HardLink,
    Member,
    Opaque,
    Symlink,
    Whiteout,
    layer_tar,
)
from tests.support.isolated import isolated
from tests.support.needs import needs_root

needs_root()


class Place:
    """A layer's directory with something beside it that must not change."""

    def __init__(self, parent: Path) -> None:
        self.parent = parent
        self.layer = parent / "layer"
        self.layer.mkdir()
        outside = parent / "outside"
        outside.mkdir()
        (outside / "secret").write_text("secret")
        (outside / "secret").chmod(0o600)
        os.utime(outside / "secret", (1, 1))
        self.before = self.rest()

    def rest(self) -> list[Any]:
        """Everything beside the layer, as facts."""
        facts: list[Any] = [sorted(os.listdir("/")), sorted(os.listdir(self.parent))]
        for directory, _, files in os.walk(self.parent / "outside"):
            for name in ("", *files):
                found = os.stat(os.path.join(directory, name))
                facts.append((directory, name, found.st_mode, found.st_nlink, found.st_mtime_ns, found.st_size))
        return facts

    def unpack(self, *members: Member, limits: Limits | None = None) -> Entries:
        return self.unpack_bytes(layer_tar(list(members)), limits)

    def unpack_bytes(self, data: bytes, limits: Limits | None = None) -> Entries:
        descriptors = os.listdir("/proc/self/fd")
        try:
            entries = unpack(io.BytesIO(data), str(self.layer), limits=limits).entries
            assert entries == scan(str(self.layer), digests=True), "the index says something else than the disk"
            return entries
        finally:
            assert self.rest() == self.before, "something outside the layer changed"
            assert os.listdir("/proc/self/fd") == descriptors, "a descriptor was left open"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    yield Place(tmp_path)
    # Some of these trees are too deep for pytest's own removal.
    fd = os.open(tmp_path.parent, os.O_RDONLY)
    remove_tree(fd, tmp_path.name)
    os.close(fd)


def paths(entries: Entries) -> list[str]:
    return [entry.path for entry in entries]


# Names


@pytest.mark.parametrize("name", ["..", "../x", "a/../../x", "a/..", "./../x", "/../x", "a/../b"])
@pytest.mark.parametrize("make", [File, Dir, lambda name: Symlink(name, "x"), lambda name: HardLink(name, "ok")])
def test_a_name_that_climbs_is_refused(place: Place, name: str, make: Callable[[str], Member]) -> None:
    with pytest.raises(InvalidInput, match=r"'\.\.' in it"):
        place.unpack(File("ok"), make(name))


@pytest.mark.parametrize("target", ["../outside/secret", "a/../../outside/secret", ".."])
def test_a_hard_link_that_climbs_is_refused(place: Place, target: str) -> None:
    with pytest.raises(InvalidInput, match=r"link target with '\.\.'"):
        place.unpack(Dir("a"), HardLink("x", target))


def test_an_absolute_name_starts_at_the_layers_root(place: Place) -> None:
    absolute = str(place.parent / "outside" / "new")
    assert absolute.lstrip("/") in paths(place.unpack(File(absolute, b"x"), File("//etc//passwd", b"y")))
    assert (place.layer / "etc" / "passwd").read_text() == "y"


def test_an_absolute_hard_link_stays_inside(place: Place) -> None:
    with pytest.raises(InvalidInput, match="not in the archive so far"):
        place.unpack(HardLink("x", str(place.parent / "outside" / "secret")))


@pytest.mark.parametrize("name", [".", "./", "/", "", "./."])
def test_the_root_cannot_be_replaced(place: Place, name: str) -> None:
    for member in (File(name), Symlink(name, "/"), HardLink(name, "ok")):
        with pytest.raises(InvalidInput, match="replaces the root"):
            place.unpack_bytes(layer_tar([member]))


def test_a_name_too_long_is_refused(place: Place) -> None:
    with pytest.raises(InvalidInput, match="too long"):
        place.unpack(File("n" * 256))
    with pytest.raises(InvalidInput, match="too long"):
        place.unpack(File("/".join(["d" * 200] * 21)))


def test_a_nul_byte_in_a_pax_name_is_refused(place: Place) -> None:
    archive = tarfile.TarInfo.create_pax_global_header({"path": "x"}).replace(b"g", b"x", 1)
    with pytest.raises(InvalidInput):
        place.unpack_bytes(archive.replace(b"path=x\n", b"path=\0\n") + layer_tar([File("b")]))


# Symlinks on a name's way


def test_symlinks_on_the_way_are_followed_inside_the_layer_only(place: Place) -> None:
    outside = str(place.parent / "outside")
    entries = place.unpack(
        Symlink("absolute", outside),
        Symlink("climbing", "../../../../../../../.." + outside),
        Symlink("chain", "climbing"),
        File("absolute/one", b"1"),
        File("climbing/two", b"2"),
        File("chain/three", b"3"),
        Whiteout("chain/secret"),
        Dir("absolute/secret"),
        Opaque("absolute"),
    )
    inside = outside.lstrip("/")
    found = {entry.path: entry for entry in entries}
    assert {f"{inside}/{name}" for name in ("one", "two", "three")} <= found.keys()
    assert found[inside].opaque
    assert found["absolute"].kind == "l"


def test_a_hard_link_through_a_symlink_stays_inside(place: Place) -> None:
    with pytest.raises(InvalidInput, match="not in the archive so far"):
        place.unpack(Symlink("out", str(place.parent / "outside")), HardLink("x", "out/secret"))


def test_a_hard_link_to_what_it_replaces_is_refused(place: Place) -> None:
    with pytest.raises(InvalidInput, match="not in the archive so far"):
        place.unpack(Dir("a"), File("a/f"), HardLink("a", "a/f"))


def test_a_hard_link_to_a_directory_or_a_whiteout_is_refused(tmp_path: Path) -> None:
    for number, member in enumerate((Dir("a"), Whiteout("a"))):
        (tmp_path / str(number)).mkdir()
        with pytest.raises(InvalidInput, match="not in the archive so far"):
            Place(tmp_path / str(number)).unpack(member, HardLink("b", "a"))


def test_a_hard_link_to_a_symlink_links_the_symlink(place: Place) -> None:
    entries = place.unpack(Symlink("a", str(place.parent / "outside" / "secret")), HardLink("b", "a"), File("b/x"[:1]))
    assert {entry.path: entry.kind for entry in entries} == {"": "d", "a": "l", "b": "f"}


@pytest.mark.parametrize("kind", ["file", "directory", "device", "fifo"])
def test_what_replaces_a_symlink_does_not_follow_it(place: Place, kind: str) -> None:
    make = {
        "file": File("x", b"new"),
        "directory": Dir("x", mode=0o777, uid=7),
        "device": CharDevice("x", 1, 3, mode=0o666, uid=7),
        "fifo": Member("x", type=tarfile.FIFOTYPE, mode=0o666, uid=7),
    }
    secret = "outside" if kind == "directory" else "outside/secret"
    entries = place.unpack(Symlink("x", str(place.parent / secret)), make[kind])
    assert {entry.path: entry.kind for entry in entries}["x"] != "l"


def test_a_loop_of_symlinks_is_an_error(place: Place) -> None:
    with pytest.raises(InvalidInput, match="too many symlinks"):
        place.unpack(Symlink("a", "b"), Symlink("b", "a"), File("a/x"))


def test_a_chain_of_symlinks_has_an_end(tmp_path: Path) -> None:
    for count in (40, 41):
        (tmp_path / str(count)).mkdir()
        place = Place(tmp_path / str(count))
        chain = [Symlink(f"s{number}", f"s{number + 1}") for number in range(count - 1)]
        members = [*chain, Symlink(f"s{count - 1}", "end"), File("s0/x")]
        if count == 40:
            assert "end/x" in paths(place.unpack(*members))
        else:
            with pytest.raises(InvalidInput, match="too many symlinks"):
                place.unpack(*members)


def test_an_absolute_symlink_starts_at_the_layers_root_and_a_relative_one_where_it_is(place: Place) -> None:
    entries = place.unpack(
        Symlink("d/absolute", "/t"), Symlink("d/relative", "t"), File("d/absolute/x"), File("d/relative/y")
    )
    assert {"t/x", "d/t/y"} <= {*paths(entries)}


def test_a_way_that_leads_elsewhere_since_is_walked_anew(place: Place) -> None:
    entries = place.unpack(
        Dir("a"), Dir("b"), Symlink("s", "a"), File("s/1"), Symlink("s", "b"), File("s/2"), Dir("s"), File("s/3"),
        Dir("d/e"), File("d/e/4"), File("d"), Dir("d"), File("d/e/5"),
    )  # fmt: skip
    assert [path for path in paths(entries) if path[-1:].isdigit()] == ["a/1", "b/2", "d/e/5", "s/3"]


class Swapping(io.BytesIO):
    """An archive whose reading, at a certain byte, is the moment when somebody plants a symlink in the layer."""

    def __init__(self, before: bytes, after: bytes, plant: Callable[[], None]) -> None:
        super().__init__(before + after)
        self.steps: list[tuple[int, Callable[[], object]]] = [(len(before), lambda: None), (len(after), plant)]

    def read(self, size: int | None = -1) -> bytes:
        if not self.steps:
            return super().read(size)
        length, act = self.steps.pop(0)
        act()
        return super().read(length)


@pytest.mark.parametrize(
    "member", [File("x", b"new"), Dir("x"), CharDevice("x", 1, 3), Symlink("x", "y"), HardLink("x", "a")]
)
def test_a_symlink_planted_meanwhile_is_not_followed(place: Place, member: Member) -> None:
    """Nobody else can reach a staging directory; should somebody, then nothing is written through what is there."""
    secret = place.parent / "outside" / "secret"
    stream = Swapping(
        layer_tar([File("a")])[:-1024], layer_tar([member]), lambda: os.symlink(secret, place.layer / "x")
    )
    with pytest.raises(FileExistsError):
        unpack(stream, str(place.layer))
    assert place.rest() == place.before
    assert secret.read_text() == "secret"


def test_a_file_on_a_names_way_is_an_error(place: Place) -> None:
    with pytest.raises(InvalidInput, match="a on its way is no directory"):
        place.unpack(File("a"), File("a/b"))


def test_the_kernel_refuses_what_our_own_resolution_missed(place: Place) -> None:
    """Should the tree in memory ever be wrong about the disk: a symlink is there, where it believes in a directory."""
    fd = os.open(place.layer, os.O_RDONLY)
    tree = Tree(fd)
    try:
        tree.directory(b"a/b")
        tree.close()
        os.rmdir(place.layer / "a" / "b")
        os.rmdir(place.layer / "a")
        os.symlink(place.parent / "outside", place.layer / "a")
        with pytest.raises(OSError, match="openat2"):
            tree.make_directory(tree.directory(b"a"), b"planted")
    finally:
        tree.close()
        os.close(fd)
    assert place.rest() == place.before


# Whiteouts


@pytest.mark.parametrize("name", [".wh.", ".wh..", ".wh...", "a/.wh..", "a/.wh..."])
def test_a_whiteout_of_nothing_is_refused(place: Place, name: str) -> None:
    with pytest.raises(InvalidInput, match="whiteout of nothing"):
        place.unpack(Dir("a"), File(name))


@pytest.mark.parametrize("name", [".wh.x/y", "a/.wh.b/c/d"])
def test_a_path_below_a_whiteout_is_refused(place: Place, name: str) -> None:
    with pytest.raises(InvalidInput, match="means a whiteout"):
        place.unpack(File(name))


def test_a_symlink_cannot_make_a_name_that_means_a_whiteout(place: Place) -> None:
    """Else packing the layer would turn a directory into a whiteout."""
    with pytest.raises(InvalidInput, match="means a whiteout"):
        place.unpack(Symlink("s", ".wh.x"), File("s/y"))


def test_leftovers_of_aufs_are_ignored(place: Place) -> None:
    entries = place.unpack(
        Dir(".wh..wh.plnk"), File(".wh..wh.plnk/17.4", b"x"), File(".wh..wh.aufs"), Dir("a"), File("a/.wh..wh.orph/x")
    )
    assert paths(entries) == ["", "a"]


def test_attributes_of_overlayfs_are_not_taken(place: Place) -> None:
    """They would forge an opaque directory, a whiteout, a redirect to anywhere."""
    forged = {
        f"{prefix}.overlay.{name}": b"y"
        for prefix in ("trusted", "user")
        for name in ("opaque", "whiteout", "redirect", "metacopy", "origin", "overlay.opaque")
    }
    entries = place.unpack(Dir("d", xattrs=forged), File("f", xattrs={**forged, "user.kept": b"1"}))
    assert [(entry.path, entry.kind, entry.opaque, entry.xattrs) for entry in entries] == [
        ("", "d", False, ()),
        ("d", "d", False, ()),
        ("f", "f", False, (("user.kept", b"1"),)),
    ]
    assert os.listxattr(place.layer / "d") == []
    assert os.listxattr(place.layer / "f") == ["user.kept"]


def test_labels_of_another_host_are_not_taken(place: Place) -> None:
    place.unpack(File("f", xattrs={"security.selinux": b"system_u:object_r:shadow_t:s0", "security.ima": b"\x04\x04"}))
    assert os.listxattr(place.layer / "f") == []


def test_a_device_that_would_be_a_whiteout_is_refused(place: Place) -> None:
    with pytest.raises(InvalidInput, match="would be a whiteout"):
        place.unpack(CharDevice("x", 0, 0))


def test_packing_refuses_a_name_that_would_become_a_whiteout(place: Place) -> None:
    """A container can make such a file; in an archive it would delete another one."""
    (place.layer / ".wh.passwd").touch()
    with pytest.raises(InvalidInput, match="would mean a whiteout"):
        pack(str(place.layer), io.BytesIO())


# Numbers


def crafted(**fields: Any) -> bytes:
    """An archive of one file whose header says what no honest one does (GNU's base 256 takes any number)."""
    info = tarfile.TarInfo("x")
    for name, value in fields.items():
        setattr(info, name, value)
    return info.tobuf(tarfile.GNU_FORMAT) + bytes(1024)


@pytest.mark.parametrize("number", [-1, 1 << 32, (1 << 32) - 1, 1 << 50])
@pytest.mark.parametrize("field", ["uid", "gid"])
def test_an_owner_that_is_none_is_refused(place: Place, field: str, number: int) -> None:
    with pytest.raises(InvalidInput, match="no owner has the number"):
        place.unpack_bytes(crafted(**{field: number}))


@pytest.mark.parametrize("size", [-1, -512, -(1 << 62)])
def test_a_negative_size_is_refused(place: Place, size: int) -> None:
    with pytest.raises(InvalidInput, match="damaged"):
        place.unpack_bytes(crafted(size=size))


@pytest.mark.parametrize("size", [1, 1 << 40, 1 << 80])
def test_a_size_beyond_the_archive_is_refused(place: Place, size: int) -> None:
    with pytest.raises(InvalidInput, match=r"truncated|bytes"):
        place.unpack_bytes(crafted(size=size)[:512])


@pytest.mark.parametrize("mtime", [-(1 << 62), 1 << 62, -1, 1 << 80])
def test_an_absurd_time_is_cut_to_one_that_the_disk_keeps(place: Place, mtime: int) -> None:
    place.unpack_bytes(crafted(mtime=mtime))  # the index agrees with the disk, or Place.unpack_bytes fails


@pytest.mark.parametrize("device", [(-1, 0), (1 << 12, 0), (0, 1 << 20), (1 << 40, 1)])
def test_a_device_number_that_would_become_another_is_refused(place: Place, device: tuple[int, int]) -> None:
    with pytest.raises(InvalidInput, match=r"no device|damaged"):
        place.unpack_bytes(crafted(type=tarfile.CHRTYPE, devmajor=device[0], devminor=device[1]))


@pytest.mark.parametrize("text", [b"0000019\0", b"-000001\0", b"00_0001\0", b"0x00001\0", b"000 001\0", b"+000001\0"])
def test_a_number_that_other_readers_see_otherwise_is_refused(place: Place, text: bytes) -> None:
    header = bytearray(crafted())
    header[108:116] = text
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header[:512])
    with pytest.raises(InvalidInput, match="octal"):
        place.unpack_bytes(bytes(header))


# Damage


HONEST = [
    Dir("d", mode=0o700, uid=5, xattrs={"user.a": b"1"}),
    File("d/" + "long" * 40, b"x" * 700, xattrs={"user.b": b"2"}),
    HardLink("link", "d/" + "long" * 40),
    Symlink("s\udcff", "target" * 30),
    CharDevice("null", 1, 3),
    Whiteout("gone"),
    Opaque("d"),
    File("last", b"y" * 10),
]


def test_an_archive_cut_off_anywhere_is_refused(tmp_path: Path) -> None:
    whole = layer_tar(HONEST)
    ends = {len(layer_tar(HONEST[:count])) - 1024 for count in range(len(HONEST) + 1)}
    for number, cut in enumerate(range(0, len(whole) - 1024, 73)):
        if cut in ends:
            continue  # as Go's reader: an archive may end without its end marker; the digest tells
        (tmp_path / str(number)).mkdir()
        place = Place(tmp_path / str(number))
        with pytest.raises(InvalidInput, match="truncated"):
            place.unpack_bytes(whole[:cut])


def test_a_damaged_archive_is_an_error_or_harmless(tmp_path: Path) -> None:
    whole = layer_tar(HONEST)
    chance = random.Random(7)
    refused = 0
    for number in range(400):
        damaged = bytearray(whole)
        for _ in range(chance.choice([1, 1, 2, 8])):
            at = chance.randrange(len(damaged))
            damaged[at] = chance.choice([0, 0xFF, damaged[at] ^ 1 << chance.randrange(8), ord("/"), ord(".")])
        for start in range(0, len(damaged), 512):
            # Half the time the checksum is right again, so that the damage gets further.
            block = damaged[start : start + 512]
            if number % 2 and block[257:262] == b"ustar":
                block[148:156] = b" " * 8
                damaged[start + 148 : start + 156] = b"%06o\0 " % sum(block)
        (tmp_path / str(number)).mkdir()
        place = Place(tmp_path / str(number))
        try:
            place.unpack_bytes(bytes(damaged))
        except (InvalidInput, OSError):
            refused += 1
    assert 100 < refused < 400


def test_not_an_archive_at_all(place: Place) -> None:
    with pytest.raises(InvalidInput, match="no tar archive"):
        place.unpack_bytes(b"#!/bin/sh\n" * 100)
    with pytest.raises(InvalidInput, match="truncated"):
        place.unpack_bytes(b"short")


def test_a_type_that_is_unknown_is_refused(place: Place) -> None:
    for flag in b"DMNVZ":
        with pytest.raises(InvalidInput, match="unknown here"):
            place.unpack(Member("x", type=bytes([flag])))


# Bombs


class Endless(io.RawIOBase):
    """A stream that never ends: a beginning, then the same block for ever."""

    def __init__(self, beginning: bytes, block: bytes) -> None:
        self.parts = self._parts(beginning, block)
        self.given = 0

    def _parts(self, beginning: bytes, block: bytes) -> Iterator[bytes]:
        yield beginning
        while True:
            yield block

    def read(self, size: int = -1) -> bytes:
        data = next(self.parts)
        self.given += len(data)
        assert self.given < 64 << 20, "read on and on"
        return data


def test_an_endless_tail_is_cut(place: Place) -> None:
    stream: Any = Endless(layer_tar([File("a")]), bytes(1 << 20))
    with pytest.raises(InvalidInput, match="after its end"):
        unpack(stream, str(place.layer), limits=Limits(trailer=5 << 20))


def test_endless_entries_are_cut(place: Place) -> None:
    block = b"".join(crafted(name=f"f{number}")[:512] for number in range(100))
    stream: Any = Endless(block, block)
    with pytest.raises(InvalidInput, match="more than 150 entries"):
        unpack(stream, str(place.layer), limits=Limits(entries=150))


def test_directories_that_a_name_implies_count(place: Place) -> None:
    with pytest.raises(InvalidInput, match="more than 50 entries"):
        place.unpack(File("/".join("d" * 60)), limits=Limits(entries=50))


def test_short_names_for_long_paths_are_cut(place: Place) -> None:
    deep = "/".join(["deep" * 50] * 10)
    members = [Dir(deep), Symlink("s", deep), *(File(f"s/{number}") for number in range(20))]
    with pytest.raises(InvalidInput, match="paths in the archive"):
        place.unpack(*members, limits=Limits(paths=30_000))


@pytest.mark.parametrize("flag", [b"x", b"g", b"L", b"K"])
def test_a_huge_header_is_refused_unread(place: Place, flag: bytes) -> None:
    with pytest.raises(InvalidInput, match="header of"):
        place.unpack_bytes(crafted(type=flag, size=1 << 40))


def test_files_past_the_limit_are_refused(place: Place) -> None:
    with pytest.raises(InvalidInput, match="more than 1000 bytes"):
        place.unpack(File("a", bytes(600)), File("b", bytes(600)), limits=Limits(size=1000))


def test_attributes_past_the_limit_are_refused(place: Place) -> None:
    with pytest.raises(InvalidInput, match="bytes of attributes"):
        place.unpack(
            File("a", xattrs={"user.a": bytes(600)}),
            File("b", xattrs={"user.a": bytes(600)}),
            limits=Limits(xattrs=1000),
        )


def sparse(size: int, numbers: list[int], data: bytes, version: str = "0.1") -> bytes:
    """An archive of one sparse file in GNU's pax format 0.1 or 1.0."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("x")
        if version == "0.1":
            info.pax_headers = {"GNU.sparse.size": str(size), "GNU.sparse.map": ",".join(map(str, numbers))}
        else:
            lines = "".join(f"{number}\n" for number in [len(numbers) // 2, *numbers]).encode()
            data = lines + bytes(-len(lines) % 512) + data
            info.pax_headers = {
                "GNU.sparse.major": "1",
                "GNU.sparse.minor": "0",
                "GNU.sparse.name": "x",
                "GNU.sparse.realsize": str(size),
            }
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


@pytest.mark.parametrize("version", ["0.1", "1.0"])
@pytest.mark.parametrize(
    ("size", "numbers"),
    [
        (100, [0, 11]),  # more than is stored
        (100, [0, 5]),  # less
        (5, [0, 10]),  # past the end
        (100, [50, 5, 0, 5]),  # backwards
        (100, [0, 6, 5, 4]),  # overlapping
        (100, [0, 5, 5]),  # odd
    ],
)
def test_a_sparse_map_that_lies_is_refused(place: Place, version: str, size: int, numbers: list[int]) -> None:
    if version == "1.0" and len(numbers) % 2:
        numbers = [*numbers, 1 << 70]
    with pytest.raises(InvalidInput, match=r"sparse|damaged|truncated"):
        place.unpack_bytes(sparse(size, numbers, b"0123456789", version))


def test_a_file_that_is_almost_nothing_but_holes_costs_nothing(place: Place) -> None:
    entries = unpack(io.BytesIO(sparse(1 << 42, [0, 10], b"0123456789")), str(place.layer)).entries
    assert (entries[1].size, entries[1].digest) == (1 << 42, "")
    assert os.stat(place.layer / "x").st_blocks <= 16


def test_holes_past_the_limit_are_refused(place: Place) -> None:
    with pytest.raises(InvalidInput, match="bytes"):
        place.unpack_bytes(sparse(1 << 60, [0, 10], b"0123456789"))


def test_a_container_that_digs_too_deep_does_not_harm_the_scan(place: Place) -> None:
    """Paths longer than PATH_MAX: a clear error, not endless memory or recursion."""
    here = os.open(place.layer, os.O_RDONLY)
    for _ in range(30):
        os.mkdir("d" * 200, dir_fd=here)
        deeper = os.open("d" * 200, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = deeper
    os.close(here)
    with pytest.raises(InvalidInput, match="longer than 4095"):
        scan(str(place.layer))


def test_a_very_deep_tree_is_fine(place: Place) -> None:
    deep = "/".join("d" * 1500)
    entries = place.unpack(File(deep, b"x"))
    assert len(entries) == 1501
    out = io.BytesIO()
    assert len(pack(str(place.layer), out).entries) == 1501


# What else an unpacker must not do


def test_it_unpacks_into_an_empty_directory_only(place: Place) -> None:
    (place.layer / "there").touch()
    with pytest.raises(ValueError, match="not empty"):
        unpack(io.BytesIO(layer_tar([File("there", b"over")])), str(place.layer))
    assert (place.layer / "there").read_bytes() == b""


def test_a_full_disk_says_what_did_not_fit(tmp_path: Path) -> None:
    def unpack_into_little() -> str:
        mounts.mount("tmpfs", str(tmp_path), "tmpfs", 0, "size=256k")
        try:
            unpack(io.BytesIO(layer_tar([File("fits", bytes(1000)), File("too/large", bytes(1 << 20))])), str(tmp_path))
        except OSError as error:
            return str(error)
        return "it fitted"

    assert isolated(unpack_into_little) == "[Errno 28] unpack too/large: No space left on device"


def test_a_layer_that_is_a_symlink_is_not_followed(place: Place) -> None:
    os.symlink(place.parent / "outside", place.parent / "link")
    with pytest.raises(OSError, match=r"symbolic links|Not a directory"):
        unpack(io.BytesIO(layer_tar([File("x")])), str(place.parent / "link"))
    with pytest.raises(OSError, match=r"symbolic links|Not a directory"):
        scan(str(place.parent / "link"))


def test_a_special_file_is_never_opened(place: Place) -> None:
    """Opening a FIFO waits for ever, opening a device acts on it: digests and archives are of regular files."""
    os.mkfifo(place.layer / "fifo")
    os.mknod(place.layer / "watchdog", stat.S_IFCHR | 0o600, os.makedev(10, 130))
    assert [entry.kind for entry in scan(str(place.layer), digests=True)] == ["d", "p", "c"]
    # Listed as a file a moment ago, something else since.
    entries = [Entry("fifo", "f", 0o644)]
    with pytest.raises(Exception, match="changed while it was packed"):
        pack(str(place.layer), io.BytesIO(), entries)
