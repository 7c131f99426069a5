"""The namespaces of a container's first process: which it is born in, which are another container's, whose ids it has.

The starter calls these before and beside the first process's birth; init calls `enter` and `leave_behind`. Sources:
namespaces(7), setns(2), user_namespaces(7).
"""

from __future__ import annotations

import _socket
import os
import time

from engine.kernel import mounts, namespaces, paths, proc
from engine.kernel.syscalls import AT_EMPTY_PATH, AT_FDCWD, quote, record
from engine.runtime import become, handshake, wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FLAGS = {
    "mnt": namespaces.CLONE_NEWNS,
    "pid": namespaces.CLONE_NEWPID,
    "uts": namespaces.CLONE_NEWUTS,
    "ipc": namespaces.CLONE_NEWIPC,
    "user": namespaces.CLONE_NEWUSER,
    "net": namespaces.CLONE_NEWNET,
    "cgroup": namespaces.CLONE_NEWCGROUP,
}
LATER = ("net", "cgroup")
"""Made by the first process for itself: a net namespace takes long, a cgroup namespace begins in the group joined."""


def born_in(plan: dict[str, Any]) -> int:
    """The flags of its clone3."""
    found = 0
    for kind in plan["namespaces"]:
        if kind not in LATER:
            found |= FLAGS[kind]
    return found


def neighbours(plan: dict[str, Any]) -> dict[str, int]:
    """Kind → pidfd of the first process of the container whose namespace of that kind is to be joined.

    Refused when that does not run. The starter's: it reads the store.
    """
    found = {}
    for kind, container_id in plan["joins"]:
        shown = {"net": "network", "pid": "PID", "ipc": "IPC", "uts": "UTS"}[kind]
        pidfd = _first_process(plan["root"], container_id)
        if pidfd < 0:
            raise become.Refused(f"cannot join {shown} of a non running container: {container_id}", 125)
        found[kind] = pidfd
    return found


def _first_process(root: str, container_id: str) -> int:
    """The pidfd of a container's first process; -1 when it has none. The number proves nothing without the start time,
    which is looked at when the pidfd is held: from then on it stands for this process only."""
    from engine import jsons

    try:
        with open(f"{root}/containers/{container_id}/state.json", "rb") as file:
            state = jsons.loads(file.read())
        if state["status"] not in ("running", "paused"):
            return -1
        pidfd = proc.pidfd_open(state["pid"])
    except (OSError, ValueError, KeyError, TypeError):
        return -1
    if proc.is_same(state["pid"], state["pid_start"]):
        return pidfd
    os.close(pidfd)
    return -1


def enter_pid(joined: dict[str, int]) -> None:
    """From now on children of this process are born in the pid namespace that is to be joined, if there is one."""
    if "pid" in joined:
        namespaces.setns(joined["pid"], namespaces.CLONE_NEWPID)


def enter(joined: dict[str, int]) -> None:
    """Enter the others that are to be joined."""
    for kind, pidfd in joined.items():
        if kind != "pid":
            namespaces.setns(pidfd, FLAGS[kind])


def shared_memory(pidfd: int) -> int:
    """A detached mount of the /dev/shm of a container, by its first process.

    A mount can be cloned in its own mount namespace only, so a child goes there. What it finds is the container's to
    replace: it follows no link, and takes a tmpfs and nothing else.
    """
    ours, theirs = _socket.socketpair()
    pid = os.fork()
    if pid == 0:
        ours.close()
        try:
            become.shut_imports()
            namespaces.setns(pidfd, namespaces.CLONE_NEWNS)
            rules = paths.RESOLVE_NO_SYMLINKS | paths.RESOLVE_NO_MAGICLINKS
            place = paths.openat2(AT_FDCWD, "/dev/shm", os.O_PATH | os.O_DIRECTORY, resolve=rules)
            if paths.filesystem_type(place) != paths.TMPFS_MAGIC:
                raise become.Refused("the donor container's /dev/shm is no tmpfs any more", 125)
            made = mounts.open_tree(place, "", mounts.OPEN_TREE_CLONE | AT_EMPTY_PATH)
            wire.send_descriptors(theirs, b"+", [made])
        except BaseException as error:
            theirs.sendall(b"-" + handshake.words(error).encode("utf-8", "replace")[:4000])
        finally:
            os._exit(0)
    theirs.close()
    data, descriptors = wire.receive_descriptors(ours, 4096)
    ours.close()
    os.waitpid(pid, 0)
    if not descriptors:
        raise become.Refused(f"cannot join IPC: {data[1:].decode('utf-8', 'replace')}", 125)
    return descriptors[0]


def map_ids(pid: int, ids: tuple[int, int]) -> int:
    """Give a process that was born in a new user namespace its ids, and return that namespace's descriptor.

    ids: (the first one outside, how many): 0 inside is the first one outside.
    """
    for name in ("uid_map", "gid_map"):
        path, text = f"/proc/{pid}/{name}", f"0 {ids[0]} {ids[1]}"
        start = time.monotonic_ns()
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, text.encode())
        except OSError as error:
            raise OSError(error.errno, f"write({path}, {text}): {error.strerror}") from error
        finally:
            os.close(fd)
        record("write", (path, text), len(text), 0, start, f"echo {quote(text)} > {path}")
    return os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
