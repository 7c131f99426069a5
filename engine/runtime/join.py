"""The way in of one more process (exec): the monitor's child joins the container's cgroup and namespaces.

The monitor has entered the container's pid namespace for its children, so this process is in it from birth and the
container's processes see it. They cannot touch it: it is not dumpable (the launcher saw to that before, and execve
undoes it), so ptrace, /proc/<pid>/exe, fd and mem are closed to them (runc 2016-9962), and what it could be found to
hold open is closed first.
"""

from __future__ import annotations

import _socket
import os

from engine import trace
from engine.kernel import namespaces, paths, processes, rlimits, terminals
from engine.kernel.syscalls import AT_FDCWD
from engine.runtime import become, handshake

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from engine.cgroups import Group

SPACES = (
    namespaces.CLONE_NEWNS
    | namespaces.CLONE_NEWUTS
    | namespaces.CLONE_NEWIPC
    | namespaces.CLONE_NEWNET
    | namespaces.CLONE_NEWCGROUP
)
"""All but the pid namespace, which a process cannot change for itself, and the user namespace, which most share with
the host. Those that are not the container's own are those that its first process is in."""


def run(
    request: dict[str, Any],
    sock: _socket.socket,
    streams: tuple[int, int, int],
    init_pidfd: int,
    group: Group,
) -> NoReturn:
    """Become the program that was asked for inside the container, or tell the monitor why not and end.

    request: argv, env (whole), cwd, user, tty, size, and what `become` needs of the plan. streams: descriptors
    for 0, 1, 2 (not used with a terminal). The rest as for init.
    """
    try:
        become.shut_imports()
        trace.begin()
        _enter(request, sock, streams, init_pidfd, group)
    except BaseException as error:
        try:
            handshake.send_failure(sock, error)
        finally:
            os._exit(1)


def _enter(
    request: dict[str, Any],
    sock: _socket.socket,
    streams: tuple[int, int, int],
    init_pidfd: int,
    group: Group,
) -> NoReturn:
    processes.set_dumpable(False)
    os.setsid()
    group.join(born=bool(group.v2))
    rlimits.make_room(0, request["ulimits"])
    if request["oom_score_adj"]:
        rlimits.prefer("self", request["oom_score_adj"])
    # The mount namespace brings its root and the working directory /.
    namespaces.setns(init_pidfd, SPACES | (namespaces.CLONE_NEWUSER if request["ids"] else 0))
    if request["ids"]:
        become.root_of_the_user_namespace()
    if request["tty"]:
        slave = _open_terminal(sock, request["size"])
        streams = (slave, slave, slave)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    _keep_only(sock.fileno())

    account = become.account(request["user"], 126, request["groups"])
    env = become.environment(request["env"], account.home)
    become.enter_directory(request["cwd"], make=False)
    become.own_streams(account.uid)
    become.label(request["labels"])
    become.drop(account, request)
    path = become.program(request["argv"], env.get("PATH", ""))
    rlimits.apply(request["ulimits"])
    become.run(path, request["argv"], env, request, lambda: handshake.send_steps(sock))


def _open_terminal(sock: _socket.socket, size: tuple[int, int]) -> int:
    """A terminal of the container's own devpts, this session's controlling one; its master goes to the monitor."""
    rules = paths.RESOLVE_NO_SYMLINKS | paths.RESOLVE_NO_MAGICLINKS
    devpts = paths.openat2(AT_FDCWD, "/dev/pts", os.O_RDONLY | os.O_DIRECTORY, resolve=rules)
    if paths.filesystem_type(devpts) != paths.DEVPTS_SUPER_MAGIC:
        raise become.Refused("/dev/pts in the container is no devpts: no terminal can be had there", 126)
    master, slave = terminals.open_pty_in(devpts)
    if any(size):
        terminals.set_size(master, *size)
    handshake.give(sock, (master,))
    terminals.set_controlling(slave)
    return slave


def _keep_only(number: int) -> None:
    """Close every descriptor but the streams and this one."""
    if number > 3:
        processes.close_range(3, number - 1)
    processes.close_range(number + 1)
