"""The tar reader and writer against Python's own: every format, every kind, names and numbers of any size."""

from __future__ import annotations

import hashlib
import io
import tarfile
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import InvalidInput
from engine.layers.entry import decode
from engine.layers.headers import header_block, pax_data, pax_records, pax_time
from engine.layers.tar import Archive, members

FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}
KINDS = {"f": "0", "d": "5", "l": "2", "h": "1", "c": "3", "b": "4", "p": "6"}

TREE: list[tuple[str, dict[str, Any], bytes]] = [
    ("d", {"type": tarfile.DIRTYPE, "mode": 0o1777, "uid": 1000, "gid": 100}, b""),
    ("d/file", {"mode": 0o4755, "mtime": 1_234_567_890}, b"content"),
    ("d/block", {}, b"x" * 512),
    ("d/big", {}, bytes(range(256)) * 5000),
    ("d/empty", {}, b""),
    ("link", {"type": tarfile.LNKTYPE, "linkname": "d/file"}, b""),
    ("sym", {"type": tarfile.SYMTYPE, "linkname": "../else where"}, b""),
    ("null", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3}, b""),
    ("sda", {"type": tarfile.BLKTYPE, "devmajor": 8, "devminor": 0}, b""),
    ("pipe", {"type": tarfile.FIFOTYPE}, b""),
]
LONG: list[tuple[str, dict[str, Any], bytes]] = [
    ("deep/" * 30 + "file", {"uid": 3_000_000_000, "gid": 4_000_000_000}, b"1"),
    ("n" * 250, {"type": tarfile.SYMTYPE, "linkname": "t" * 300}, b""),
    ("käse\udcff", {"mtime": 9_000_000_000}, b"2"),
]


def archive(form: str, tree: list[tuple[str, dict[str, Any], bytes]]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=FORMATS[form], encoding="utf-8", errors="surrogateescape") as tar:
        for name, fields, data in tree:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            for field, value in fields.items():
                setattr(info, field, value)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


@pytest.mark.parametrize("form", FORMATS)
def test_members_are_read_as_they_were_written(form: str) -> None:
    tree = TREE + (LONG if form != "ustar" else [])
    data = archive(form, tree)
    reader = Archive(io.BytesIO(data))
    read = []
    for member in reader.members():
        read.append((member.name.rstrip("/"), member.kind, member.target, member.rdev, member.stream.read()))
        fields = next(fields for name, fields, _ in tree if name == member.name.rstrip("/"))
        assert member.mode == fields.get("mode", 0o644)
        assert (member.uid, member.gid) == (fields.get("uid", 0), fields.get("gid", 0))
        assert member.mtime_ns == fields.get("mtime", 0) * 1_000_000_000
    kinds = {flag: kind for kind, flag in KINDS.items()}
    assert read == [
        (
            name,
            kinds[fields.get("type", b"0").decode()],
            fields.get("linkname", ""),
            (fields.get("devmajor", 0), fields.get("devminor", 0)),
            content,
        )
        for name, fields, content in tree
    ]
    reader.drain(1 << 20)
    assert reader.diff_id == "sha256:" + hashlib.sha256(data).hexdigest()
    assert reader.length == len(data)


class Trickle(io.RawIOBase):
    """A stream that gives as few bytes at a time as a pipe may."""

    def __init__(self, data: bytes, step: int) -> None:
        self.data = data
        self.step = step

    def read(self, size: int = -1) -> bytes:
        given, self.data = self.data[: self.step], self.data[self.step :]
        return given


@pytest.mark.parametrize("step", [1, 7, 511, 513])
def test_a_pipe_may_give_any_number_of_bytes(step: int) -> None:
    data = archive("pax", [one for one in TREE + LONG if one[0] != "d/big"])
    stream: Any = Trickle(data, step)
    whole = [(member.name, member.stream.read()) for member in members(io.BytesIO(data))]
    assert [(member.name, member.stream.read()) for member in members(stream)] == whole


def test_data_that_is_not_read_is_skipped() -> None:
    data = archive("gnu", TREE)
    assert [member.name.rstrip("/") for member in members(io.BytesIO(data))] == [name for name, _, _ in TREE]
    for member in members(io.BytesIO(data)):
        member.stream.read(3)
    read = [member.stream.read() for member in members(io.BytesIO(data)) if member.name == "d/big"]
    assert read == [bytes(range(256)) * 5000]


def test_the_padding_at_the_end_belongs_to_the_digest() -> None:
    data = archive("pax", TREE) + bytes(12_345) + b"whatever"
    reader = Archive(io.BytesIO(data))
    assert len(list(reader.members())) == len(TREE)
    reader.drain(1 << 20)
    assert reader.diff_id == "sha256:" + hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("data", [b"", bytes(512), bytes(1024), bytes(10240)])
def test_an_empty_archive_is_one(data: bytes) -> None:
    assert list(members(io.BytesIO(data))) == []


