"""What a container is to see, checked at create: names of other containers become ids, ids of users are put aside.

Errors in docker's words: runconfig's and the daemon's (verifyPlatformContainerSettings), runc's for sysctls.
"""

from __future__ import annotations

import os

from engine.errors import Conflict, InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from engine.commands.options import CreateOptions
    from engine.settings import Settings
    from engine.store.container import ContainerConfig
    from engine.store.root import Store

IDS = 65536
"""How many ids a container with a user namespace of its own gets: as many as an image may reasonably use."""

FIRST = 1 << 20
LAST = 1 << 31
"""Where the ids of containers lie unless /etc/subuid and /etc/subgid have a line for `strata`: above what
useradd(8) gives to people by default, below what some programs take for negative."""

_MODES = {
    "network": ("none", "host", "container:", "default"),
    "pid": ("host", "container:"),
    "ipc": ("none", "private", "shareable", "host", "container:"),
    "uts": ("host", "container:"),
    "userns": ("host", "auto"),
    "cgroupns": ("host", "private"),
}
_WRONG = {
    "pid": "--pid: invalid PID mode",
    "ipc": "invalid IPC mode: {}",
    "uts": "--uts: invalid UTS mode",
    "userns": "--userns: invalid USER mode",
    "cgroupns": "--cgroupns: invalid CGROUP mode",
    "network": "network {} not found: networks come with a later release; there are none, host and container:NAME",
}


def settled(store: Store, options: CreateOptions) -> CreateOptions:
    """The choices, checked and made whole: settings with full ids, and the host name that goes with them.

    InvalidInput, Conflict; NoSuchContainer for one whose namespace is to be joined.
    """
    from engine.runtime.mounting import tmpfs

    settings = options.settings
    donors = {}
    changes: dict[str, Any] = {}
    for name, modes in _MODES.items():
        mode = getattr(settings, name)
        kind, colon, ref = mode.partition(":")
        if mode and (kind + colon not in modes or (colon and not ref)):
            raise InvalidInput(_WRONG[name].format(mode))
        if colon:
            donors[name] = store.containers.get(store.containers.resolve(ref))
            changes[name] = f"container:{donors[name].id}"
    _check_user_namespace(settings, donors)
    if "ipc" in donors and donors["ipc"].settings.ipc != "shareable":
        raise Conflict(
            f"container {donors['ipc'].id}: non-shareable IPC (hint: use IpcMode:shareable for the donor container)"
        )
    for path, text in settings.tmpfs.items():
        tmpfs(path, text)
    if settings.shm_size < 0:
        raise InvalidInput("SHM size can not be less than 0")
    if not -1000 <= settings.oom_score_adj <= 1000:
        raise InvalidInput(f"Invalid value {settings.oom_score_adj}, range for oom score adj is [-1000, 1000]")
    _check_sysctls(settings)
    hostname = _hostname(options, donors)
    return options.replaced(settings=settings.replaced(**changes), hostname=hostname)


def _check_user_namespace(settings: Settings, donors: dict[str, ContainerConfig]) -> None:
    if settings.userns != "auto":
        return
    where = "when user namespaces are enabled"
    if settings.privileged:
        raise InvalidInput(
            "privileged mode is incompatible with user namespaces.  "
            "You must run the container in the host namespace when running privileged mode"
        )
    for name, shown in (
        ("network", "host's network namespace"),
        ("pid", "host PID namespace"),
        ("ipc", "host's IPC namespace"),
        ("uts", "host's UTS namespace"),
    ):
        if getattr(settings, name) == "host":
            raise InvalidInput(f"cannot share the {shown} {where}")
    if donors:
        raise InvalidInput(f"cannot join a namespace of container {next(iter(donors.values())).id} {where}")
    # a host cgroup namespace is fine: it is read-only, and the container's root is nobody there


def _check_sysctls(settings: Settings) -> None:
    for name in settings.sysctls:
        net = name.startswith("net")
        if net and settings.network == "host":
            raise InvalidInput(f'sysctl "{name}" not allowed in host network namespace')
        if not net and settings.ipc == "host":
            raise InvalidInput(f'sysctl "{name}" is not allowed in the hosts ipc namespace')


