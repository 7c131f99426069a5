"""Limits before they are held: docker's checks in docker's words, and what this machine cannot hold, with a warning.

Source: moby, daemon/daemon_unix.go, verifyPlatformContainerResources.
"""

from __future__ import annotations

import os

from engine.errors import InvalidInput
from engine.settings import Limits
from engine.values import Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from engine.cgroups import Group
    from engine.commands.context import Context

LEAST_MEMORY = 6 * 1024**2
NO_TREE = "or the cgroup is not mounted."


class Possible(Values):
    """What the cgroup trees of this machine can hold. settable: fields of Limits; cpus, mems: lists such as "0-3"."""

    settable: frozenset[str]
    cpus: str
    mems: str


def checked(context: Context, limits: Limits, container_id: str, warn: Callable[[str], None]) -> Limits:
    """The limits as they will be held; what cannot be is told to `warn`. InvalidInput for what breaks a rule."""
    if limits == Limits():
        return limits
    return verified(limits, machine(context, container_id), warn)


def machine(context: Context, container_id: str) -> Possible:
    """Found out with the group that the container will have, made and removed again: no tree's root has the files."""
    from engine.cgroups import create
    from engine.cgroups.names import parent_name

    try:
        group = create(parent_name(context.root), container_id)
    except PermissionError:
        return Possible(frozenset(), "", "")
    try:
        return of_group(group)
    finally:
        group.remove()


def of_group(group: Group) -> Possible:
    """What this group can be made to hold."""
    from engine.cgroups.limits import cpus_and_memory_nodes, possible

    return Possible(possible(group), *cpus_and_memory_nodes(group))


def verified(limits: Limits, machine: Possible, warn: Callable[[str], None], update: bool = False) -> Limits:
    """See `checked`. update: they are changes to a container that there is."""
    kept: dict[str, Any] = {field: getattr(limits, field) for field in Limits.fields()}

    def discard(field: str, words: str, value: Any = None) -> None:
        if kept[field] != getattr(Limits(), field) and field not in machine.settable:
            if words:
                warn(f"Your kernel does not support {words}")
            kept[field] = getattr(Limits(), field) if value is None else value

    _memory(kept, machine, discard, update)
    discard("pids", f"PIDs limit capabilities {NO_TREE} PIDs limit discarded." if limits.pids > 0 else "")
    if kept["oom_kill_disable"] and not kept["memory"]:
        warn(
            "OOM killer is disabled for the container, but no memory limit is set, this can result in the system "
            "running out of resources."
        )
    _cpu(kept, machine, discard)
    _cpuset(kept, machine, warn)
    discard("blkio_weight", f"Block I/O weight {NO_TREE} Weight discarded.")
    if kept["blkio_weight"] and not 10 <= kept["blkio_weight"] <= 1000:
        raise InvalidInput("Range of blkio weight is from 10 to 1000")
    discard("blkio_weight_device", f"Block I/O weight_device {NO_TREE} Weight-device discarded.", ())
    for way in ("read", "write"):
        discard(f"device_{way}_bps", f"BPS Block I/O {way} limit {NO_TREE} Block I/O BPS {way} limit discarded.", ())
        discard(f"device_{way}_iops", f"IOPS Block {way} limit {NO_TREE} Block I/O IOPS {way} limit discarded.", ())
    return Limits(**kept)


def _memory(kept: dict[str, Any], machine: Possible, discard: Callable[..., None], update: bool) -> None:
    if 0 < kept["memory"] < LEAST_MEMORY:
        raise InvalidInput("Minimum memory limit allowed is 6MB")
    limited = kept["memory"] > 0
    discard("memory", f"memory limit capabilities {NO_TREE} Limitation discarded.")
    if limited and not kept["memory"]:
        kept["memory_swap"] = 0
    if kept["memory"] and not kept["memory_swap"] and not update:
        kept["memory_swap"] = 2 * kept["memory"]
    if kept["memory"] and kept["memory_swap"] >= 0 and (kept["memory_swap"] or not update):
        discard("memory_swap", f"swap limit capabilities {NO_TREE} Memory limited without swap.", -1)
    if 0 < kept["memory_swap"] < kept["memory"]:
        raise InvalidInput("Minimum memoryswap limit should be larger than memory limit, see usage")
    if not kept["memory"] and kept["memory_swap"] > 0 and not update:
        raise InvalidInput("You should always set the Memory limit when using Memoryswap limit, see usage")
    discard("memory_swappiness", f"memory swappiness capabilities {NO_TREE} Memory swappiness discarded.")
    if not -1 <= kept["memory_swappiness"] <= 100:
        raise InvalidInput(f"Invalid value: {kept['memory_swappiness']}, valid memory swappiness range is 0-100")
    discard("memory_reservation", f"memory soft limit capabilities {NO_TREE} Limitation discarded.")
    if 0 < kept["memory_reservation"] < LEAST_MEMORY:
        raise InvalidInput("Minimum memory reservation allowed is 6MB")
    if kept["memory"] and kept["memory_reservation"] > kept["memory"]:
        raise InvalidInput("Minimum memory limit can not be less than memory reservation limit, see usage")
    discard("oom_kill_disable", "OomKillDisable. OomKillDisable discarded.")