def test_a_block_of_zeros_in_the_middle_is_damage() -> None:
    """Go stops with an error there, GNU tar at the end marker, others read on: so it must not pass."""
    data = archive("ustar", TREE[:1])[:512] + bytes(512) + archive("ustar", TREE[1:2])
    with pytest.raises(InvalidInput, match="zeros in the middle"):
        list(members(io.BytesIO(data)))


def test_a_v7_name_with_a_slash_is_a_directory() -> None:
    assert [one.kind for one in members(io.BytesIO(header_block(b"old/", b"\0") + header_block(b"new/", b"0")))] == [
        "d",
        "f",
    ]


def test_a_link_has_no_data_whatever_its_size_says() -> None:
    """GNU tar and Go agree; a reader that skipped data here would see other members than docker does."""
    data = header_block(b"l", b"1", size=512, link=b"x") + header_block(b"x", b"0") + bytes(1024)
    assert [(one.name, one.size) for one in members(io.BytesIO(data))] == [("l", 0), ("x", 0)]


def test_global_headers_are_skipped() -> None:
    """As docker does: `git archive` writes one with a comment; one with a path would rename every member."""
    pax = pax_data([(b"comment", b"x"), (b"path", b"evil"), (b"uid", b"7")])
    data = header_block(b"g", b"g", size=len(pax)) + pax + bytes(-len(pax) % 512) + header_block(b"a", b"0")
    assert [(one.name, one.uid) for one in members(io.BytesIO(data))] == [("a", 0)]


def test_records_of_one_member_do_not_reach_the_next() -> None:
    pax = pax_data([(b"path", b"first"), (b"SCHILY.xattr.user.a", b"\0\n=")])
    data = header_block(b"p", b"x", size=len(pax)) + pax + bytes(-len(pax) % 512)
    data += header_block(b"a", b"0") + header_block(b"b", b"0")
    assert [(one.name, one.xattrs) for one in members(io.BytesIO(data))] == [
        ("first", (("user.a", b"\0\n="),)),
        ("b", ()),
    ]


@given(st.lists(st.tuples(st.binary(min_size=1).filter(lambda key: not {0, ord("=")} & {*key}), st.binary())))
def test_pax_records_survive(records: list[tuple[bytes, bytes]]) -> None:
    assert pax_records(pax_data(records)) == records


@pytest.mark.parametrize(
    "data",
    [
        b"5 a=b\n",
        b"7 a=b\n",
        b"6 a=b",
        b"6 a=bx",
        b"06 ab\n",
        b"-6 a=b\n",
        b" a=b\n",
        b"a=b\n",
        b"999999999999999 a=b\n",
    ],
)
def test_a_malformed_pax_record_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidInput, match="pax record"):
        pax_records(data)


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        (b"0", 0),
        (b"1350244992.023960108", 1_350_244_992_023_960_108),
        (b"1.5", 1_500_000_000),
        (b"-1.5", -1_500_000_000),
        (b"1.0000000019", 1_000_000_001),
        (b"99999999999999", 15_032_385_535_999_999_999),
        (b"-99999999999999", -2_147_483_648_000_000_000),
    ],
)
def test_times_are_read_to_the_nanosecond(text: bytes, nanoseconds: int) -> None:
    assert pax_time(text) == nanoseconds


@pytest.mark.parametrize("text", [b"", b".5", b"x", b"1.x", b"1e9", b"--1", b"1.5.5", b" 1", b"9" * 30])
def test_a_time_that_is_none_is_refused(text: bytes) -> None:
    with pytest.raises(InvalidInput, match="time"):
        pax_time(text)


names = st.binary(min_size=1, max_size=100).filter(lambda name: 0 not in name)


@settings(max_examples=200)
@given(
    name=names,
    kind=st.sampled_from("flcbp"),
    mode=st.integers(0, 0o7777),
    owner=st.integers(0, 0o7777777),
    size=st.just(0),
    mtime=st.integers(0, (1 << 33) - 1),
    link=names,
)
def test_a_header_that_we_write_is_read_by_us_and_by_python(
    name: bytes, kind: str, mode: int, owner: int, size: int, mtime: int, link: bytes
) -> None:
    flag = KINDS[kind].encode()
    block = header_block(name, flag, mode=mode, uid=owner, gid=owner, size=size, mtime=mtime, link=link, rdev=(1, 3))
    (ours,) = members(io.BytesIO(block))
    theirs = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    assert (ours.raw, ours.mode, ours.uid, ours.mtime_ns) == (name, mode, owner, mtime * 1_000_000_000)
    assert theirs.name.rstrip("/") == decode(name).rstrip("/")
    assert (theirs.mode, theirs.uid, theirs.gid, theirs.mtime) == (mode, owner, owner, mtime)
    assert (ours.target, theirs.linkname) == (decode(link), decode(link))
