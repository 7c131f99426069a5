"""Control groups: one interface over v2, v1, and hybrid (v1 controllers with a v2 tree beside them).

    detect, mount_plan      which cgroup trees this machine has, and what a container sees of them   hierarchy.py
    create, open_group      a container's group: freeze, kill, measure, remove                       groups.py
    Joiner                  its doors held open: how a process enters                                joining.py
    limit_devices           which device nodes a group may make and open                             devices.py
    parent_name             the group that holds all groups of one store                             names.py

A container's group is `<parent>/<name>` in every tree. Light, but for names.py, which commands load.
"""

from __future__ import annotations

from engine.cgroups.groups import Group, begin, create, open_group
from engine.cgroups.hierarchy import CgroupMount, Hierarchy, detect, mount_plan
from engine.cgroups.joining import Joiner

__all__ = ["CgroupMount", "Group", "Hierarchy", "Joiner", "begin", "create", "detect", "mount_plan", "open_group"]
