"""Archives become layers and layers archives, with everything a file can have, on a real disk; GNU tar is the peer."""

from __future__ import annotations

import hashlib
import io
import os
import socket
import stat
import struct
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from engine.errors import Conflict, InvalidInput
from engine.layers import whiteouts
from engine.layers.entry import Entries, Entry
from engine.layers.pack import Packed, pack
from engine.layers.scan import content_digest, scan
from engine.layers.tree import OPEN_DIRECTORIES
from engine.layers.unpack import Unpacked, unpack
from tests.support.archives import (
    EPOCH,
    BlockDevice,
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

needs_root()

# cap_net_raw+ep, revision 2 (include/uapi/linux/capability.h: vfs_cap_data)
CAPABILITY = struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0)
# user::rwx user:1000:r-- group::r-x mask::r-x other::--- (include/uapi/linux/posix_acl_xattr.h)
ACL = struct.pack("<I", 2) + b"".join(
    struct.pack("<HHI", *item)
    for item in [(1, 7, 0xFFFFFFFF), (2, 4, 1000), (4, 5, 0xFFFFFFFF), (16, 5, 0xFFFFFFFF), (32, 0, 0xFFFFFFFF)]
)

EVERYTHING = [
    Dir("d", mode=0o1777, uid=1, gid=2, xattrs={"user.d": b"dir", "system.posix_acl_default": ACL}),
    File("d/file", b"content", mode=0o640, uid=1000, gid=1001, mtime_ns=1_000_000_001),
    File("d/ping", b"#!", mode=0o4755, uid=7, xattrs={"security.capability": CAPABILITY}),
    File("d/acl", b"", mode=0o750, xattrs={"system.posix_acl_access": ACL, "trusted.note": b"\0\xff"}),
    File("d/big", bytes(range(256)) * 9000),
    HardLink("d/again", "d/file"),
    HardLink("before", "d/file"),
    Symlink("sym", "../anything\udcfe", uid=5, gid=6, mtime_ns=2_000_000_002),
    HardLink("symlink-link", "sym"),
    Fifo("pipe", mode=0o622, uid=3),
    CharDevice("null", 1, 3, mode=0o666),
    BlockDevice("sda", 8, 259, mode=0o660, gid=6),
    File("bytes\udcff\udc80 \n\x1b[31m", b"odd name"),
    File("l" * 255, b"long name"),
    Dir("/".join(["deep" * 50] * 5)),
    File("/".join(["deep" * 50] * 5) + "/x", b"deep", uid=4_000_000_000, gid=4_294_967_294),
    Whiteout("d/gone"),
    Dir("replaced", mode=0o500),
    Opaque("replaced"),
]


@pytest.fixture
def layer(tmp_path: Path) -> str:
    (tmp_path / "layer").mkdir()
    return str(tmp_path / "layer")


def unpacked(layer: str, *members: Member) -> Unpacked:
    data = layer_tar(list(members))
    done = unpack(io.BytesIO(data), layer)
    assert done.diff_id == "sha256:" + hashlib.sha256(data).hexdigest()
    assert done.entries == scan(layer, digests=True), "the index says something else than the disk"
    return done


def packed(layer: str | bytes | int, **options: Any) -> tuple[bytes, Packed]:
    out = io.BytesIO()
    done = pack(layer, out, **options)
    assert done.diff_id == "sha256:" + hashlib.sha256(out.getvalue()).hexdigest()
    return out.getvalue(), done


def by_path(entries: Entries) -> dict[str, Entry]:
    return {entry.path: entry for entry in entries}


