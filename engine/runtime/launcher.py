"""The launcher: a small, warm, single-threaded interpreter that has a monitor ready for every start asked of it.

It runs from a sealed copy of the interpreter (`seal`) and keeps no state. Ahead of each start it forks a spare monitor,
which forks a spare starter; the starter waits on the client's socket itself, where each message is one byte and the
connection of one start. The end of all of them is the end of that socket: the client's close, or death.

A monitor lives as long as its container, so this module and all it imports stay light, and what only a start needs is
loaded by the starter, which ends with it.
"""

from __future__ import annotations

import _socket
import gc
import os
import select
import sys

from engine import cgroups
from engine.kernel import proc, processes
from engine.kernel.clib import c_void_p
from engine.kernel.syscalls import LIBC
from engine.runtime import monitor, wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

_SIG_DFL, _SIG_IGN = 0, 1

_PATIENCE = 30
"""Milliseconds that a start may have the processors for itself before the next spare is made, unless one is wanted."""


def main(number: int) -> NoReturn:
    """Serve the client behind descriptor `number`, the only one that stays open but 0, 1 and 2."""
    processes.set_dumpable(False)  # so are all who come from here, until they exec: no container may look into them
    processes.close_range(number + 1)
    os.chdir("/")
    os.umask(0o022)
    LIBC.signal(proc.SIGCHLD, c_void_p(_SIG_IGN))  # the kernel reaps the monitors
    client = _socket.socket(fileno=number)
    os.set_inheritable(number, False)
    proc.mapped()  # all who come from here know it, wherever they go
    hierarchy = _hierarchy()
    sys.path_importer_cache.clear()  # lists of the standard library's files: room for what monitors will need
    gc.collect()
    gc.freeze()  # what is here stays: no collection shall touch, and so copy, the pages shared with monitors
    next_start = select.poll()
    next_start.register(client.fileno(), select.POLLIN)
    while True:
        news, taken = os.pipe()
        if os.fork() == 0:
            os.close(news)
            _be_spare(client, taken, hierarchy)
        os.close(taken)
        if not os.read(news, 1):
            os._exit(0)
        os.close(news)
        if next_start.poll(_PATIENCE) and _left(client):
            os._exit(0)


def _left(client: _socket.socket) -> bool:
    """Whether the client has closed, and asked for nothing more before."""
    try:
        return not client.recv(1, _socket.MSG_PEEK | _socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


def _be_spare(client: _socket.socket, taken: int, hierarchy: cgroups.Hierarchy | None) -> NoReturn:
    """Be a monitor without a container, a starter as its child. taken: tells the launcher that a start has come."""
    LIBC.signal(proc.SIGCHLD, c_void_p(_SIG_DFL))
    ours, theirs = _socket.socketpair()
    pid = os.fork()
    if pid == 0:
        ours.close()
        processes.set_name("strata-starter")
        _be_starter(client, taken, theirs, hierarchy)
    client.detach()
    theirs.detach()
    monitor.main(ours.detach(), pid, hierarchy)


def _be_starter(
    client: _socket.socket, taken: int, boss: _socket.socket, hierarchy: cgroups.Hierarchy | None
) -> NoReturn:
    """Load what a start needs, wait for one, and carry it out."""
    from engine.runtime import starter

    starter.rehearse()
    gc.collect()
    gc.freeze()
    try:
        data, descriptors = wire.receive_descriptors(client, 1)
    except ConnectionResetError:
        data, descriptors = b"", []
    if not data:
        os._exit(0)
    try:
        os.write(taken, b"t")
    except BrokenPipeError:
        pass  # the launcher was killed: this start is the last one, and the client will find that out
    os.close(taken)
    client.close()
    starter.main(_socket.socket(fileno=descriptors[0]), boss, hierarchy)


def _hierarchy() -> cgroups.Hierarchy | None:
    """The machine's cgroup trees; None when they cannot be told now: the first start finds and says why."""
    try:
        return cgroups.detect()
    except OSError:
        return None
