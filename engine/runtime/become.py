"""The last steps of every way in: from root of the host to the container's process. Init and join share them.

The order matters: what needs root or the full capabilities (directories, owners of the streams, the bounding set)
comes before the identity, the capabilities last, the filter of system calls and exec at the very end. Nothing is
imported and no file is opened by a path of the host: the root is already the container's. Errors are `Refused` with
docker's words and status.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
import time

from engine.errors import InvalidInput
from engine.kernel import capabilities, paths, proc, processes, seccomp
from engine.kernel.syscalls import AT_FDCWD, record
from engine.runtime import users

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, NoReturn


_PROC_ROOT = 1
"""PROC_ROOT_INO: the number of a procfs's own top directory."""


class Refused(Exception):
    """The way in ends here. status: docker's exit status for it (125, 126, 127); the text is for the caller."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class _Shut:
    """The only finder left: it finds nothing."""

    @staticmethod
    def find_spec(name: str, path: object, target: object = None) -> NoReturn:
        raise ImportError(f"{name}: nothing may be imported on the way into a container")


def shut_imports() -> None:
    """From here on an import fails: inside a container it would load, and run as root, the container's code."""
    sys.meta_path[:] = [_Shut]
    sys.path.clear()
    sys.path_hooks.clear()


def root_of_the_user_namespace() -> None:
    """Become uid and gid 0 of the user namespace this process is in: until then it is nobody, who can make no file.

    As at every change of identity, the kernel makes a process dumpable by its own rule (fs.suid_dumpable).
    """
    _step("setresgid", os.setresgid, 0, 0, 0)
    _step("setresuid", os.setresuid, 0, 0, 0)
    processes.set_dumpable(False)


def account(user: str, otherwise: int, more: Sequence[str] = ()) -> users.Account:
    """The user as the container's own files say; more: supplementary groups besides, by name or number.

    otherwise: the status of the Refused when there is no such user or group.
    """
    try:
        group = users.read("/etc/group")
        found = users.find(user, users.read("/etc/passwd"), group)
        found.groups += [gid for gid in users.additional(more, group) if gid not in found.groups]
        return found
    except InvalidInput as error:
        raise Refused(str(error), otherwise) from error


def environment(items: Sequence[str], home: str) -> dict[str, str]:
    """NAME=value items as a mapping, the last of a name wins; HOME from passwd unless it is set."""
    values = {}
    for item in items:
        name, found, text = item.partition("=")
        if name and found:
            values[name] = text
    values.setdefault("HOME", home)
    return values


def enter_directory(path: str, make: bool) -> None:
    """chdir, checked to lie inside the root: `/proc/self/fd/7` may lead to a directory of the host (runc 2024-21626).

    make: what is missing is made, mode 0755, root's, as docker makes WORKDIR.
    """
    path = path or "/"
    try:
        if not path.startswith("/"):
            raise Refused(f"the working directory {path!r} is invalid, it needs to be an absolute path", 125)
        if make and not os.path.isdir(path):
            _make_directories(path)
        os.chdir(path)
    except OSError as error:
        text = (error.strerror or "").lower()
        raise Refused(f'chdir to cwd ("{path}") set in config.json failed: {text}', _status(error)) from error
    try:
        inside = os.getcwd().startswith("/")
    except FileNotFoundError:  # how the C library passes on the kernel's "(unreachable)/…"
        inside = False
    if not inside:
        raise Refused(f'chdir to cwd ("{path}") failed: it is outside of the container', 126)


def _make_directories(path: str) -> None:
    before = os.umask(0o022)
    try:
        made = ""
        for name in path.split("/"):
            made += "/" + name
            try:
                os.mkdir(made, 0o755)
            except FileExistsError:
                pass  # a directory or a link to one; else the next step says so
    finally:
        os.umask(before)


def own_streams(uid: int) -> None:
    """Give standard streams to the user, so that opening /dev/stdout works; devices such as /dev/null stay root's."""
    for stream in (0, 1, 2):
        found = os.fstat(stream)
        if found.st_uid != uid and (stat.S_ISFIFO(found.st_mode) or os.isatty(stream)):
            try:
                os.fchown(stream, uid, -1)
            except OSError as error:
                raise _unmapped(error, uid) from error


def label(labels: Sequence[tuple[str, str]]) -> None:
    """Tell security modules what the program is to be labelled as: (file below /proc/self/attr, text) each.

    The container's own procfs is used, once it has proved to be one: whoever put another file there would decide what
    is written where (runc CVE-2019-19921, 2025-52881).
    """
    if not labels:
        return
    rules = paths.RESOLVE_NO_SYMLINKS | paths.RESOLVE_NO_MAGICLINKS
    top = paths.openat2(AT_FDCWD, "/proc", os.O_PATH | os.O_DIRECTORY, resolve=rules)
    if paths.filesystem_type(top) != paths.PROC_SUPER_MAGIC or os.fstat(top).st_ino != _PROC_ROOT:
        raise Refused("/proc in the container is no procfs: its processes cannot be labelled", 126)
    rules |= paths.RESOLVE_BENEATH | paths.RESOLVE_NO_XDEV
    for name, text in labels:
        file = paths.openat2(top, f"{os.getpid()}/attr/{name}", os.O_WRONLY, resolve=rules)
        start = time.monotonic_ns()
        try:
            os.write(file, os.fsencode(text))
        except OSError as error:  # ENOENT: there is no such profile
            why = (error.strerror or "").lower()
            raise Refused(f"failed to apply the label {text!r} (/proc/self/attr/{name}): {why}", 125) from error
        record("write", (f"/proc/self/attr/{name}", text), len(text), 0, start)
        os.close(file)
    os.close(top)


