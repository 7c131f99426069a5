"""Children of the monitor that are born in its container's pid namespace.

setns(2) puts the children of a process there from then on, and back again needs a right over the own namespace, which
root has and an ordinary user's monitor has not. His has a process in between do both, which ends at once: the child is
the monitor's all the same (CLONE_PARENT).
"""

from __future__ import annotations

import _socket
import errno
import os

from engine.kernel import namespaces, processes
from engine.runtime import wire
from engine.runtime.handshake import words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn


def can_return() -> bool:
    """Whether children can be born in the caller's own pid namespace again, once they were born elsewhere."""
    try:
        go_back()
    except OSError as error:
        if error.errno != errno.EPERM:
            raise
        return False
    return True


def go_back() -> None:
    """From now on children are born in the caller's own pid namespace."""
    own = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    try:
        namespaces.setns(own, namespaces.CLONE_NEWPID)
    finally:
        os.close(own)


def clone_by_another(init: int, door: int, run: Callable[[], NoReturn]) -> tuple[int, int]:
    """A child in the pid namespace of the process of pidfd `init`: its pid and pidfd. OSError when it cannot be had.

    door: a cgroup's descriptor for it, or -1; run: what it does.
    """
    ours, theirs = _socket.socketpair()
    between = os.fork()
    if between == 0:
        try:
            namespaces.setns(init, namespaces.CLONE_NEWPID)
            pid, pidfd = processes.clone3(namespaces.CLONE_PARENT, cgroup_fd=door, exit_signal=0)
            if pid == 0:
                ours.close()
                theirs.close()
                run()
            wire.send_descriptors(theirs, wire.marshalled(pid), [pidfd])
        except BaseException as error:
            theirs.sendall(wire.marshalled((getattr(error, "errno", None) or errno.EIO, words(error))))
        finally:
            os._exit(0)
    theirs.close()
    try:
        data, descriptors = wire.receive_descriptors(ours, 4096)
    finally:
        ours.close()
        os.waitpid(between, 0)
    answer = wire.value(data) if data else (errno.EIO, "the process in between was killed")
    if isinstance(answer, tuple):
        raise OSError(*answer)
    assert isinstance(answer, int)
    return answer, descriptors[0]
