"""The starter: carries out one start, from the plan to the moment the container's program runs, and ends.

It makes the cgroup and clones init as a child of its own parent, the monitor (CLONE_PARENT), which thus never holds
what a start needs: the plan, the modules that mount, the trace. Three work side by side: init builds the root, the
starter makes the v1 cgroups and writes the trace, the monitor opens log and control socket.
"""

from __future__ import annotations

import _socket
import errno
import gc
import os

from engine import cgroups, trace
from engine.cgroups.devices import DEFAULT_DEVICES, limit_devices
from engine.cgroups.groups import NOT_DELEGATED
from engine.kernel import capabilities, mounts, namespaces, paths, processes, rlimits
from engine.runtime import init, materials, nodes, orphans, spaces, wire
from engine.runtime.handshake import AIM, BORN, FAILED, RUNS, Handshake, last_words, words
from engine.runtime.records import write_steps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, NoReturn

_KEPT = (
    *("id", "name", "root", "directory", "cgroup", "env", "cwd", "user", "capabilities"),
    *(
        "about",
        "health",
        "log",
        "restart",
        "tty",
        "open_stdin",
        "auto_remove",
        "no_new_privileges",
        "seccomp",
        "labels",
    ),
    *("namespaces", "ids", "groups", "ulimits", "oom_score_adj"),
)
"""Of the plan, what the monitor needs while the container runs."""


def rehearse() -> None:
    """Do once what every start does, on a file system that nobody sees: tables and look-ups are then made for init."""
    trace.begin()
    context = mounts.fsopen("tmpfs")
    try:
        mounts.fsconfig_string(context, "mode", "700")
        mounts.fsconfig_create(context)
        top = mounts.fsmount(context, mounts.MOUNT_ATTR_NOSUID)
        os.mkdir("a", dir_fd=top)
        os.close(paths.openat2(top, "a", os.O_PATH | os.O_DIRECTORY, resolve=paths.RESOLVE_BENEATH))
        os.close(top)
    except OSError:
        pass  # a start will meet it again, and report it
    os.close(context)
    capabilities.get()
    trace.end()


def main(connection: _socket.socket, boss: _socket.socket, hierarchy: cgroups.Hierarchy | None) -> NoReturn:
    """Carry out the start that is asked for on `connection`, and tell the monitor (`boss`); ends the process."""
    gc.disable()  # init and we live for milliseconds
    try:
        found = wire.read_frame(connection)
        if found is not None:
            request = wire.value(found[1])
            assert isinstance(request, dict)
            carry_out(request["plan"], boss, hierarchy, request["attach"], connection)
    except BaseException as error:
        last_words(error)
    finally:
        os._exit(0)


def carry_out(
    plan: dict[str, Any],
    boss: _socket.socket,
    hierarchy: cgroups.Hierarchy | None,
    attach: bool = False,
    connection: _socket.socket | None = None,
) -> None:
    """Tell the monitor what is coming, then do it. From there on the monitor cleans up and answers, come what may.

    plan: `Plan.wire`. connection: of the client that waits for the answer, if there is one.
    """
    trace.begin()
    directory = os.open(plan["directory"], os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    aim = {"attach": attach, "plan": {name: plan[name] for name in _KEPT}}
    wire.send_descriptors(boss, wire.value_frame(AIM, aim), [*([connection.fileno()] if connection else []), directory])
    group = cgroups.open_group(plan["cgroup"][0], plan["cgroup"][1], hierarchy)
    failure: tuple[str, int] | None
    descriptors: list[int] = []
    try:
        if orphans.left(group):
            orphans.bury(group)
        cgroups.begin(plan["cgroup"][0], plan["cgroup"][1], group.hierarchy)
        handshake, pid, kept = _clone(plan, group)
        wire.send_descriptors(boss, wire.value_frame(BORN, pid), kept)
        group.complete()
        if plan["limits"]:
            from engine.cgroups.limits import hold
            from engine.settings import Limits

            hold(group, Limits(**plan["limits"]))
        limit_devices(group, (*DEFAULT_DEVICES, *nodes.rules(plan["nodes"]), *plan["device_rules"]))
        _give_word(handshake, plan, pid)
        write_steps(directory, "trace.jsonl", _steps(handshake))
        failure, descriptors = handshake.failure, handshake.descriptors
    except BaseException as error:
        failure = (words(error), 125)
    try:
        if failure is None:
            wire.send_descriptors(boss, wire.frame(RUNS), descriptors)
        else:
            boss.sendall(wire.value_frame(FAILED, failure))
    except ConnectionError:  # no monitor, no container
        orphans.bury(group)


def _give_word(handshake: Handshake, plan: dict[str, Any], pid: int) -> None:
    """Do what the first process may not do for itself, and let it go on."""
    rlimits.make_room(pid, plan["ulimits"])
    if plan["oom_score_adj"]:
        rlimits.prefer(pid, plan["oom_score_adj"])
    if plan["ids"]:
        stock = materials.make(plan, spaces.map_ids(pid, plan["ids"]))
        materials.send(handshake.sock, stock)
    else:
        handshake.give_word()


def _clone(plan: dict[str, Any], group: cgroups.Group) -> tuple[Handshake, int, list[int]]:
    """Make the first process: its handshake, pid, and pidfd with our ends of its streams (stdout, stderr, stdin)."""
    ours: list[int] = []
    streams = [-1, -1, -1]
    if not plan["tty"]:
        for number in (1, 2):
            end, streams[number] = os.pipe()
            ours.append(end)
        if plan["open_stdin"]:
            streams[0], end = os.pipe()
            ours.append(end)
        for end in streams if plan["ids"] else ():
            if end >= 0:
                os.fchown(end, plan["ids"][0], plan["ids"][0])  # or its root could not give them to a user
    sock, other = _socket.socketpair()
    door = group.clone_fd()
    joined = spaces.neighbours(plan)
    if plan["joins"] and any(mount[0] == "shm" for mount in plan["mounts"]):
        plan["shm"] = spaces.shared_memory(joined["ipc"])
    if "pid" not in plan["namespaces"] and not group.directories:  # what shall end its processes?
        raise OSError(errno.ENODEV, f"--pid: {NOT_DELEGATED}")
    plan["nodes"] = nodes.found(plan["nodes"])
    spaces.enter_pid(joined)
    flags = spaces.born_in(plan) | namespaces.CLONE_PARENT
    pid, pidfd = processes.clone3(flags, cgroup_fd=door, exit_signal=0)
    if pid == 0:
        sock.close()  # or it would not see our end
        init.run(plan, other, (streams[0], streams[1], streams[2]), group, joined)
    other.close()
    for fd in (*streams, door):
        if fd >= 0:
            os.close(fd)
    return Handshake(sock), pid, [pidfd, *ours]


def _steps(handshake: Handshake) -> Iterator[list[tuple[Any, ...]]]:
    """The trace a piece at a time, until init execs or fails: our own steps, then init's as they come."""
    yield [(s.call, s.args, s.result, s.errno, s.at, s.duration, s.shell) for s in trace.end()]
    while not handshake.ended:
        handshake.receive()
        yield from handshake.take_steps()
