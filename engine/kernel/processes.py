"""Processes: make one (clone3), wait for it, say how it is to be treated, exec. To name and signal one: proc.py.

Light: the launcher, the monitor and init load this. Sources: clone(2), pidfd_open(2), pidfd_send_signal(2),
waitid(2), close_range(2), prctl(2), keyctl(2), execveat(2), proc(5).
"""

from __future__ import annotations

import errno
import os
import struct
import time

from engine.kernel import clib as ctypes
from engine.kernel import namespaces
from engine.kernel.proc import SIGCHLD, SIGKILL, SIGSTOP
from engine.kernel.syscalls import AT_EMPTY_PATH, LIBC, Bits, Descriptor, call, fail, record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

CLOSE_RANGE_UNSHARE = 2
CLOSE_RANGE_CLOEXEC = 4

KEYCTL_JOIN_SESSION_KEYRING = 1

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_NAME = 15
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38

_CLONE3, _CLOSE_RANGE = 435, 436
_KEYCTL = {"x86_64": 250, "aarch64": 219}.get(os.uname().machine, -1)
_EXECVEAT = {"x86_64": 322, "aarch64": 281}.get(os.uname().machine, -1)
"""System call numbers; those from 424 on are the same on every architecture."""

_CLD_EXITED = 1

# Functions of PyDLL keep the interpreter's lock while they run, so that a clone's only thread is born with it.
_HELD = ctypes.PyDLL(None)
_HELD.syscall.restype = ctypes.c_long


def clone3(flags: int, cgroup_fd: int = -1, exit_signal: int = SIGCHLD) -> tuple[int, int]:
    """Fork with namespaces: (pid, pidfd) in the parent, (0, -1) in the child, which goes on from here.

    flags: CLONE_NEW* of `namespaces`; the pidfd always comes along and is close-on-exec. cgroup_fd: a directory of the
    v2 tree that the child is born into (-1: the caller's). exit_signal: what the parent gets at the end; with 0 only
    waiting with __WALL finds the child.

    The caller must be single-threaded: only this thread exists in the child, so a lock another one holds (of the
    interpreter, of malloc) is never freed there, and libc's own fork handlers do not run. The interpreter's are run:
    this is `os.fork` with more flags.

    Linux 6.14 to 6.18 at least have a bug here: a child born into a group is killed at once if `cgroup.kill` was ever
    used on that group, or on the caller's own, a different number of times (it compares the two groups' kill counts).
    """
    pidfd = ctypes.c_int(-1)
    asked = flags | namespaces.CLONE_PIDFD | (namespaces.CLONE_INTO_CGROUP if cgroup_fd >= 0 else 0)
    # struct clone_args: flags pidfd child_tid parent_tid exit_signal stack stack_size tls set_tid set_tid_size cgroup
    arguments = ctypes.create_string_buffer(
        struct.pack("=11Q", asked, ctypes.addressof(pidfd), 0, 0, exit_signal, 0, 0, 0, 0, 0, max(cgroup_fd, 0)), 88
    )
    start = time.monotonic_ns()
    _HELD.PyOS_BeforeFork()
    pid: int = _HELD.syscall(ctypes.c_long(_CLONE3), arguments, ctypes.c_size_t(88))
    if pid == 0:
        _HELD.PyOS_AfterFork_Child()
        return 0, -1
    error = ctypes.get_errno() if pid < 0 else 0
    _HELD.PyOS_AfterFork_Parent()
    show = (Bits(asked, "CLONE_", vars(namespaces)), cgroup_fd, exit_signal)
    record("clone3", show, pid, error, start, lambda: f"unshare --fork {namespaces.options(flags)}".rstrip())
    if error:
        fail("clone3", show, error)
    return pid, pidfd.value


def wait(pidfd: int, block: bool = True) -> int | None:
    """Wait for a child by pidfd and reap it: its exit status 0…255, or 128 + the signal that ended it.

    block False: None at once while it runs. ChildProcessError when it is no child of this process.
    """
    start = time.monotonic_ns()
    try:
        info = os.waitid(os.P_PIDFD, pidfd, os.WEXITED | (0 if block else os.WNOHANG))
    except OSError as error:
        record("waitid", ("P_PIDFD", pidfd), -1, error.errno or 0, start)
        fail("waitid", ("P_PIDFD", pidfd), error.errno or 0)
    if info is None:
        return None
    status = info.si_status if info.si_code == _CLD_EXITED else 128 + info.si_status
    record("waitid", ("P_PIDFD", pidfd), status, 0, start)
    return status