def test_everything_a_file_can_have_arrives(layer: str) -> None:
    done = unpacked(layer, *EVERYTHING)
    found = by_path(done.entries)
    for member in EVERYTHING:
        path = member.path
        if ".wh." in path or member.type == tarfile.LNKTYPE:
            continue
        entry, disk = found[path], os.lstat(os.path.join(layer, path))
        assert (disk.st_uid, disk.st_gid) == (member.uid, member.gid) == (entry.uid, entry.gid)
        assert disk.st_mtime_ns == member.mtime_ns == entry.mtime_ns
        if member.type != tarfile.SYMTYPE:
            assert stat.S_IMODE(disk.st_mode) == member.mode == entry.mode
        assert dict(entry.xattrs) == dict(member.xattrs)
        for name, value in member.xattrs.items():
            assert os.getxattr(os.path.join(layer, path), name) == value
        if member.type == tarfile.REGTYPE:
            assert Path(layer, path).read_bytes() == member.data
            assert entry.digest == hashlib.sha256(member.data).hexdigest() == content_digest(layer, path)
    assert (os.major(os.lstat(layer + "/sda").st_rdev), os.minor(os.lstat(layer + "/sda").st_rdev)) == (8, 259)
    assert os.readlink(layer + "/sym") == "../anything\udcfe"
    assert found["d/gone"].kind == "w"
    gone = os.lstat(layer + "/d/gone")
    assert stat.S_ISCHR(gone.st_mode) and gone.st_rdev == 0
    assert found["replaced"].opaque
    assert os.getxattr(layer + "/replaced", "trusted.overlay.opaque") == b"y"
    assert done.entry_count == len(done.entries)
    assert done.size == sum(len(member.data) for member in EVERYTHING)


def test_hard_links_are_one_file_and_name_the_first(layer: str) -> None:
    found = by_path(unpacked(layer, *EVERYTHING).entries)
    assert os.stat(layer + "/before").st_ino == os.stat(layer + "/d/file").st_ino
    assert os.stat(layer + "/before").st_nlink == 3
    assert [found[path].link for path in ("before", "d/again", "d/file")] == ["", "before", "before"]
    assert found["symlink-link"].link == "sym"


def test_a_layer_packs_to_the_same_bytes_every_time_and_survives(layer: str, tmp_path: Path) -> None:
    first = unpacked(layer, *EVERYTHING)
    data, done = packed(layer)
    assert packed(layer)[0] == data
    (tmp_path / "again").mkdir()
    again = unpack(io.BytesIO(data), str(tmp_path / "again"))
    assert again.entries == first.entries == done.entries
    assert (again.diff_id, again.size) == (done.diff_id, done.size)
    assert packed(str(tmp_path / "again"))[0] == data
    # Given the entries, in any order, nothing is scanned and nothing changes.
    assert packed(layer, entries=list(reversed(first.entries)))[0] == data
    fd = os.open(layer, os.O_RDONLY)
    assert packed(fd)[0] == data
    os.close(fd)


@pytest.mark.parametrize("time", [0, -1, -1_500_000_000, 1 << 33, (1 << 33) * 1_000_000_000, 8_589_934_591_999_999_999])
def test_a_time_before_1970_or_after_2242_survives(layer: str, tmp_path: Path, time: int) -> None:
    Path(layer, "f").touch()
    os.utime(layer + "/f", ns=(time, time))
    (tmp_path / "again").mkdir()
    again = by_path(unpack(io.BytesIO(packed(layer)[0]), str(tmp_path / "again")).entries)
    assert again["f"].mtime_ns == time == os.stat(tmp_path / "again" / "f").st_mtime_ns


def test_the_order_of_entries_may_be_the_callers(layer: str, tmp_path: Path) -> None:
    """Then too a hard link comes after the file it is to."""
    first = unpacked(layer, *EVERYTHING)
    data, done = packed(layer, entries=list(reversed(first.entries)), sort=False)
    assert done.entries[0].path != ""
    (tmp_path / "again").mkdir()
    assert unpack(io.BytesIO(data), str(tmp_path / "again")).entries == first.entries


