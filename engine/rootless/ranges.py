"""Which numbers of users and groups outside a user may use inside: /etc/subuid and /etc/subgid (subuid(5)).

A map is a list of (first inside, first outside, how many), as /proc/<pid>/uid_map has them (user_namespaces(7)).
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    Map = list[tuple[int, int, int]]

FILES = ("/etc/subuid", "/etc/subgid")
MOST = 340
"""UID_GID_MAP_MAX_EXTENTS of Linux."""


def own(path: str, user: str, uid: int) -> Map:
    """The ranges that a file gives a user, by name or number, as (first, count) rows of a map after his own number.

    A file that is not there, or cannot be read, gives nothing.
    """
    try:
        with open(path, encoding="utf-8", errors="replace") as lines:
            return ranges(lines, user, uid)
    except OSError:
        return []


def ranges(lines: Iterable[str], user: str, uid: int) -> Map:
    """`own` of a file's lines. Lines that are none are skipped, as shadow's own reader does."""
    found: Map = []
    inside = 1
    for line in lines:
        owner, *numbers = line.strip().split(":")
        if owner not in (user, str(uid)) or len(numbers) != 2 or not all(map(_is_number, numbers)):
            continue
        first, count = map(int, numbers)
        usable = first > 0 and count > 0 and first + count <= 1 << 32 and not first <= uid < first + count
        if usable and len(found) < MOST - 1:
            found.append((inside, first, count))
            inside += count
    return found


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 10


def read_map(path: str) -> Map:
    """The rows of a /proc/<pid>/uid_map or gid_map."""
    with open(path, encoding="ascii") as lines:
        return [(int(row[0]), int(row[1]), int(row[2])) for row in map(str.split, lines)]


def fingerprint() -> str:
    """What changes when somebody changes /etc/subuid or /etc/subgid: cheaper than reading them."""
    words = []
    for path in FILES:
        try:
            found = os.stat(path)
            words.append(f"{found.st_ino}.{found.st_size}.{found.st_mtime_ns}")
        except OSError:
            words.append("none")
    return "-".join(words)
