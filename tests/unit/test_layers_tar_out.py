"""Headers as we write them are what the slow, plain writer makes, and what other readers of tar read."""

from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import InvalidInput
from engine.layers.headers import header_block
from engine.layers.tar import members
from engine.layers.tar_out import END, header, padding

names = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=100).map(str.encode)
raw_names = st.binary(min_size=1, max_size=300).filter(lambda raw: b"\0" not in raw and raw.strip(b"/."))
numbers = st.one_of(st.integers(0, 10_000), st.integers((1 << 21) - 2, (1 << 32) - 2))
times = st.integers(-(1 << 31), 1 << 33).map(lambda seconds: seconds * 1_000_000_000)


@given(
    names,
    st.sampled_from([b"0", b"1", b"2", b"5"]),
    st.integers(0, 0o7777),
    st.integers(0, (1 << 21) - 1),
    st.integers(0, (1 << 33) - 1),
)
def test_the_quick_header_is_the_plain_one(name: bytes, flag: bytes, mode: int, uid: int, number: int) -> None:
    quick = header(name, flag, mode, uid, uid, number, number * 1_000_000_000, name)
    assert quick == header_block(name, flag, mode=mode, uid=uid, gid=uid, size=number, mtime=number, link=name)


@given(raw_names, numbers, numbers, times, st.integers(0, 999_999_999), st.binary(max_size=20))
def test_whatever_does_not_fit_is_read_back(
    name: bytes, uid: int, gid: int, time: int, fraction: int, value: bytes
) -> None:
    data = header(name, b"0", 0o4755, uid, gid, 3, time + fraction, xattrs=[("user.note", value)])
    (found,) = members(io.BytesIO(data + b"abc" + padding(3) + END))
    assert (found.raw, found.kind, found.mode, found.uid, found.gid, found.size) == (name, "f", 0o4755, uid, gid, 3)
    assert (found.mtime_ns, found.xattrs) == (time + fraction, (("user.note", value),))


def test_pythons_own_reader_agrees() -> None:
    data = header(b"d/" + b"n" * 255, b"0", 0o644, 3_000_000, 7, 2, 1_700_000_000_250_000_000) + b"hi" + padding(2)
    with tarfile.open(fileobj=io.BytesIO(data + END)) as tar:
        (found,) = tar.getmembers()
        assert (found.name, found.uid, found.gid, found.mtime) == ("d/" + "n" * 255, 3_000_000, 7, 1_700_000_000.25)


def test_a_file_of_ten_gigabytes_says_its_size() -> None:
    with tarfile.open(fileobj=io.BytesIO(header(b"big", b"0", 0o644, size=10 << 30) + END)) as tar:
        found = tar.next()
        assert found is not None and found.size == 10 << 30


def test_an_attribute_that_no_pax_record_can_hold_is_refused() -> None:
    with pytest.raises(InvalidInput, match="'='"):
        header(b"f", b"0", 0o644, xattrs=[("user.a=b", b"")])


def test_padding_fills_blocks() -> None:
    assert [len(padding(size)) for size in (0, 1, 511, 512, 513)] == [0, 511, 1, 0, 511]
