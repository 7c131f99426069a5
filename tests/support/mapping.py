"""Whether layers on this machine can have their owners mapped: what --userns=auto needs of a file system."""

from __future__ import annotations

import functools
import os
import tempfile

from engine.kernel import mounts, namespaces
from engine.kernel.syscalls import AT_EMPTY_PATH, AT_FDCWD
from engine.runtime.spaces import map_ids
from tests.support.needs import needs_root, unmet

IDS = (1 << 20, 65536)


def needs_mapping(parent: str = "/var/tmp") -> None:
    """Go on only as root, and where the file system of `parent` can map owners."""
    needs_root()
    reason = _refusal(parent)
    if reason:
        unmet(f"the owners of files in {parent} cannot be mapped: {reason}")


@functools.cache
def _refusal(parent: str) -> str:
    told, tell = os.pipe()
    ended, end = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(end)
            namespaces.unshare(namespaces.CLONE_NEWUSER)
            os.write(tell, b"x")
            os.read(ended, 1)
        finally:
            os._exit(0)
    os.close(tell)
    try:
        if not os.read(told, 1):
            return "no user namespace can be made"
        users = map_ids(pid, IDS)
        with tempfile.TemporaryDirectory(dir=parent) as directory:
            place = mounts.open_tree(AT_FDCWD, directory)
            mounts.mount_setattr(place, "", AT_EMPTY_PATH, set=mounts.MOUNT_ATTR_IDMAP, userns_fd=users)
            os.close(place)
        os.close(users)
    except OSError as error:
        return str(error)
    finally:
        for descriptor in (told, ended, end):
            os.close(descriptor)
        os.waitpid(pid, 0)
    return ""
