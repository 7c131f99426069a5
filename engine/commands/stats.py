"""stats: what a container uses now, from its cgroup and its net namespace."""

from __future__ import annotations

import time

from engine.errors import NotRunning
from engine.values import Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.commands.context import Context


class Stats(Values):
    """One reading; None where nothing on this machine measures it.

    cpu: nanoseconds of processor time since it started; memory: bytes, without the file cache that the kernel can drop
    at once; memory_limit: bytes, the machine's memory where there is no lower limit; pids: processes and threads;
    received, sent: bytes through its net namespace's links but the loopback; read, written: bytes from and to block
    devices; pressure: "cpu", "memory", "io" → percent of the last 10 s in which some process waited for it;
    oom_kills: processes that the kernel killed because memory ran out; at: seconds (monotonic), so that two readings
    give a rate.
    """

    cpu: int | None
    memory: int | None
    memory_limit: int
    pids: int
    received: int
    sent: int
    read: int | None
    written: int | None
    pressure: dict[str, float]
    oom_kills: int | None
    at: float


def stats(context: Context, ref: str) -> Stats:
    """What a container uses now. Raises NotRunning."""
    from engine.cgroups import measures
    from engine.commands.lookup import container as find
    from engine.commands.processes import group_of, pids_of

    container = find(context, ref)
    state = container.state
    if not state.pid:
        raise NotRunning(container.id)
    group = group_of(context, container)
    try:
        shared = container.config.settings.network == "host"
        received, sent = (0, 0) if shared else network(f"/proc/{state.pid}/net/dev")
        read, written = measures.block_io(group) or (None, None)
        tasks = measures.tasks(group)
        return Stats(
            cpu=group.cpu(),
            memory=group.memory(),
            memory_limit=min(measures.memory_limit(group) or machine_memory(), machine_memory()),
            pids=len(pids_of(group, container)) if tasks is None else tasks,
            received=received,
            sent=sent,
            read=read,
            written=written,
            pressure=measures.pressure(group),
            oom_kills=group.oom_kills(),
            at=time.monotonic(),
        )
    except (FileNotFoundError, ProcessLookupError):
        raise NotRunning(container.id) from None


def machine_memory() -> int:
    """Bytes of the machine's memory."""
    import os

    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def network(path: str) -> tuple[int, int]:
    """Bytes received and sent on all links but the loopback, from a /proc/<pid>/net/dev (proc(5))."""
    received = sent = 0
    with open(path, encoding="ascii", errors="replace") as lines:
        for line in lines:
            name, colon, rest = line.partition(":")
            if colon and name.strip() != "lo":
                fields = rest.split()
                received += int(fields[0])
                sent += int(fields[8])
    return received, sent
