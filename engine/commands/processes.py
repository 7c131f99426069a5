"""The processes of a running container, its namespaces and links: read from its cgroup and from /proc."""

from __future__ import annotations

import os

from engine.errors import NotRunning
from engine.values import Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.cgroups import Group
    from engine.commands.context import Context
    from engine.network.links import Link
    from engine.store.containers import Container

NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts")


class Process(Values):
    """One process. pid: as seen inside; host_pid: as seen outside; name: comm; state: one letter of /proc/<pid>/stat
    (R, S, D, Z, T …); memory: resident bytes; command: its argv joined by spaces."""

    pid: int
    host_pid: int
    name: str
    state: str
    memory: int
    command: str


def processes(context: Context, ref: str) -> list[Process]:
    """The processes of a container, by their numbers inside; empty when it does not run."""
    from engine.commands.lookup import container as find

    container = find(context, ref)
    if not container.state.pid:
        return []
    try:
        found = [_process(pid) for pid in pids_of(group_of(context, container), container)]
    except FileNotFoundError:
        return []  # it ended meanwhile, and its cgroup went with it
    return sorted((process for process in found if process), key=lambda process: process.pid)


def namespaces(context: Context, ref: str) -> dict[str, int]:
    """Namespace name → inode number, of the container's pid 1. Raises NotRunning."""
    from engine.commands.lookup import container as find
    from engine.kernel.namespaces import namespace_id

    container = find(context, ref)
    if not container.state.pid:
        raise NotRunning(container.id)
    found = {name: namespace_id(container.state.pid, name) for name in NAMESPACES}
    return {name: inode for name, inode in found.items() if inode is not None}


def links(context: Context, ref: str) -> list[Link]:
    """The network links of a container's net namespace, with their addresses. Raises NotRunning."""
    from engine.commands.lookup import container as find
    from engine.network.links import links_of

    container = find(context, ref)
    if not container.state.pid:
        raise NotRunning(container.id)
    try:
        return links_of(container.state.pid)
    except (FileNotFoundError, ProcessLookupError):
        raise NotRunning(container.id) from None


def group_of(context: Context, container: Container) -> Group:
    """The group of a running container; without directories where an ordinary user has none."""
    from engine.cgroups import detect, open_group
    from engine.cgroups.names import parent_name

    return open_group(parent_name(context.root), container.id, detect(pid=container.state.pid))


def pids_of(group: Group, container: Container) -> list[int]:
    """The processes of a container: those of its group, or without one those of its pid namespace."""
    from engine.kernel.namespaces import namespace_id

    if group.directories:
        return group.pids()
    own = namespace_id(container.state.pid, "pid")
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if own is not None and namespace_id(pid, "pid") == own:
                found.append(int(pid))
        except PermissionError:
            continue  # somebody else's
    return sorted(found)


def _process(pid: int) -> Process | None:
    """What /proc tells of a process; None when it has ended. Source: proc(5)."""
    status: dict[str, str] = {}
    try:
        with open(f"/proc/{pid}/status", "rb") as lines:
            for line in lines:
                key, _, value = line.decode("utf-8", "surrogateescape").partition(":")
                status[key] = value.strip()
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            command = file.read(4096)
    except (FileNotFoundError, ProcessLookupError):
        return None
    return Process(
        pid=int(status.get("NSpid", str(pid)).split()[-1]),
        host_pid=pid,
        name=status.get("Name", ""),
        state=status.get("State", "?")[:1],
        memory=int(status.get("VmRSS", "0 kB").split()[0]) * 1024,
        command=os.fsdecode(command.rstrip(b"\0").replace(b"\0", b" ")),
    )