def close_range(first: int, last: int = 0xFFFFFFFF, flags: int = 0) -> None:
    """close_range(2): close these descriptors, `last` included; with CLOSE_RANGE_CLOEXEC mark them close-on-exec."""
    call("close_range", _CLOSE_RANGE, first, last, flags)


def set_dumpable(on: bool) -> None:
    """PR_SET_DUMPABLE: off, no process of a container may ptrace this one or open its /proc/<pid> files."""
    _prctl("PR_SET_DUMPABLE", PR_SET_DUMPABLE, int(on))


def set_no_new_privs() -> None:
    """PR_SET_NO_NEW_PRIVS: exec gives no privilege any more (set-uid bits, file capabilities); cannot be undone."""
    _prctl("PR_SET_NO_NEW_PRIVS", PR_SET_NO_NEW_PRIVS, 1)


def set_child_subreaper(on: bool) -> None:
    """PR_SET_CHILD_SUBREAPER: orphans below this process become its children instead of pid 1's."""
    _prctl("PR_SET_CHILD_SUBREAPER", PR_SET_CHILD_SUBREAPER, int(on))


def set_parent_death_signal(signal: int) -> None:
    """PR_SET_PDEATHSIG: the signal this process gets when its parent thread ends; 0 for none."""
    _prctl("PR_SET_PDEATHSIG", PR_SET_PDEATHSIG, signal)


def set_name(name: str) -> None:
    """PR_SET_NAME: the name ps shows as `comm`, cut to 15 bytes."""
    _prctl("PR_SET_NAME", PR_SET_NAME, os.fsencode(name)[:15])


def _prctl(show: str, option: int, value: int | bytes) -> None:
    call("prctl", LIBC.prctl, option, value, 0, 0, 0, show=(show, value))


def new_session_keyring(name: str) -> None:
    """KEYCTL_JOIN_SESSION_KEYRING: a new, empty session keyring of this name; the caller's keys are out of reach.

    Fine on a kernel without keyrings (keyctl(2)).
    """
    try:
        call("keyctl", _KEYCTL, KEYCTL_JOIN_SESSION_KEYRING, name, show=("KEYCTL_JOIN_SESSION_KEYRING", name))
    except OSError as error:
        if error.errno != errno.ENOSYS:
            raise


def reset_signals() -> None:
    """Every signal to its default action, none blocked: what a program expects at exec (Python ignores SIGPIPE)."""
    start = time.monotonic_ns()
    LIBC.signal.restype = ctypes.c_void_p
    for number in range(1, 65):
        if number not in (SIGKILL, SIGSTOP, 32, 33):  # 32 and 33 are the C library's own
            LIBC.signal(number, ctypes.c_void_p(0))
    LIBC.sigprocmask(2, ctypes.create_string_buffer(128), None)  # SIG_SETMASK to the empty set
    record("rt_sigaction", ("1…64", "SIG_DFL"), 0, 0, start)


def execveat(
    fd: int,
    path: str,
    argv: Sequence[str | bytes],
    env: dict[str, str] | Sequence[str | bytes],
    flags: int = AT_EMPTY_PATH,
) -> NoReturn:
    """execveat(2): become the program `path` under a directory descriptor, or `fd` itself with path "".

    env: a dict, or `NAME=value` items. Comes back only by raising. A script (#!) needs `fd` to stay open in the
    new program: clear its close-on-exec flag first, else ENOENT.
    """
    items = [f"{name}={value}" for name, value in env.items()] if isinstance(env, dict) else env
    show = (Descriptor(fd), path, list(argv), f"{len(items)} variables", Bits(flags, "AT_", globals()))
    call("execveat", _EXECVEAT, fd, path, _strings(argv), _strings(items), flags, show=show)
    raise AssertionError("execveat came back without an error")


def _strings(values: Sequence[str | bytes]) -> object:
    """A null-terminated array of C strings."""
    return (ctypes.c_char_p * (len(values) + 1))(*[os.fsencode(value) for value in values], None)