def test_later_members_replace_earlier_ones(layer: str) -> None:
    found = by_path(
        unpacked(
            layer,
            File("a", b"first"),
            HardLink("kept", "a"),
            File("a", b"second"),
            Dir("d", mode=0o700),
            File("d/x", b"x"),
            Dir("d", mode=0o711, uid=9),
            Dir("gone"),
            File("gone/y"),
            File("gone", b"now a file"),
            Symlink("s", "d"),
            Dir("s"),
            File("s/z"),
            HardLink("kept2", "a"),
            HardLink("d/x", "a"),
            HardLink("a", "a"),
        ).entries
    )
    assert (Path(layer, "a").read_bytes(), Path(layer, "kept").read_bytes()) == (b"second", b"first")
    assert (found["d"].mode, found["d"].uid) == (0o711, 9)
    assert (found["gone"].kind, found["s"].kind) == ("f", "d")
    assert "gone/y" not in found
    assert [found[path].link for path in ("a", "d/x", "kept2", "kept")] == ["", "a", "a", ""]


def test_more_directories_than_are_kept_open(layer: str) -> None:
    """Hard links need two of them at once, in any order."""
    count = 70
    members = [one for number in range(count) for one in (Dir(f"d{number}"), File(f"d{number}/f", b"%d" % number))]
    members += [HardLink(f"d{number * 37 % count}/l{number}", f"d{number}/f") for number in range(count)]
    members += [HardLink(f"d{number * 11 % count}/k{number}", f"d{number * 53 % count}/f") for number in range(count)]
    unpacked(layer, *members)
    for number in range(count):
        assert Path(layer, f"d{number * 37 % count}/l{number}").read_bytes() == b"%d" % number
        assert Path(layer, f"d{number * 11 % count}/k{number}").read_bytes() == b"%d" % (number * 53 % count)


def test_opening_one_directory_may_close_the_other(layer: str) -> None:
    """The source of the link is the one that has been open for longest, the place of the link is not open yet."""
    members = [one for number in range(OPEN_DIRECTORIES) for one in (Dir(f"d{number}"), File(f"d{number}/f", b"x"))]
    unpacked(layer, Dir("new"), *members, HardLink("new/l", "d0/f"))
    assert os.stat(layer + "/new/l").st_ino == os.stat(layer + "/d0/f").st_ino


def test_a_directory_may_come_after_its_children_or_never(layer: str) -> None:
    found = by_path(
        unpacked(
            layer,
            File("late/x", mtime_ns=EPOCH + 1),
            File("never/a/y", mtime_ns=EPOCH + 2, uid=5),
            Dir("late", mode=0o711, mtime_ns=EPOCH + 3),
        ).entries
    )
    assert (found["late"].mode, found["late"].mtime_ns) == (0o711, EPOCH + 3)
    for path in ("never", "never/a"):
        assert (found[path].mode, found[path].uid, found[path].mtime_ns) == (0o755, 0, EPOCH + 2)


def test_whiteouts_speak_of_the_layers_below_only(layer: str) -> None:
    """Before or after the layer's own entry of that name, which stays (OCI image-spec, layer.md)."""
    found = by_path(
        unpacked(
            layer,
            Whiteout("file1"),
            File("file1", b"1"),
            File("file2", b"2"),
            Whiteout("file2"),
            Whiteout("dir1"),
            Dir("dir1"),
            File("dir1/x"),
            Dir("dir2"),
            File("dir2/x"),
            Whiteout("dir2"),
            Dir("late"),
            File("late/own"),
            Opaque("late"),
            File("late/more"),
            File("turn", b"a file"),
            Whiteout("turn"),
            Dir("turn"),
            Whiteout("implied"),
            File("implied/x"),
        ).entries
    )
    assert {path: (entry.kind, entry.opaque) for path, entry in found.items() if path} == {
        "file1": ("f", False),
        "file2": ("f", False),
        "dir1": ("d", True),
        "dir1/x": ("f", False),
        "dir2": ("d", True),
        "dir2/x": ("f", False),
        "late": ("d", True),
        "late/own": ("f", False),
        "late/more": ("f", False),
        "turn": ("d", True),
        "implied": ("d", True),
        "implied/x": ("f", False),
    }


