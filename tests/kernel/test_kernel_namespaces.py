"""Namespaces are left, entered and named; a new network namespace's loopback is set up."""

from __future__ import annotations

import errno
import os
import socket
import time

import pytest

from engine.kernel import interfaces, namespaces, proc, processes
from tests.support.isolated import isolated
from tests.support.needs import needs_root

needs_root()

KINDS = ("mnt", "cgroup", "uts", "ipc", "pid", "net")
ALL = (
    namespaces.CLONE_NEWNS
    | namespaces.CLONE_NEWCGROUP
    | namespaces.CLONE_NEWUTS
    | namespaces.CLONE_NEWIPC
    | namespaces.CLONE_NEWPID
    | namespaces.CLONE_NEWNET
)


def test_a_clone_is_born_in_new_namespaces_as_their_pid_1() -> None:
    pid, pidfd = processes.clone3(ALL)
    if pid == 0:
        time.sleep(0.3)
        os._exit(os.getpid())
    ids = [(namespaces.namespace_id("self", kind), namespaces.namespace_id(pid, kind)) for kind in KINDS]
    assert all(own and theirs and own != theirs for own, theirs in ids)
    assert processes.wait(pidfd) == 1
    assert namespaces.namespace_id(pid, "pid") is None
    os.close(pidfd)


def test_unshare_and_setns_lead_out_and_back() -> None:
    def act() -> tuple[bool, bool, str]:
        home = os.open("/proc/self/ns/uts", os.O_RDONLY)
        before = namespaces.namespace_id("self", "uts")
        namespaces.unshare(namespaces.CLONE_NEWUTS)
        namespaces.set_host_name("elsewhere")
        name, away = socket.gethostname(), namespaces.namespace_id("self", "uts")
        namespaces.setns(home, namespaces.CLONE_NEWUTS)
        return away != before, namespaces.namespace_id("self", "uts") == before, name

    assert isolated(act, 0) == (True, True, "elsewhere")
    assert socket.gethostname() != "elsewhere"


def test_setns_enters_several_namespaces_of_a_pidfd_at_once() -> None:
    def act() -> list[bool]:
        pid, pidfd = processes.clone3(ALL)
        if pid == 0:
            time.sleep(30)
            os._exit(0)
        namespaces.setns(pidfd, ALL & ~namespaces.CLONE_NEWPID)
        same = [namespaces.namespace_id("self", kind) == namespaces.namespace_id(pid, kind) for kind in KINDS]
        proc.pidfd_send_signal(pidfd, proc.SIGKILL)
        processes.wait(pidfd)
        return same

    assert isolated(act, 0) == [kind != "pid" for kind in KINDS]


def test_a_refused_call_names_its_flags() -> None:
    with pytest.raises(OSError, match=r"setns\(0(<.*>)?, CLONE_NEWNET\): Invalid argument"):
        namespaces.setns(0, namespaces.CLONE_NEWNET)


def test_the_loopback_of_a_new_network_answers_after_it_is_set_up() -> None:
    def act() -> tuple[int, int]:
        with socket.socket() as server, socket.socket() as client:
            down = client.connect_ex(("127.0.0.1", 9))
            interfaces.set_up("lo")
            server.bind(("127.0.0.1", 0))
            server.listen()
            with socket.socket() as other:
                return down, other.connect_ex(server.getsockname())

    assert isolated(act, namespaces.CLONE_NEWNET) == (errno.ENETUNREACH, 0)


def test_a_missing_interface_is_named() -> None:
    with pytest.raises(OSError, match=r"SIOCGIFFLAGS, nosuch0\): No such device"):
        interfaces.set_up("nosuch0")
