"""The keeper: a process that does nothing but keep a store's user namespace, however many commands come and go.

`<root>/keeper` says which it is: pid, start time, and the fingerprint of the files its map was made from. Whoever finds
it dead makes another; if containers run still, in the namespace they run in.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select

from engine.errors import StrataError
from engine.kernel import namespaces, proc, processes
from engine.rootless import ranges

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from engine.rootless.ranges import Map

FILE = "keeper"
_FOR_EVER = "2147483647"
"""Seconds, 68 years: `infinity` is not known to every sleep."""


def namespace(root: str, say: list[str]) -> int:
    """An open descriptor of the store's user namespace, made if there is none. say: gets what its user should know.

    StrataError when this machine gives no user namespace.
    """
    mark = ranges.fingerprint()
    found = _recorded(root)
    if found is not None and found[2] == mark:
        kept = _open(found[0], found[1])
        if kept >= 0:
            return kept
    os.makedirs(root, 0o700, exist_ok=True)
    lock = os.open(os.path.join(root, FILE), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _found_or_made(root, lock, mark, say)
    finally:
        os.close(lock)


def _found_or_made(root: str, lock: int, mark: str, say: list[str]) -> int:
    """The namespace, with the record locked: nobody else makes one."""
    found = _recorded(root)
    kept = _open(found[0], found[1]) if found is not None else -1
    if found is not None and kept >= 0:
        pid, start, before = found
        if before == mark or _maps(pid) == _wanted():
            _write(lock, pid, start, mark)
            return kept
        if _others(kept, pid):
            say.append(
                "the numbers in /etc/subuid or /etc/subgid have changed, but containers run with the former ones: "
                "stop every container of this store, and end every strata, for the new ones"
            )
            return kept
        os.close(kept)
        os.kill(pid, proc.SIGKILL)
    running = _of_a_monitor(root)
    pid = _keeper_of(running) if running >= 0 else _new(say)
    start = proc.start_time(pid) or 0
    kept = _open(pid, start)
    if running >= 0:
        os.close(running)
    if kept < 0:
        raise StrataError("the process that keeps the user namespace ended at once: try again")
    _write(lock, pid, start, mark)
    return kept


def _recorded(root: str) -> tuple[int, int, str] | None:
    """(pid, start time, fingerprint) of the record; None when there is none."""
    try:
        fd = os.open(os.path.join(root, FILE), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        words = os.read(fd, 4096).decode("ascii", "replace").split()
    finally:
        os.close(fd)
    try:
        return int(words[0]), int(words[1]), words[2]
    except (IndexError, ValueError):
        return None


def _write(lock: int, pid: int, start: int, mark: str) -> None:
    data = f"{pid} {start} {mark}\n".encode()
    os.pwrite(lock, data, 0)
    os.ftruncate(lock, len(data))


def _open(pid: int, start: int) -> int:
    """The user namespace of the process of this pid and start time; -1 when it does not run any more."""
    try:
        fd = os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:  # gone, or somebody else's by now
        return -1
    if proc.is_same(pid, start):
        return fd
    os.close(fd)
    return -1


def _others(kept: int, keeper: int) -> list[int]:
    """Processes in this user namespace besides its keeper."""
    own = os.fstat(kept).st_ino
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if namespaces.namespace_id(pid, "user") == own and int(pid) != keeper:
                found.append(int(pid))
        except PermissionError:
            continue  # not ours
    return found


def _of_a_monitor(root: str) -> int:
    """The user namespace of a monitor of this store that has outlived its keeper; -1 when none lives."""
    if not os.path.isdir(os.path.join(root, "containers")):
        return -1
    from engine.store.root import Store

    containers = Store(root).containers
    for container in containers.ids():
        state = containers.recorded_state(container)
        if state.running:
            kept = _open(state.monitor_pid, state.monitor_start)
            if kept >= 0:
                return kept
    return -1


def _wanted() -> tuple[Map, Map]:
    """The maps that a namespace made now would have: own number as 0, then the ranges; alone unless both have some."""
    uid, gid = os.geteuid(), os.getegid()
    user = _name(uid)
    more = [ranges.own(path, user, uid) for path in ranges.FILES]
    if not all(more):
        more = [[], []]
    return [(0, uid, 1), *more[0]], [(0, gid, 1), *more[1]]


def _maps(pid: int) -> tuple[Map, Map]:
    return ranges.read_map(f"/proc/{pid}/uid_map"), ranges.read_map(f"/proc/{pid}/gid_map")


def _name(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


# Making one.


def _new(say: list[str]) -> int:
    """Make a user namespace and its keeper, with as many numbers as this user has; its pid."""
    maps = _wanted()
    why = "" if len(maps[0]) > 1 else _missing()
    if not why:
        keeper = _Newborn()
        why = keeper.map_by_helpers(maps)
        if not why:
            return keeper.go()
        keeper.end()
    say.append(
        f"only your own user and group have a number in containers: {why}. "
        "Files of an image that belong to others will be yours, and no other user can be had inside"
    )
    keeper = _Newborn()
    keeper.map_alone(maps)
    return keeper.go()


def _missing() -> str:
    """What to do for more numbers than one."""
    user = _name(os.geteuid())
    return (
        f"/etc/subuid and /etc/subgid have no numbers for {user} "
        f"(root can give some: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {user})"
    )


def _keeper_of(running: int) -> int:
    """Make a keeper in a namespace that there is; its pid."""
    return _Newborn(running).go()


class _Newborn:
    """Owns a keeper on its way: in its namespace, waiting for its map. Nobody's child, so nobody need wait for it."""

    def __init__(self, running: int = -1) -> None:
        news, telling = os.pipe()
        waiting, self._word = os.pipe()
        middle = os.fork()
        if middle == 0:
            try:
                if os.fork() == 0:
                    os.close(self._word)  # or it would not see ours close
                    _keep(telling, waiting, running)
            finally:
                os._exit(0)
        os.waitpid(middle, 0)
        os.close(telling)
        os.close(waiting)
        said = int(os.read(news, 64) or b"0")
        os.close(news)
        self.pid = said
        if said <= 0:
            os.close(self._word)
            raise StrataError(_refusal(-said))

    def map_by_helpers(self, maps: tuple[Map, Map]) -> str:
        """Write the maps by newuidmap and newgidmap, which may write what /etc/subuid and /etc/subgid allow; why not,
        or ""."""
        import subprocess

        for helper, rows in zip(("newuidmap", "newgidmap"), maps, strict=True):
            numbers = [str(number) for row in rows for number in row]
            try:
                done = subprocess.run(
                    [helper, str(self.pid), *numbers], stdin=subprocess.DEVNULL, capture_output=True, text=True
                )
            except FileNotFoundError:
                return f"{helper} is not installed (Debian: apt install uidmap)"
            if done.returncode:
                return f"{helper} refused: {done.stderr.strip() or f'status {done.returncode}'}"
        return ""

    def map_alone(self, maps: tuple[Map, Map]) -> None:
        """Write maps of one number each, which needs nobody's leave, but that groups cannot be dropped any more."""
        for name, text in (
            ("setgroups", "deny"),
            ("uid_map", " ".join(map(str, maps[0][0]))),
            ("gid_map", " ".join(map(str, maps[1][0]))),
        ):
            try:
                with open(f"/proc/{self.pid}/{name}", "w", encoding="ascii") as file:
                    file.write(text)
            except OSError as error:
                self.end()
                raise StrataError(
                    f"this machine lets {_name(os.geteuid())} have no user namespace with a map "
                    f"(write {text!r} to /proc/{self.pid}/{name}: {error.strerror}): try again with sudo"
                ) from error

    def go(self) -> int:
        """Let it be the keeper; its pid."""
        os.write(self._word, b"g")
        os.close(self._word)
        return self.pid

    def end(self) -> None:
        os.close(self._word)