def test_whiteouts_that_hide_nothing_are_left_out_of_opaque_directories(layer: str) -> None:
    """overlayfs would list them as names under which nothing can be found."""
    found = by_path(
        unpacked(layer, Dir("d"), Whiteout("d/x"), Opaque("d"), Dir("d/e"), Whiteout("d/e/y"), Whiteout("z")).entries
    )
    assert sorted(found) == ["", "d", "d/e", "z"]


def test_a_whiteout_in_a_directory_that_never_comes_makes_it(layer: str) -> None:
    found = by_path(unpacked(layer, Whiteout("a/b/x"), Opaque("c/d")).entries)
    assert [(path, entry.kind, entry.opaque) for path, entry in found.items()] == [
        ("", "d", False),
        ("a", "d", False),
        ("a/b", "d", False),
        ("a/b/x", "w", False),
        ("c", "d", False),
        ("c/d", "d", True),
    ]


def test_the_root_keeps_what_it_had_unless_the_archive_says_otherwise(layer: str) -> None:
    os.chmod(layer, 0o711)
    os.chown(layer, 12, 34)
    os.utime(layer, ns=(5, 5))
    root = unpacked(layer, File("x")).entries[0]
    assert (root.path, root.mode, root.uid, root.gid, root.mtime_ns) == ("", 0o711, 12, 34, 5)


def test_the_roots_own_entry(layer: str) -> None:
    root = unpacked(layer, File("x"), Dir(".", mode=0o700, uid=8, mtime_ns=77, xattrs={"user.r": b"1"})).entries[0]
    assert (root.mode, root.uid, root.mtime_ns, root.xattrs) == (0o700, 8, 77, (("user.r", b"1"),))


def test_a_setgid_root_does_not_leak_into_the_layer(layer: str) -> None:
    os.chown(layer, 0, 55)
    os.chmod(layer, 0o2755)
    found = by_path(unpacked(layer, Dir("d"), File("d/f"), File("g", gid=55), Symlink("s", "x"), Fifo("p")).entries)
    assert [found[path].gid for path in ("d", "d/f", "g", "s", "p")] == [0, 0, 55, 0, 0]
    assert found["d"].mode == 0o755


def test_an_unchanged_root_is_left_out_so_that_no_change_is_the_empty_archive(layer: str) -> None:
    root = scan(layer)[0]
    data, done = packed(layer, root=root)
    assert data == bytes(1024)
    assert done.diff_id == "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"
    os.chmod(layer, 0o700)
    assert len(packed(layer, root=root)[1].entries) == 1
    assert len(packed(layer)[1].entries) == 1


def test_sockets_stay_out_of_archives(layer: str) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(layer + "/socket")
        assert [entry.kind for entry in scan(layer)] == ["d", "s"]
        assert [entry.path for entry in packed(layer)[1].entries] == [""]


def test_what_vanished_since_the_scan_is_left_out(layer: str, tmp_path: Path) -> None:
    unpacked(layer, File("a", b"1"), HardLink("b", "a"), HardLink("c", "a"), File("d"))
    entries = scan(layer)
    os.unlink(layer + "/a")
    os.unlink(layer + "/d")
    data, done = packed(layer, entries=entries)
    assert [(entry.path, entry.link) for entry in done.entries] == [("", ""), ("b", ""), ("c", "b")]
    (tmp_path / "again").mkdir()
    again = by_path(unpack(io.BytesIO(data), str(tmp_path / "again")).entries)
    assert (again["c"].link, again["b"].size) == ("b", 1)


