"""Control groups: one interface over v2, v1, and hybrid (v1 controllers with a v2 tree beside them).

    detect, mount_plan      which cgroup trees this machine has, and what a container sees of them   hierarchy.py
    create, open_group      a container's group: freeze, kill, measure, remove                       groups.py
    Joiner                  its doors held open: how a process enters                                joining.py
    hold, change            what it may use: docker's limits as writes to v1's or v2's files          limits.py
    block_io, pressure …    what it uses, beyond memory and processor time                           measures.py
    limit_devices           which device nodes a group may make and open                             devices.py
    parent_name             the group that holds all groups of one store                             names.py

A container's group is `<parent>/<name>` in every tree.
Light, but for what only starters and commands load: limits.py, measures.py, names.py.
"""

from __future__ import annotations

from engine.cgroups.groups import Group, begin, create, open_group
from engine.cgroups.hierarchy import CgroupMount, Hierarchy, detect, mount_plan
from engine.cgroups.joining import Joiner

__all__ = ["CgroupMount", "Group", "Hierarchy", "Joiner", "begin", "create", "detect", "mount_plan", "open_group"]
