"""The strict reader of a container's passwd and group: numbers are numbers, and nothing becomes root by accident."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import InvalidInput
from engine.runtime import users

PASSWD = b"""root:x:0:0:root:/root:/bin/sh
bob:x:1000:1001:Bob:/home/bob:/bin/sh
twice:x:7:7::/first:
twice:x:8:8::/second:
homeless:x:9:9
nohome:x:10:10:::
"""
GROUP = b"""root:x:0:
bob:x:1001:
wheel:x:10:bob,alice
audio:x:29:alice,bob
video:x:44:bobby
"""


def found(user: str, passwd: bytes = PASSWD, group: bytes = GROUP) -> tuple[int, int, list[int], str]:
    account = users.find(user, passwd, group)
    return account.uid, account.gid, account.groups, account.home


def test_nothing_said_is_root() -> None:
    assert found("") == (0, 0, [], "/root")
    assert found("", b"", b"") == (0, 0, [], "/")


def test_a_name_brings_its_group_its_home_and_the_groups_that_list_it() -> None:
    assert found("bob") == (1000, 1001, [10, 29], "/home/bob")


def test_a_number_is_looked_up_too() -> None:
    assert found("1000") == (1000, 1001, [10, 29], "/home/bob")


def test_a_number_need_not_be_known() -> None:
    assert found("4242") == (4242, 0, [], "/")
    assert found("4294967294") == (4294967294, 0, [], "/")


def test_a_given_group_replaces_the_others() -> None:
    assert found("bob:wheel") == (1000, 10, [], "/home/bob")
    assert found("bob:77") == (1000, 77, [], "/home/bob")
    assert found(":wheel") == (0, 10, [], "/root")


def test_the_first_entry_counts() -> None:
    assert found("twice") == (7, 7, [], "/first")


def test_entries_may_be_short() -> None:
    assert found("homeless")[3] == "/"
    assert found("nohome")[3] == "/"


STRANGE = ["nobody-here", "bob:nogroup", "-1", "+0", " 0", "0 ", "0x0", "1e3", "٠", "0\n", "1_0"]


@pytest.mark.parametrize("user", STRANGE)
def test_what_is_neither_a_number_nor_a_name_is_refused(user: str) -> None:
    with pytest.raises(InvalidInput, match=r"no matching entries in (passwd|group) file"):
        found(user)


OVERFLOWS = [str(2**32 - 1), str(2**32), str(2**32 + 1), str(2**64), "9" * 5001]


@pytest.mark.parametrize("text", OVERFLOWS, ids=lambda text: text[:20])
def test_an_overflow_is_an_error_and_never_a_name(text: str) -> None:
    passwd = f"{text}:x:0:0::/:\n".encode()
    for user in (text, f"bob:{text}"):
        with pytest.raises(InvalidInput, match="out of range"):
            found(user, PASSWD + passwd, GROUP + passwd)


@pytest.mark.parametrize("uid", ["", "-0", "+0", "0x0", "4294967295", "4294967296", "18446744073709551616", " 0", "a"])
def test_a_line_with_a_bad_number_is_nobodys(uid: str) -> None:
    with pytest.raises(InvalidInput):
        found("mallory", f"mallory:x:{uid}:0::/:\n".encode())
    with pytest.raises(InvalidInput):
        found("mallory", f"mallory:x:5:{uid}::/:\n".encode())


@given(st.binary(max_size=12))
def test_a_text_is_a_number_only_if_it_is_plain_digits_in_range(text: bytes) -> None:
    number = users.number(text)
    if number is None:
        assert not (text and all(48 <= byte <= 57 for byte in text) and int(text) <= 2**32 - 2)
    else:
        assert int(text) == number
        assert 0 <= number <= 2**32 - 2


@given(
    st.text(st.characters(exclude_characters="\0"), max_size=12),
    st.lists(st.binary(max_size=40), max_size=4),
    st.lists(st.binary(max_size=40), max_size=4),
)
def test_only_zero_and_the_names_of_zero_are_root(user: str, passwd: list[bytes], group: list[bytes]) -> None:
    lines = b"\n".join(passwd)
    try:
        account = users.find(user, lines, b"\n".join(group))
    except InvalidInput:
        return
    assert all(0 <= number <= 2**32 - 2 for number in (account.uid, account.gid, *account.groups))
    name = os.fsencode(user).partition(b":")[0]
    if account.uid == 0 and name.strip(b"0"):
        entries = [line.split(b":") for line in lines.splitlines()]
        assert any(len(entry) > 3 and entry[0] == name and not entry[2].strip(b"0") for entry in entries)


def test_a_file_is_read_only_if_it_is_one(tmp_path: Path) -> None:
    (tmp_path / "passwd").write_bytes(PASSWD)
    assert users.read(str(tmp_path / "passwd")) == PASSWD
    assert users.read(str(tmp_path / "missing")) == b""
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(InvalidInput, match="no regular file"):
        users.read(str(tmp_path / "fifo"))
    with pytest.raises(InvalidInput, match="no regular file"):
        users.read(str(tmp_path))


def test_a_file_larger_than_a_mebibyte_is_refused(tmp_path: Path) -> None:
    huge = tmp_path / "passwd"
    with huge.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(InvalidInput, match="larger than"):
        users.read(str(huge))
    huge.write_bytes(b"x" * (1 << 20))
    assert len(users.read(str(huge))) == 1 << 20