def test_a_file_that_shrinks_under_our_hands_is_a_conflict(layer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Path(layer, "log").write_bytes(bytes(3 << 20))
    read = os.pread

    def shrinking(fd: int, size: int, offset: int) -> bytes:
        os.truncate(layer + "/log", 1 << 20)
        return read(fd, size, offset)

    monkeypatch.setattr(os, "pread", shrinking)
    with pytest.raises(Conflict, match="shrank"):
        packed(layer)


def test_an_attribute_that_pax_cannot_name_is_refused(layer: str) -> None:
    Path(layer, "f").touch()
    os.setxattr(layer + "/f", "user.a=b", b"c")
    with pytest.raises(InvalidInput, match="'='"):
        packed(layer)


def test_whiteouts_that_share_an_inode_are_no_hard_links(layer: str) -> None:
    """overlayfs makes its whiteouts links of one (6.18: ofs->whiteout)."""
    os.mknod(layer + "/a", stat.S_IFCHR, 0)
    os.link(layer + "/a", layer + "/b")
    assert [(entry.path, entry.kind, entry.link) for entry in scan(layer)[1:]] == [("a", "w", ""), ("b", "w", "")]
    with tarfile.open(fileobj=io.BytesIO(packed(layer)[0])) as tar:
        assert [(member.name, member.isreg()) for member in tar][1:] == [(".wh.a", True), (".wh.b", True)]


@pytest.mark.parametrize("marks", ["trusted", "user"])
def test_whiteouts_and_opaque_directories_in_their_other_forms(layer: str, marks: str) -> None:
    os.mkdir(layer + "/x")
    os.setxattr(layer + "/x", f"{marks}.overlay.opaque", b"x")  # "look for attributes here", not opaque
    Path(layer, "x", "gone").touch()
    os.setxattr(layer + "/x/gone", f"{marks}.overlay.whiteout", b"")
    os.mkdir(layer + "/y")
    os.setxattr(layer + "/y", f"{marks}.overlay.opaque", b"y")
    os.setxattr(layer + "/y", f"{marks}.overlay.impure", b"y")
    found = scan(layer, userxattr=marks == "user")[1:]
    assert [(entry.path, entry.kind, entry.opaque, entry.xattrs) for entry in found] == [
        ("x", "d", False, ()),
        ("x/gone", "w", False, ()),
        ("y", "d", True, ()),
    ]
    # Anybody may set user.*: it means nothing to a mount without `userxattr`, and so to us.
    if marks == "user":
        assert [(entry.kind, entry.opaque) for entry in scan(layer)[1:]] == [("d", False), ("f", False), ("d", False)]


def test_a_mount_is_made_of_the_layers_down_to_an_opaque_root(tmp_path: Path) -> None:
    paths = []
    for number in range(3):
        (tmp_path / str(number)).mkdir()
        paths.append(str(tmp_path / str(number)))
    assert whiteouts.mounted(paths) == paths
    unpack(io.BytesIO(layer_tar([Member(".wh..wh..opq"), File("a")])), paths[1])
    assert whiteouts.mounted(paths) == paths[:2]


# Holes


@pytest.fixture
def holes(layer: str) -> str:
    """A layer with sparse files."""
    with open(layer + "/middle", "wb") as file:
        file.write(b"a" * 5000)
        file.seek(1 << 20)
        file.write(b"b" * 5000)
    with open(layer + "/end", "wb") as file:
        file.write(b"c")
        file.truncate(3 << 20)
    with open(layer + "/nothing", "wb") as file:
        file.truncate(1 << 20)
    Path(layer, "whole").write_bytes(b"d" * 9000)
    return layer


def test_holes_survive(holes: str, tmp_path: Path) -> None:
    before = scan(holes, digests=True)
    data, done = packed(holes)
    assert len(data) < 100_000
    assert done.entries == before
    (tmp_path / "again").mkdir()
    again = str(tmp_path / "again")
    assert unpack(io.BytesIO(data), again).entries == before
    for name in ("middle", "end", "nothing"):
        assert os.stat(f"{again}/{name}").st_blocks <= os.stat(f"{holes}/{name}").st_blocks
    assert packed(again)[0] == data


def gnu_tar(*arguments: str, input: bytes | None = None) -> bytes:
    needs("tar")
    done = subprocess.run(["tar", *arguments], input=input, capture_output=True, check=True)
    return done.stdout


@pytest.mark.parametrize(
    "form", ["--format=gnu", "--format=pax --sparse-version=0.0", "--format=pax --sparse-version=0.1"]
)
def test_sparse_files_of_gnu_tar(holes: str, tmp_path: Path, form: str) -> None:
    with open(holes + "/many", "wb") as file:  # more pieces than one header holds
        for number in range(60):
            file.seek(number * 16384)
            file.write(b"%d" % number)
    data = gnu_tar("-C", holes, "--sparse", *form.split(), "-cf", "-", ".")
    (tmp_path / "again").mkdir()
    again = unpack(io.BytesIO(data), str(tmp_path / "again")).entries
    assert {(e.path, e.size, e.digest) for e in again} == {
        (e.path, e.size, e.digest) for e in scan(holes, digests=True)
    }
    assert os.stat(tmp_path / "again" / "many").st_blocks <= os.stat(holes + "/many").st_blocks


def test_sparse_files_of_gnu_tar_1_0(holes: str, tmp_path: Path) -> None:
    data = gnu_tar(
        "-C", holes, "--sparse", "--format=pax", "--sparse-version=1.0", "-cf", "-", "middle", "end", "nothing"
    )
    (tmp_path / "again").mkdir()
    again = by_path(unpack(io.BytesIO(data), str(tmp_path / "again")).entries)
    before = by_path(scan(holes, digests=True))
    for name in ("middle", "end", "nothing"):
        assert (again[name].size, again[name].digest) == (before[name].size, before[name].digest)


# GNU tar reads what we write, and we read what it writes


@pytest.mark.parametrize("form", ["gnu", "pax", "posix"])
def test_what_gnu_tar_packs_we_unpack(layer: str, tmp_path: Path, form: str) -> None:
    unpacked(layer, *EVERYTHING[:-3])
    data = gnu_tar("-C", layer, f"--format={form}", "--xattrs", "--xattrs-include=*", "--sort=name", "-cf", "-", ".")
    (tmp_path / "again").mkdir()
    again = unpack(io.BytesIO(data), str(tmp_path / "again")).entries
    before = scan(layer, digests=True)
    if form == "gnu":  # whole seconds, no attributes
        assert [(e.path, e.kind, e.mode, e.uid, e.digest, e.link, e.target) for e in again] == [
            (e.path, e.kind, e.mode, e.uid, e.digest, e.link, e.target) for e in before
        ]
    else:
        assert again == before


def test_what_we_pack_gnu_tar_unpacks(layer: str, tmp_path: Path) -> None:
    unpacked(layer, *EVERYTHING[:-3])
    with open(layer + "/sparse", "wb") as file:
        file.write(b"a" * 5000)
        file.truncate(1 << 20)
    (tmp_path / "again").mkdir()
    again = str(tmp_path / "again")
    gnu_tar("-C", again, "--xattrs", "--xattrs-include=*", "-xpf", "-", input=packed(layer)[0])
    assert scan(again, digests=True) == scan(layer, digests=True)
    assert os.stat(again + "/sparse").st_blocks < 100


def test_names_that_are_not_ascii_are_pax_records(layer: str) -> None:
    """POSIX: names in a header are ASCII, in a record UTF-8, unless `hdrcharset`, which comes first, says not."""
    Path(layer, "käse").touch()
    assert "path=käse\n".encode() in packed(layer)[0]
    assert b"hdrcharset" not in packed(layer)[0]
    Path(layer, "\udcff").touch()
    data = packed(layer)[0]
    assert 0 < data.index(b"hdrcharset=BINARY") < data.index(b"path=\xff\n")


def test_what_we_pack_python_reads(layer: str) -> None:
    unpacked(layer, *EVERYTHING)
    data, done = packed(layer)
    with tarfile.open(fileobj=io.BytesIO(data), encoding="utf-8", errors="surrogateescape") as tar:
        theirs = {member.name: member for member in tar.getmembers()}
    assert len(theirs) == len(done.entries) + 1  # the opaque directory's marker
    for entry in done.entries:
        if entry.kind != "w":
            member = theirs[entry.path or "."]
            assert (member.uid, member.gid) == (entry.uid, entry.gid)
            assert abs(member.mtime - entry.mtime_ns / 1e9) < 1e-6
    assert theirs["replaced/.wh..wh..opq"].size == 0
    assert theirs["d/.wh.gone"].size == 0
