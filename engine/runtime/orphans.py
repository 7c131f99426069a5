"""What a killed monitor leaves: its container's cgroup, and what is still in it.

Init dies with its monitor (PR_SET_PDEATHSIG), and its pid namespace with it. But an exec of a set-user-id program
clears that, and a frozen process cannot die. So whoever meets a container whose monitor is dead buries it first.
"""

from __future__ import annotations

import errno
import os
import select

from engine import cgroups
from engine.cgroups.groups import KILL_SECONDS
from engine.kernel import proc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.cgroups import Group


def left(group: Group) -> bool:
    """Whether anything of this group is there."""
    return any(os.path.exists(directory) for directory in group.directories.values())


def bury(group: Group) -> None:
    """Kill what is in a container's group and remove it, in whatever state it is. OSError when something will not die.

    Only for a container of which it is certain that no monitor lives.
    """
    if left(group):
        try:
            group.kill()
        except FileNotFoundError:
            pass  # some of its directories are gone already, or were never made
    group.remove()


def bury_container(root: str, container_id: str, pid: int = 0, pid_start: int = 0) -> bool:
    """Bury a container of the store at `root`; whether there was something. For commands, which hold its lock.

    pid, pid_start: its first process, as recorded. An ordinary user's container may have no group, or one that only
    its processes tell; with the first process its pid namespace ends.
    """
    from engine.cgroups.names import parent_name

    alive = bool(pid) and proc.is_same(pid, pid_start)
    group = cgroups.open_group(parent_name(root), container_id, cgroups.detect(pid=pid if alive else "self"))
    found = alive or left(group)
    if alive and not group.directories:
        _end(pid, pid_start)
    bury(group)
    return found


def _end(pid: int, start: int) -> None:
    """SIGKILL a process and wait until it is gone. OSError ETIMEDOUT when it stays."""
    try:
        pidfd = proc.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if proc.is_same(pid, start):
            proc.pidfd_send_signal(pidfd, proc.SIGKILL)
            gone = select.poll()
            gone.register(pidfd, select.POLLIN)
            if not gone.poll(KILL_SECONDS * 1000):
                raise OSError(errno.ETIMEDOUT, f"SIGKILL did not end process {pid} within {KILL_SECONDS:g} s")
    except ProcessLookupError:
        pass
    finally:
        os.close(pidfd)
