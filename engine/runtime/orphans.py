"""What a killed monitor leaves: its container's cgroup, and what is still in it.

Init dies with its monitor (PR_SET_PDEATHSIG), and its pid namespace with it. But an exec of a set-user-id program
clears that, and a frozen process cannot die. So whoever meets a container whose monitor is dead buries it first.
"""

from __future__ import annotations

import os

from engine import cgroups

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


def bury_container(root: str, container_id: str) -> bool:
    """Bury a container of the store at `root`; whether there was something. For commands, which hold its lock."""
    from engine.cgroups.names import parent_name

    group = cgroups.open_group(parent_name(root), container_id)
    found = left(group)
    bury(group)
    return found
