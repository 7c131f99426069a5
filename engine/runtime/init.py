"""The way in of a container's first process: from the monitor's child in new namespaces to the container's program.

It is born by clone3 in new mount, pid, uts and ipc namespaces, as far as they are to be its own. In order: session, the
namespaces it joins, net namespace, private mounts, the root file system, cgroup and its namespace, host name, loopback,
streams, pivot_root; then, from inside, user, directory, identity, exec. The starter makes the v1 cgroups meanwhile, so
they come late; with a user namespace of its own it waits for those, and for what the starter must make (`materials`),
before it becomes that one's root and builds. Everything is imported before; nothing of the host is opened by path after
pivot_root.
"""

from __future__ import annotations

import _socket
import os
import select
import sys

from engine import trace
from engine.kernel import interfaces, mounts, namespaces, proc, processes, rlimits, terminals
from engine.kernel.syscalls import AT_EMPTY_PATH
from engine.runtime import become, handshake, materials, rootfs, spaces

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, NoReturn

    from engine.cgroups import Group


def run(
    plan: dict[str, Any],
    sock: _socket.socket,
    streams: tuple[int, int, int],
    group: Group,
    joined: dict[str, int],
) -> NoReturn:
    """Become the container's program, or tell the starter why not and end.

    plan: `Plan.wire`. sock: the handshake. streams: descriptors for 0, 1, 2, each -1 for the terminal or null.
    group: the container's; clone3 has put us into its v2 part, if there is one. joined: `spaces.neighbours`.
    """
    try:
        become.shut_imports()
        trace.begin()
        _enter(plan, sock, streams, group, joined)
    except BaseException as error:
        try:
            handshake.send_failure(sock, error)
        finally:
            os._exit(1)


def _enter(
    plan: dict[str, Any],
    sock: _socket.socket,
    streams: tuple[int, int, int],
    group: Group,
    joined: dict[str, int],
) -> NoReturn:
    own = plan["namespaces"]
    os.setsid()
    spaces.enter(joined)
    if "net" in own:
        namespaces.unshare(namespaces.CLONE_NEWNET)
    mounts.mount("none", "/", "", mounts.MS_REC | mounts.MS_PRIVATE)
    if plan["ids"]:
        stock = materials.receive(sock, plan)
        _join(group, own)
        become.root_of_the_user_namespace()
        root = rootfs.build(plan, stock)
    else:
        root = rootfs.build(plan, materials.make(plan))
        handshake.send_steps(sock)  # the starter writes them down while we go on
        trace.begin()
        handshake.await_word(sock)
        _join(group, own)
    rootfs.mount_cgroups(root, plan, group.hierarchy)
    if "uts" in own:
        namespaces.set_host_name(plan["hostname"])
    if "net" in own:
        interfaces.set_up("lo")
    _open_streams(plan, sock, streams, root)

    os.fchdir(root.fd)
    mounts.pivot_root(".", ".")
    mounts.umount(".", mounts.MNT_DETACH)
    os.chdir("/")

    account = become.account(plan["user"], 125, plan["groups"])
    env = become.environment(plan["env"], account.home)
    become.enter_directory(plan["cwd"], make=True)
    if plan["readonly_root"]:  # only now: directories may have had to be made
        mounts.mount_setattr(root.fd, "", AT_EMPTY_PATH, set=mounts.MOUNT_ATTR_RDONLY)
    become.own_streams(account.uid)
    become.label(plan["labels"])
    become.drop(account, plan)
    path = become.program(plan["argv"], env.get("PATH", ""))
    _die_with_monitor(sock)
    rlimits.apply(plan["ulimits"])
    become.run(path, plan["argv"], env, plan, lambda: handshake.send_steps(sock))


def _join(group: Group, own: Sequence[str]) -> None:
    """Enter the group, and a cgroup namespace that begins there."""
    group.join(born=bool(group.v2))
    if "cgroup" in own:
        namespaces.unshare(namespaces.CLONE_NEWCGROUP)


def _open_streams(plan: dict[str, Any], sock: _socket.socket, streams: tuple[int, int, int], root: rootfs.Root) -> None:
    """Put 0, 1 and 2 in their places, and give away the null device and the terminal's two ends."""
    null = rootfs.open_null(root.mounted["/dev"])
    if plan["tty"]:
        master, slave = rootfs.open_console(root, plan["size"])
        handshake.give(sock, (null, master, slave))
        os.close(master)
        terminals.set_controlling(slave)
        streams = (slave, slave, slave)
    else:
        handshake.give(sock, (null,))
    for number, stream in enumerate(streams):
        os.dup2(null if stream < 0 else stream, number)


def _die_with_monitor(sock: _socket.socket) -> None:
    """A killed monitor must not leave a container that nobody watches.

    Set after the change of identity, which clears it; an exec of a set-user-id program clears it again (prctl(2)). If
    the monitor is dead already, the starter notices and ends us; if that is dead, the handshake shows it.
    """
    processes.set_parent_death_signal(proc.SIGKILL)
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLHUP)
    if poll.poll(0):
        sys.exit("nobody is there any more")