def _hostname(options: CreateOptions, donors: dict[str, ContainerConfig]) -> str:
    """The host name chosen, or the one of what is shared; "" for the container's own."""
    settings = options.settings
    if options.hostname:
        if settings.uts:
            raise InvalidInput("conflicting options: hostname and the UTS mode")
        if "network" in donors:
            raise InvalidInput("conflicting options: hostname and the network mode")
        return options.hostname
    for name in ("uts", "network"):
        if name in donors:
            return donors[name].hostname
    if "host" in (settings.uts, settings.network):
        return os.uname().nodename
    return ""


def choose_ids(store: Store) -> tuple[int, int]:
    """A range of ids that no container of the store has: (first, how many). The caller holds the lock `ids` until its
    container is there. InvalidInput when none is free."""
    taken = [(config.ids[0], sum(config.ids)) for config in store.containers.all() if config.ids]
    own = _lines("/etc/subuid", "strata"), _lines("/etc/subgid", "strata")
    if any(own):
        starts: Iterable[int] = [first for first, end in own[0] for first in range(first, end - IDS + 1, IDS)]
        allowed = own[1]
    else:
        starts = range(FIRST, LAST, IDS)
        allowed = [(FIRST, LAST)]
        taken += [*_lines("/etc/subuid"), *_lines("/etc/subgid")]
    known = [_known("/proc/self/uid_map"), _known("/proc/self/gid_map"), allowed]
    for first in starts:
        end = first + IDS
        if all(any(low <= first and end <= high for low, high in ranges) for ranges in known) and not any(
            first < high and low < end for low, high in taken
        ):
            return first, IDS
    raise InvalidInput(
        f"--userns=auto: no range of {IDS} ids is free here: give `strata` more in /etc/subuid and /etc/subgid,"
        " or run as root of the machine's own user namespace"
    )


def _lines(path: str, owner: str = "") -> list[tuple[int, int]]:
    """The ranges (first, end) of a subuid(5) file, of one owner or all."""
    found = []
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            for line in file:
                fields = line.strip().split(":")
                if len(fields) == 3 and (not owner or fields[0] == owner) and all(map(str.isdecimal, fields[1:])):
                    found.append((int(fields[1]), int(fields[1]) + int(fields[2])))
    except FileNotFoundError:
        pass
    return found


def _known(path: str) -> list[tuple[int, int]]:
    """The ids that this process's user namespace has: (first, end)."""
    with open(path, encoding="ascii") as file:
        rows = [[int(word) for word in line.split()] for line in file]
    return [(first, first + count) for first, _, count in rows]


def host_config(settings: Settings, ids: tuple[int, ...]) -> dict[str, Any]:
    """The fields of docker's HostConfig for all this; IDMappings as podman shows it."""
    from engine.runtime.mounting import SHM_SIZE

    limits = (text.replace("=", ":").split(":") for text in settings.ulimits)
    devices = (text.split(":") for text in settings.devices)
    mapped = [f"0:{ids[0]}:{ids[1]}"] if ids else []
    return {
        "NetworkMode": settings.network or "none",
        "PidMode": settings.pid,
        "IpcMode": settings.ipc or "private",
        "UTSMode": settings.uts,
        "UsernsMode": settings.userns,
        "CgroupnsMode": settings.cgroupns or "private",
        "GroupAdd": list(settings.group_add) or None,
        "ReadonlyRootfs": settings.read_only,
        "OomScoreAdj": settings.oom_score_adj,
        "ShmSize": settings.shm_size or SHM_SIZE,
        "Devices": [
            {"PathOnHost": host, "PathInContainer": inside, "CgroupPermissions": letters}
            for host, inside, letters in devices
        ],
        "DeviceCgroupRules": list(settings.device_cgroup_rules) or None,
        "Ulimits": [{"Name": name, "Hard": int(hard), "Soft": int(soft)} for name, soft, hard in limits],
        **({"Sysctls": dict(settings.sysctls)} if settings.sysctls else {}),
        **({"Tmpfs": dict(settings.tmpfs)} if settings.tmpfs else {}),
        **({"IDMappings": {"UidMap": mapped, "GidMap": mapped}} if ids else {}),
    }
