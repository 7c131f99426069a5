"""The host's devices that a container is given (--device), as they are on the host at this start.

A device is (path inside, mode with its type, device number, uid, gid, path outside, letters of what may be done: rwm).
"""

from __future__ import annotations

import os
import stat

from engine.runtime.become import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    Node = tuple[str, int, int, int, int, str, str]

_NOT_FROM = ("pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", ".udev")
"""Directories of a /dev that are no host's devices (runc's GetDevices leaves them out)."""


def found(texts: Sequence[str]) -> list[Node]:
    """The devices that "HOST:INSIDE:rwm" texts mean; a directory stands for every device in it and below.

    Refused in docker's words when there is none.
    """
    nodes: dict[str, Node] = {}
    for text in texts:
        host, inside, letters = text.split(":")
        host, inside = os.path.realpath(host), os.path.normpath(inside).replace("//", "/")
        try:
            if stat.S_ISDIR(os.stat(host).st_mode):
                several = [(host + name, inside + name) for name in _below(host)]
            else:
                several = [(host, inside)]
            seen = [(path, place, os.stat(path)) for path, place in several]
        except OSError as error:
            raise _refused(text, (error.strerror or "").lower()) from error
        for path, place, one in seen:
            if stat.S_ISCHR(one.st_mode) or stat.S_ISBLK(one.st_mode):
                nodes[place] = (place, one.st_mode, one.st_rdev, one.st_uid, one.st_gid, path, letters)
            elif len(several) == 1:
                raise _refused(text, "not a device node")
    return list(nodes.values())


def _below(directory: str) -> list[str]:
    """The names of what is no directory and no link below one, each with a slash before it."""
    names = []
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if entry.name not in _NOT_FROM:
                    names += [f"/{entry.name}{name}" for name in _below(entry.path)]
            elif not entry.is_symlink() and entry.name != "console":
                names.append("/" + entry.name)
    return sorted(names)


def _refused(text: str, why: str) -> Refused:
    host = text.partition(":")[0]
    return Refused(f'error gathering device information while adding custom device "{host}": {why}', 125)


def rules(nodes: Sequence[Node]) -> list[str]:
    """What a group must allow for these (`engine.cgroups.devices`)."""
    return [
        f"{'b' if stat.S_ISBLK(mode) else 'c'} {os.major(number)}:{os.minor(number)} {letters}"
        for _, mode, number, *_, letters in nodes
    ]
