"""Who a container's process is: its own /etc/passwd and /etc/group, read by a strict parser.

The files are the container's, so hostile. What is not exactly a number from 0 to 2³²−2 in decimal digits is no id:
a line with such a field is passed over, never read as 0; all digits in USER are a number, never a name, and an
overflow is an error (containerd CVE-2024-40635). Meaning otherwise as docker's (moby/sys/user, GetExecUser).

Light, and free of the C library's own look-ups: NSS would load code from inside the container.
"""

from __future__ import annotations

import errno
import os
import stat

from engine.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_ID = 2**32 - 2
MAX_FILE = 1 << 20
"""Bytes of passwd or group that are read; a longer file is refused."""
MAX_GROUPS = 65536
"""NGROUPS_MAX of Linux."""


class Account:
    """A resolved user. uid, gid; groups: the supplementary ones, may be empty; home: as passwd says, else "/"."""

    __slots__ = ("gid", "groups", "home", "uid")

    def __init__(self, uid: int, gid: int, groups: list[int], home: str) -> None:
        self.uid = uid
        self.gid = gid
        self.groups = groups
        self.home = home


def number(text: bytes) -> int | None:
    """An id in plain ASCII digits; None when it is anything else or out of range."""
    if not text or any(byte not in b"0123456789" for byte in text):
        return None
    digits = text.lstrip(b"0")
    if len(digits) > 10 or int(digits or b"0") > MAX_ID:
        return None
    return int(digits or b"0")


def find(user: str, passwd: bytes, group: bytes) -> Account:
    """The account that USER means: "", "user", "user:group", each a name or a number.

    "" is uid 0. passwd, group: the files' content, b"" where there is none. A number need not be in passwd; its group
    is then 0. Supplementary groups are those that list the user's name, unless a group is given.
    InvalidInput, in docker's words, for a name that is not there and for a number out of range.
    """
    try:
        wanted, _, wanted_group = os.fsencode(user).partition(b":")
    except UnicodeEncodeError as error:
        raise InvalidInput(f"user {user!r} is no text") from error
    uid, name, gid, home = _user(wanted or b"0", passwd)
    if wanted_group:
        return Account(uid, _group(wanted_group, group), [], home)
    groups = [number for number, _, members in _groups(group) if name and name in members]
    if len(groups) > MAX_GROUPS:
        raise InvalidInput(f"user {user} is in {len(groups)} groups: more than Linux takes")
    return Account(uid, gid, groups, home)


def additional(groups: Sequence[str], group: bytes) -> list[int]:
    """The numbers of groups given by name or number (--group-add). InvalidInput for a name that is not there."""
    found = []
    for text in groups:
        try:
            found.append(_group(os.fsencode(text), group))
        except (InvalidInput, UnicodeEncodeError) as error:
            out_of_range = "out of range" in str(error)
            raise InvalidInput(str(error) if out_of_range else f"Unable to find group {text}") from error
    return found


def _user(wanted: bytes, passwd: bytes) -> tuple[int, bytes, int, str]:
    """(uid, name, gid, home) of a user; the first entry that fits counts."""
    uid = number(wanted)
    if uid is None and wanted.isdigit():
        raise InvalidInput(f"user id {_shown(wanted)} is out of range: 0 to {MAX_ID}")
    for line in passwd.splitlines():
        fields = line.split(b":")
        if len(fields) < 4:
            continue
        found, gid = number(fields[2]), number(fields[3])
        if found is None or gid is None or not fields[0]:
            continue
        if found == uid if uid is not None else fields[0] == wanted:
            home = os.fsdecode(fields[5]) if len(fields) > 5 else ""
            return found, fields[0], gid, home or "/"
    if uid is None:
        raise InvalidInput(f"unable to find user {_shown(wanted)}: no matching entries in passwd file")
    return uid, b"", 0, "/"


def _group(wanted: bytes, group: bytes) -> int:
    gid = number(wanted)
    if gid is not None:
        return gid
    if wanted.isdigit():
        raise InvalidInput(f"group id {_shown(wanted)} is out of range: 0 to {MAX_ID}")
    for found, name, _ in _groups(group):
        if name == wanted:
            return found
    raise InvalidInput(f"unable to find group {_shown(wanted)}: no matching entries in group file")


def _groups(group: bytes) -> list[tuple[int, bytes, list[bytes]]]:
    """The well-formed entries of a group file: (gid, name, members)."""
    found = []
    for line in group.splitlines():
        fields = line.split(b":")
        gid = number(fields[2]) if len(fields) > 2 else None
        if gid is not None and fields[0]:
            found.append((gid, fields[0], fields[3].split(b",") if len(fields) > 3 else []))
    return found


def _shown(text: bytes) -> str:
    return os.fsdecode(text)[:100]


def read(path: str) -> bytes:
    """A small regular file of the container, b"" when it is not there.

    InvalidInput for anything else at that path (a FIFO would never end) and for more than a mebibyte.
    """
    try:
        seen = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return b""
        raise
    try:
        found = os.fstat(seen)
        if not stat.S_ISREG(found.st_mode):
            raise InvalidInput(f"{path} in the container is no regular file")
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    finally:
        os.close(seen)
    try:
        again = os.fstat(file)
        if not stat.S_ISREG(again.st_mode):
            raise InvalidInput(f"{path} in the container is no regular file")
        data = b""
        while len(data) <= MAX_FILE and (part := os.read(file, MAX_FILE + 1 - len(data))):
            data += part
    finally:
        os.close(file)
    if len(data) > MAX_FILE:
        raise InvalidInput(f"{path} in the container is larger than {MAX_FILE} bytes")
    return data
