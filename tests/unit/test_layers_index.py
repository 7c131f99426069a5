"""A layer's index: what is written is read again, once and whole; whiteouts' names."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import BrokenStore, InvalidInput
from engine.layers import index, whiteouts
from engine.layers.entry import Entries, Entry, decode, encode, tree_order

texts = st.binary(max_size=12).filter(lambda text: not {0, ord("/")} & {*text}).map(decode)
entries = st.builds(
    Entry,
    path=st.lists(texts.filter(bool), max_size=3).map("/".join),
    kind=st.sampled_from("fdlcbpsw"),
    mode=st.integers(0, 0o7777),
    uid=st.integers(0, (1 << 32) - 2),
    gid=st.integers(0, (1 << 32) - 2),
    size=st.integers(0, 1 << 62),
    mtime_ns=st.integers(-(1 << 61), 1 << 63),
    target=texts,
    rdev=st.tuples(st.integers(0, 4095), st.integers(0, 1 << 20)),
    xattrs=st.lists(st.tuples(texts, st.binary(max_size=9)), max_size=2).map(tuple),
    digest=st.sampled_from(["", "ab" * 32]),
    link=texts,
    opaque=st.booleans(),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(entries, unique_by=lambda entry: entry.path))
def test_an_index_keeps_every_entry(tmp_path_factory: pytest.TempPathFactory, found: list[Entry]) -> None:
    path = str(tmp_path_factory.mktemp("index") / "index")
    index.write_index(path, found)
    read = index.read_index(path)
    assert read == tree_order(found)
    assert isinstance(read, Entries)


def test_parents_come_before_what_is_in_them(tmp_path: Path) -> None:
    paths = ["a.b", "a/z", "", "a", "a/b/c", "a-b", "a/b"]
    index.write_index(str(tmp_path / "index"), [Entry(path, "d", 0) for path in paths])
    read = [entry.path for entry in index.read_index(str(tmp_path / "index"))]
    assert read == ["", "a", "a/b", "a/b/c", "a/z", "a-b", "a.b"]


def test_an_index_is_written_once(tmp_path: Path) -> None:
    path = str(tmp_path / "index")
    index.write_index(path, [Entry("a", "f", 0)])
    with pytest.raises(FileExistsError):
        index.write_index(path, [Entry("b", "f", 0)])
    assert [entry.path for entry in index.read_index(path)] == ["a"]
    assert os.listdir(tmp_path) == ["index"], "a staged file was left behind"


def test_an_index_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    wrong = [Entry("a", "f", 0), Entry("b", object(), 0)]  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        index.write_index(str(tmp_path / "index"), wrong)
    assert os.listdir(tmp_path) == []


def test_a_learner_can_read_an_index(tmp_path: Path) -> None:
    path = tmp_path / "index"
    index.write_index(str(path), [Entry("etc", "d", 0o755), Entry("etc/n\udcff", "f", 0o644, size=3, digest="ab")])
    heading, *lines = path.read_text(encoding="ascii").splitlines()
    assert json.loads(heading)["columns"][:4] == ["path", "kind", "mode", "uid"]
    assert json.loads(lines[0]) == ["etc", "d", 0o755]
    assert json.loads(lines[1])[:6] == ["etc/n\udcff", "f", 0o644, 0, 0, 3]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}\n",
        "nonsense",
        '{"strata-layer-index": 2}\n["a","f",0]\n',
        "HEADING\n[",
        "HEADING\n[]\n",
        "HEADING\n[1]\n",
        "HEADING\n7\n",
        'HEADING\n["a"',
        'HEADING\n{"a":1}\n',
        'HEADING\n["a","f",0,0,0,0,0,"",[0,0],[["x","zz"]]]\n',
    ],
)
def test_a_damaged_index_says_so(tmp_path: Path, text: str) -> None:
    path = tmp_path / "index"
    index.write_index(str(path), [])
    heading = path.read_text().strip()
    path.write_text(text.replace("HEADING", heading))
    with pytest.raises(BrokenStore, match="damaged"):
        index.read_index(str(path))


def test_an_empty_index(tmp_path: Path) -> None:
    index.write_index(str(tmp_path / "index"), [])
    assert index.read_index(str(tmp_path / "index")) == []


@given(st.binary(min_size=1).filter(lambda name: name not in (b".", b"..") and not name.startswith(b".wh.")))
def test_whiteout_names_go_both_ways(name: bytes) -> None:
    assert whiteouts.hidden_name(whiteouts.archive_name(name)) == name


@pytest.mark.parametrize("name", [b".wh.", b".wh..", b".wh..."])
def test_a_whiteout_of_nothing_is_refused(name: bytes) -> None:
    with pytest.raises(InvalidInput, match="whiteout of nothing"):
        whiteouts.hidden_name(name)


@pytest.mark.parametrize(
    ("attribute", "kept"),
    [
        ("user.mime_type", True),
        ("user.overlayx", True),
        ("trusted.note", True),
        ("security.capability", True),
        ("system.posix_acl_access", True),
        ("system.posix_acl_default", True),
        ("trusted.overlay.opaque", False),
        ("trusted.overlay.overlay.opaque", False),
        ("user.overlay.whiteout", False),
        ("security.selinux", False),
        ("system.nfs4_acl", False),
        ("", False),
    ],
)
def test_which_attributes_a_layer_keeps(attribute: str, kept: bool) -> None:
    assert whiteouts.is_kept(attribute) == kept


def test_text_and_bytes_of_a_path_go_both_ways() -> None:
    for raw in (b"plain", "käse".encode(), b"\xff\xfe", b"\xed\xa0\x80", bytes(range(1, 256))):
        assert encode(decode(raw)) == raw
