"""What the monitor takes away: its control socket, and the whole container where `--rm` asked for that."""

from __future__ import annotations

import _socket
import fcntl
import os

from engine.kernel import trees
from engine.runtime import wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SOCKET = "control.sock"


def listen(directory: int) -> _socket.socket:
    """The container's control socket; one that a killed monitor left is replaced."""
    forget_socket(directory)
    return wire.listen(directory, SOCKET)


def forget_socket(directory: int) -> None:
    """Unlink the control socket: nobody listens."""
    try:
        os.unlink(SOCKET, dir_fd=directory)
    except FileNotFoundError:
        pass


def take_away(plan: dict[str, Any], directory: int) -> list[str] | None:
    """Take a container and its read-write layer out of the store, the container first, each by one rename into tmp/.

    Returns their names in tmp/, for `delete`. directory: the container's, open; None while somebody holds its lock
    (`Containers.lock`). What somebody else removed already is fine.
    """
    try:
        fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return None
    # Entries of tmp/ itself: nothing must be made on a disk that may be full, and a cleaner of tmp/ may well be first.
    moved = []
    for kind in ("containers", "layers"):
        name = os.urandom(8).hex()
        try:
            os.rename(f"{plan['root']}/{kind}/{plan['id']}", f"{plan['root']}/tmp/{name}")
        except FileNotFoundError:
            continue
        moved.append(name)
    return moved


def delete(root: str, names: list[str]) -> None:
    """Delete these entries of tmp/ with all they hold."""
    tmp = os.open(f"{root}/tmp", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in names:
            trees.remove_tree(tmp, name)
    finally:
        os.close(tmp)