def drop(account: users.Account, held: dict[str, Any]) -> None:
    """Become the user, with no capability but `held["capabilities"]` in any set; inheritable and ambient empty.

    held: of the plan, or the request of an exec: capabilities (names without CAP_), no_new_privileges, seccomp.
    A capability this process lacks itself cannot be given and is left out.
    With a filter to come CAP_SYS_ADMIN stays until execve takes it, by the bounding set, which has not got it: the
    kernel takes a filter from nobody else, or with no_new_privs, which would end set-user-id programs.
    """
    keep, no_new_privileges = held["capabilities"], held["no_new_privileges"]
    processes.new_session_keyring("strata")  # keys of whoever started us stay with them
    _effective, permitted, _inheritable = capabilities.get()
    kept = capabilities.mask("CAP_" + name for name in keep) & permitted
    capabilities.limit_bounding(kept)
    if account.uid:
        capabilities.keep_caps(True)
    try:
        if proc.mapped() != 1:  # a map of one number goes with no leave to drop groups (user_namespaces(7))
            # With its own among them: else a set-group-id program would lose it, and with it what a group is denied
            # (moby CVE-2022-36109).
            _step("setgroups", os.setgroups, [account.gid, *(gid for gid in account.groups if gid != account.gid)])
        _step("setresgid", os.setresgid, account.gid, account.gid, account.gid)
        _step("setresuid", os.setresuid, account.uid, account.uid, account.uid)
    except OSError as error:
        raise _unmapped(error, account.uid) from error
    capabilities.clear_ambient()
    if no_new_privileges:
        processes.set_no_new_privs()
    elif held["seccomp"][1]:
        kept |= capabilities.mask(("CAP_SYS_ADMIN",)) & permitted
    capabilities.set(kept, kept, 0)


def _unmapped(error: OSError, uid: int) -> Exception:
    """What to say when an account's number is invalid: in a user namespace, that it may have no number outside."""
    if error.errno != errno.EINVAL or not proc.mapped():
        return error
    return Refused(
        f"user {uid}, or one of its groups, cannot be had here: {proc.mapped()} numbers are mapped, of which "
        f"{proc.mapped() - 1} from /etc/subuid and /etc/subgid",
        125,
    )


def _step(name: str, function: Callable[..., None], *args: object) -> None:
    """A call of Python's own, traced like the others."""
    start = time.monotonic_ns()
    function(*args)
    record(name, args, 0, 0, start)


def program(argv: Sequence[str], path: str) -> str:
    """The file to run for argv[0], looked for in `path` as Go's exec.LookPath does; Refused in docker's words."""
    name = argv[0]
    if "/" in name:
        _check(name, name)
        return name
    denied: Refused | None = None
    for directory in path.split(":"):
        if not directory.startswith("/"):
            continue  # relative to wherever we are: Go refuses those too
        candidate = directory.rstrip("/") + "/" + name
        try:
            _check(candidate, name)
            return candidate
        except Refused as error:
            if error.status == 126:
                denied = denied or error
    raise denied or Refused(f'exec: "{name}": executable file not found in $PATH', 127)


def _check(path: str, name: str) -> None:
    try:
        found = os.stat(path)
        if stat.S_ISDIR(found.st_mode):
            raise Refused(f'exec: "{name}": is a directory', 126)
        if not os.access(path, os.X_OK, effective_ids=True):
            raise Refused(f'exec: "{name}": permission denied', 126)
    except OSError as error:
        text = (error.strerror or "").lower()
        raise Refused(f'exec: "{name}": stat {path}: {text}', _status(error)) from error


def run(
    path: str, argv: Sequence[str], env: dict[str, str], held: dict[str, Any], goodbye: Callable[[], None]
) -> NoReturn:
    """execve: every descriptor but 0, 1, 2 closes, every signal is as a new program expects it.

    held: as for `drop`. goodbye: called when only filter and execve are left to do; they are in the trace already.
    A filter that lets nobody write on a socket also keeps a failure of execve from being told: exit status 1 is left.
    """
    flags, program = held["seccomp"]
    processes.close_range(3, flags=processes.CLOSE_RANGE_CLOEXEC)
    processes.reset_signals()
    os.umask(0o022)
    if program:
        record(
            "seccomp",
            ("SECCOMP_SET_MODE_FILTER", flags, f"{len(program) // 8} instructions"),
            0,
            0,
            time.monotonic_ns(),
        )
    record("execve", (path, " ".join(argv), f"{len(env)} variables"), "", 0, time.monotonic_ns())
    goodbye()
    try:
        if program:
            seccomp.install(program, flags)
        os.execve(path, list(argv), env)
    except OSError as error:
        status = 126 if error.errno == errno.ENOEXEC else _status(error)
        raise Refused(f"exec {path}: {(error.strerror or '').lower()}", status) from error
    except ValueError as error:  # a NUL byte in an argument or the environment
        raise Refused(f"exec {path}: {error}", 126) from error


def _status(error: OSError) -> int:
    """docker's exit status for what stood in the way of a command."""
    if error.errno in (errno.ENOENT, errno.ELOOP, errno.ENAMETOOLONG):
        return 127
    if error.errno in (errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR, errno.ETXTBSY):
        return 126
    return 125