def _keep(telling: int, waiting: int, running: int) -> NoReturn:
    """Be the keeper. It holds nothing of whoever made it: no terminal, no pipe, no directory."""
    os.setsid()
    try:
        if running >= 0:
            namespaces.setns(running, namespaces.CLONE_NEWUSER)
        else:
            namespaces.unshare(namespaces.CLONE_NEWUSER)
    except OSError as error:
        os.write(telling, b"-%d" % (error.errno or errno.EPERM))
        os._exit(1)
    os.write(telling, b"%d" % os.getpid())
    if not os.read(waiting, 1):
        os._exit(1)
    os.chdir("/")
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    processes.close_range(3)
    processes.reset_signals()
    for program in ("/bin/sleep", "/usr/bin/sleep"):
        try:
            os.execv(program, ["sleep", _FOR_EVER])
        except OSError:
            continue
    processes.set_name("strata-keeper")
    while True:
        select.select([], [], [])


def _refusal(number: int) -> str:
    """Why there is no user namespace, and who may change that."""
    what = f"this machine lets {_name(os.geteuid())} have no user namespace ({os.strerror(number)})"
    if number == errno.ENOSPC:
        return f"{what}: the limit in /proc/sys/user/max_user_namespaces is reached; try again with sudo"
    return (
        f"{what}: see the sysctls kernel.unprivileged_userns_clone and kernel.apparmor_restrict_unprivileged_userns, "
        "or try again with sudo"
    )