def _cpu(kept: dict[str, Any], machine: Possible, discard: Callable[..., None]) -> None:
    if kept["nano_cpus"] > 0:
        for field, name in (("cpu_period", "Period"), ("cpu_quota", "Quota")):
            if kept[field] > 0:
                raise InvalidInput(f"Conflicting options: Nano CPUs and CPU {name} cannot both be set")
        if "nano_cpus" not in machine.settable:
            raise InvalidInput(
                "NanoCPUs can not be set, as your kernel does not support CPU CFS scheduler or the cgroup is not "
                "mounted"
            )
    count = os.cpu_count() or 1
    if kept["nano_cpus"] and not 0 < kept["nano_cpus"] <= count * 10**9:
        raise InvalidInput(f"range of CPUs is from 0.01 to {count}.00, as there are only {count} CPUs available")
    discard("cpu_shares", f"CPU shares {NO_TREE} Shares discarded.")
    words = "CPU CFS scheduler. CPU period/quota discarded."
    if kept["cpu_period"]:
        discard("cpu_quota", "")
        discard("cpu_period", words)
    discard("cpu_quota", words)
    if kept["cpu_period"] and not 1000 <= kept["cpu_period"] <= 1_000_000:
        raise InvalidInput("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)")
    if 0 < kept["cpu_quota"] < 1000:
        raise InvalidInput("CPU cfs quota can not be less than 1ms (i.e. 1000)")


def _cpuset(kept: dict[str, Any], machine: Possible, warn: Callable[[str], None]) -> None:
    if (kept["cpuset_cpus"] or kept["cpuset_mems"]) and "cpuset_cpus" not in machine.settable:
        warn(f"Your kernel does not support cpuset {NO_TREE} Cpuset discarded.")
        kept["cpuset_cpus"] = kept["cpuset_mems"] = ""
    for field, name, things, available in (
        ("cpuset_cpus", "cpus", "CPUs", machine.cpus),
        ("cpuset_mems", "mems", "memory nodes", machine.mems),
    ):
        text = kept[field]
        try:
            missing = numbers(text) - numbers(available)
        except ValueError as problem:
            raise InvalidInput(f"Invalid value {text} for cpuset {name}: {problem}") from None
        if missing:
            raise InvalidInput(f"Requested {things} are not available - requested {text}, available: {available}")


def numbers(text: str) -> set[int]:
    """ "0-2,4" as a set. ValueError when it is no such list, or one of more than 8192 numbers."""
    found: set[int] = set()
    for part in text.split(",") if text else ():
        first, dash, last = part.partition("-")
        if not (first.isascii() and first.isdecimal() and (not dash or (last.isascii() and last.isdecimal()))):
            raise ValueError(f"invalid format: {text}")
        begin, end = int(first), int(last or first)
        if begin > end or end >= 8192:
            raise ValueError(f"invalid format: {text}")
        found.update(range(begin, end + 1))
    return found


def host_config(limits: Limits) -> dict[str, Any]:
    """docker's fields of `HostConfig`; null where docker has null for "as the machine's default is"."""

    def rates(field: str) -> list[dict[str, Any]]:
        pairs = (text.rpartition(":") for text in getattr(limits, field))
        return [{"Path": path, "Rate": int(rate)} for path, _, rate in pairs]

    weights = (text.rpartition(":") for text in limits.blkio_weight_device)
    return {
        "CpuShares": limits.cpu_shares,
        "Memory": limits.memory,
        "NanoCpus": limits.nano_cpus,
        "BlkioWeight": limits.blkio_weight,
        "BlkioWeightDevice": [{"Path": path, "Weight": int(weight)} for path, _, weight in weights],
        "BlkioDeviceReadBps": rates("device_read_bps"),
        "BlkioDeviceWriteBps": rates("device_write_bps"),
        "BlkioDeviceReadIOps": rates("device_read_iops"),
        "BlkioDeviceWriteIOps": rates("device_write_iops"),
        "CpuPeriod": limits.cpu_period,
        "CpuQuota": limits.cpu_quota,
        "CpusetCpus": limits.cpuset_cpus,
        "CpusetMems": limits.cpuset_mems,
        "MemoryReservation": limits.memory_reservation,
        "MemorySwap": limits.memory_swap,
        "MemorySwappiness": limits.memory_swappiness if limits.memory_swappiness >= 0 else None,
        "OomKillDisable": limits.oom_kill_disable,
        "PidsLimit": limits.pids or None,
    }
