"""A container's control group: made, entered, frozen, killed, measured, removed, in whatever trees there are.

A group has one directory in each v1 tree and one in the v2 tree. Each question goes to the v1 controller that answers
it, where there is one, else to the v2 group.

Light: the monitor and init load this. How a process enters is told in joining.py.
"""

from __future__ import annotations

import errno
import os
import select
import time

import engine.cgroups.files as files
import engine.cgroups.trees as trees
from engine.cgroups.hierarchy import Hierarchy, detect
from engine.cgroups.joining import Joiner
from engine.kernel import proc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

FREEZE_SECONDS = 10.0
KILL_SECONDS = 10.0
REMOVE_SECONDS = 2.0

NOT_DELEGATED = (
    "the container has no control group of its own: none was delegated to the user who started it "
    "(with systemd: systemd-run --user --scope -p Delegate=yes strata …)"
)


def create(parent: str, name: str, hierarchy: Hierarchy | None = None) -> Group:
    """Make the group `parent`/`name` in every tree, new and empty.

    parent: one name, shared by the groups of a store, made if it is not there and removed by the last `Group.remove`.
    A group of this name left over from before is replaced; OSError EBUSY when processes are in it.
    """
    group = begin(parent, name, hierarchy)
    group.complete()
    return group


def begin(parent: str, name: str, hierarchy: Hierarchy | None = None) -> Group:
    """Make only the part that `Group.clone_fd` needs; `Group.complete` makes the rest, while the child is at work."""
    group = Group(hierarchy or detect(), parent, name)
    if group.v2:
        trees.make(group.hierarchy, group.hierarchy.unified, parent, name)
    return group


def open_group(parent: str, name: str, hierarchy: Hierarchy | None = None) -> Group:
    """The group of this name, which `create` made; nothing is looked at before a method needs it."""
    return Group(hierarchy or detect(), parent, name)


class Group:
    """A container's control group in every tree.

    path: `parent/name`, its place below each tree's root. directories: its directory in each tree, by the tree's mount
    point, the v2 one last. Methods raise FileNotFoundError when the group is gone.
    """

    __slots__ = ("directories", "hierarchy", "parent", "path")

    def __init__(self, hierarchy: Hierarchy, parent: str, name: str) -> None:
        self.hierarchy = hierarchy
        self.parent = parent
        self.path = f"{parent}/{name}"
        self.directories = {tree: f"{tree}/{self.path}" for tree in hierarchy.trees()}

    def v1(self, controller: str) -> str:
        """The group's directory in this controller's v1 tree, or "" when there is none."""
        tree = self.hierarchy.mounts.get(controller)
        return self.directories[tree] if tree else ""

    @property
    def v2(self) -> str:
        """The group's directory in the v2 tree, or "" when there is none."""
        return self.directories.get(self.hierarchy.unified, "")

    # Entering.

    def complete(self) -> None:
        """Make what `begin` left out: the group in the v1 trees."""
        for tree in self.directories:
            if tree != self.hierarchy.unified:
                trees.make(self.hierarchy, tree, self.parent, self.path.rpartition("/")[2])

    def clone_fd(self) -> int:
        """An O_PATH descriptor for `clone3(cgroup_fd=…)`, the caller's to close; -1 where there is no v2 tree."""
        return os.open(self.v2, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC) if self.v2 else -1

    def prepare(self) -> Joiner:
        """Open what joining needs, so that it works when these paths lead nowhere any more (another root)."""
        return Joiner(self)

    def join(self, born: bool = False) -> None:
        """The calling process, which must be single-threaded, enters. born: it came into the v2 group by clone3."""
        joiner = self.prepare()
        try:
            joiner.join(born)
        finally:
            joiner.close()

    # Processes.

    def pids(self) -> list[int]:
        """The processes in the group and in groups inside it, by their numbers in the caller's pid namespace.

        Ended ones that were not waited for are left out.
        """
        if not self.directories:
            return []
        directory = self.v1("freezer") or self.v1("pids") or next(iter(self.directories.values()))
        found: set[int] = set()
        for group in (directory, *files.below(directory)):
            try:
                found.update(map(int, files.read(f"{group}/cgroup.procs").split()))
            except OSError as error:
                if group == directory or error.errno not in (errno.ENOENT, errno.ENODEV):
                    raise
        return sorted(found)

    def freeze(self, seconds: float = FREEZE_SECONDS) -> None:
        """Stop every process where it is, without a signal; comes back when all stand still.

        OSError ETIMEDOUT, the group running again, when one does not within this time (waiting for a dead disk).
        """
        deadline = time.monotonic() + seconds
        pause = 0.0005
        if self.v1("freezer"):
            state = self.v1("freezer") + "/freezer.state"
            files.write(state, "FROZEN")
            while files.read(state).strip() != "FROZEN":
                if time.monotonic() > deadline:
                    self._gave_up(seconds)
                time.sleep(pause)
                pause = min(pause * 2, 0.02)
                files.write(state, "FROZEN")  # again: takes those in that were just being forked
            return
        events = files.opened(self._v2_file("cgroup.events"))
        try:
            changed = select.poll()
            changed.register(events, select.POLLPRI)
            files.write(self._v2_file("cgroup.freeze"), "1")
            while b"frozen 1" not in os.pread(events, 4096, 0):
                left = deadline - time.monotonic()
                if left <= 0:
                    self._gave_up(seconds)
                changed.poll(min(left, 0.1) * 1000)
        finally:
            os.close(events)

    def _gave_up(self, seconds: float) -> NoReturn:
        self.thaw()
        raise OSError(errno.ETIMEDOUT, f"cgroup {self.path}: not every process stood still within {seconds:g} s")

    def thaw(self) -> None:
        """Let the processes go on; fine when they do already."""
        if self.v1("freezer"):
            files.write(self.v1("freezer") + "/freezer.state", "THAWED")
        else:
            files.write(self._v2_file("cgroup.freeze"), "0")

    def frozen(self) -> bool:
        """Whether every process stands still."""
        if self.v1("freezer"):
            return files.read(self.v1("freezer") + "/freezer.state").strip() == "FROZEN"
        return files.fields(self._v2_file("cgroup.events")).get("frozen") == 1

    def kill(self, seconds: float = KILL_SECONDS) -> None:
        """SIGKILL every process, frozen ones too, and those they fork meanwhile; comes back when none is left.

        A group that is gone is fine. OSError ETIMEDOUT when some stay. The group is thawed afterwards: under a v1
        freezer nothing can die. It is good for nothing but `remove` then: Linux 6.14 to 6.18 at least
        kill what is born into it by CLONE_INTO_CGROUP.
        """
        deadline = time.monotonic() + seconds
        first = True
        while rest := self._kill_once(first):
            if time.monotonic() > deadline:
                raise OSError(errno.ETIMEDOUT, f"cgroup {self.path}: SIGKILL did not end {rest} within {seconds:g} s")
            first = False

    def _kill_once(self, first: bool) -> list[int]:
        """One round: at first by the kernel's own cgroup.kill; who is left after about 30 ms is given back."""
        try:
            if first and self.v2 and os.path.exists(self.v2 + "/cgroup.kill"):
                files.write(self.v2 + "/cgroup.kill", "1")
            else:
                self._kill_each()
            if self._freezable():
                self.thaw()
            rest, pause = self.pids(), 0.0005
            while rest and pause < 0.03:
                time.sleep(pause)
                pause *= 2
                rest = self.pids()
            return rest
        except FileNotFoundError:
            if any(map(os.path.exists, self.directories.values())):
                raise
            return []

    def _kill_each(self) -> None:
        """SIGKILL what is in the group now, held still meanwhile if that is possible, so that nothing forks away."""
        if self._freezable():
            try:
                self.freeze(1.0)
            except TimeoutError:
                pass  # what stands in the way of the freezer dies like the others, or is the caller's ETIMEDOUT
        held = []
        try:
            for pid in self.pids():
                try:
                    held.append((pid, proc.pidfd_open(pid)))
                except ProcessLookupError:
                    continue
            still = self.pids()  # a number given to a stranger since then is not in this list
            for pid, pidfd in held:
                if pid in still:
                    try:
                        proc.pidfd_send_signal(pidfd, proc.SIGKILL)
                    except ProcessLookupError:
                        continue
        finally:
            for _, pidfd in held:
                os.close(pidfd)

    # Measuring. None: no tree of this machine measures it.

    def memory(self) -> int | None:
        """Bytes of memory in use, without the file cache that the kernel would drop first, as docker shows it."""
        if self.v1("memory"):
            used, cache = "/memory.usage_in_bytes", "total_inactive_file"
        elif self._grants("memory"):
            used, cache = "/memory.current", "inactive_file"
        else:
            return None
        directory = self.v1("memory") or self.v2
        return max(int(files.read(directory + used)) - files.fields(directory + "/memory.stat").get(cache, 0), 0)

    def cpu(self) -> int | None:
        """Nanoseconds of processor time used so far, by all processors together."""
        if self.v1("cpuacct"):
            return int(files.read(self.v1("cpuacct") + "/cpuacct.usage"))
        if self.v2:
            return files.fields(self.v2 + "/cpu.stat").get("usage_usec", 0) * 1000
        return None

    def oom_kills(self) -> int | None:
        """How many processes of the group the kernel killed because memory ran out."""
        if self.v1("memory"):
            return files.fields(self.v1("memory") + "/memory.oom_control").get("oom_kill", 0)
        if self._grants("memory"):
            return files.fields(self.v2 + "/memory.events").get("oom_kill", 0)
        return None

    def remove(self, seconds: float = REMOVE_SECONDS) -> None:
        """Remove the group and those inside it from every tree, and the parent if this was its last; gone is fine.

        Waits this long for processes that are just ending. OSError EBUSY when some are left, with their numbers.
        """
        deadline = time.monotonic() + seconds
        for tree, directory in self.directories.items():
            trees.remove(directory, deadline)
            try:
                files.remove(f"{tree}/{self.parent}")
            except OSError as error:
                if error.errno not in (errno.EBUSY, errno.ENOTEMPTY, errno.ENOENT):
                    raise

    def _freezable(self) -> bool:
        return bool(self.v1("freezer") or self.v2)

    def _v2_file(self, name: str) -> str:
        if not self.directories:
            raise OSError(errno.ENODEV, NOT_DELEGATED)
        if not self.v2:
            raise OSError(errno.ENODEV, f"cgroup {self.path}: this machine has neither a v1 freezer nor a v2 tree")
        return f"{self.v2}/{name}"

    def _grants(self, controller: str) -> bool:
        """Whether the v2 group has this controller."""
        return bool(self.v2) and controller in files.read(self.v2 + "/cgroup.controllers").split()
