"""One suite for every shape of cgroups this machine can show: what it has, its v1 trees alone, its v2 tree alone."""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.cgroups import Group, Hierarchy, create, detect, open_group
from engine.kernel import processes
from tests.support.isolated import isolated
from tests.support.needs import needs_root

needs_root()

PARENT = f"strata-test-{os.getpid()}"
FOUND = detect()
SHAPES = {FOUND.shape: FOUND}
if FOUND.shape == "hybrid":
    SHAPES |= {"v1": Hierarchy(FOUND.mounts, ""), "v2": Hierarchy({}, FOUND.unified)}
MEASURED = [name for name in SHAPES if FOUND.shape == "v2" or "memory" in SHAPES[name].mounts]


@pytest.fixture(params=SHAPES)
def shape(request: pytest.FixtureRequest) -> Iterator[Hierarchy]:
    hierarchy = SHAPES[request.param]
    yield hierarchy
    for tree in hierarchy.trees():
        assert not Path(tree, PARENT).exists(), "a test left a group behind"


@pytest.fixture
def group(shape: Hierarchy) -> Iterator[Group]:
    made = create(PARENT, "box", shape)
    yield made
    made.kill()
    while True:
        try:
            os.wait()
        except ChildProcessError:
            break
    made.remove()


def start(group: Group, act: Callable[[], object], born: bool = True) -> int:
    """Run `act` in a new process of the group; its pid, once it is in. born: by clone3, else by writing alone."""
    ready, go = os.pipe()
    door = group.clone_fd() if born else -1
    pid, pidfd = processes.clone3(0, door)
    if pid == 0:
        try:
            group.join(born)
            os.close(go)
            act()
        finally:
            os._exit(0)
    os.close(go)
    os.read(ready, 1)  # at the end of the file
    for fd in (ready, pidfd, *([door] if door >= 0 else [])):
        os.close(fd)
    return pid


def asleep() -> None:
    time.sleep(600)


def membership(pid: int | str = "self") -> dict[str, str]:
    """The group a process is in, by controller; "" for the v2 tree."""
    lines = [line.split(":", 2) for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines()]
    return {controller: path for _, controllers, path in lines for controller in controllers.split(",")}


@pytest.mark.parametrize("born", [True, False])
def test_a_process_enters_every_tree_and_its_children_with_it(group: Group, born: bool) -> None:
    reader, writer = os.pipe()

    def fork() -> None:
        if child := os.fork():
            os.write(writer, b"%d" % child)
        asleep()

    pid = start(group, fork, born)
    child = int(os.read(reader, 20))
    wanted = dict.fromkeys(group.hierarchy.mounts, f"/{PARENT}/box")
    if group.v2:
        wanted[""] = f"/{PARENT}/box"
    for member in (pid, child):
        assert wanted.items() <= membership(member).items()
    assert group.pids() == sorted([pid, child])
    assert os.getpid() not in group.pids()
    os.close(reader)
    os.close(writer)


def test_a_joiner_works_after_the_root_has_changed(group: Group, tmp_path: Path) -> None:
    def act() -> list[str]:
        joiner = group.prepare()
        before = os.open("/proc/self/cgroup", os.O_RDONLY)
        os.chroot(tmp_path)
        joiner.join()
        joiner.close()
        return os.read(before, 4096).decode().splitlines()

    entered = [line for line in isolated(act, 0) if line.endswith(f":/{PARENT}/box")]
    assert len(entered) == len(group.directories)


def test_frozen_processes_stand_still_feel_no_signal_and_go_on(group: Group, tmp_path: Path) -> None:
    counter, signals = tmp_path / "counter", tmp_path / "signals"

    def count() -> None:
        for number in range(signal.SIGHUP, signal.SIGRTMAX):
            if number not in (signal.SIGKILL, signal.SIGSTOP, 32, 33):
                signal.signal(number, lambda caught, _: signals.write_text(str(caught)))
        fd, number = os.open(counter, os.O_CREAT | os.O_WRONLY), 0
        while True:
            os.pwrite(fd, b"%020d" % (number := number + 1), 0)

    counter.write_text("")
    start(group, count)
    while not counter.read_text():
        time.sleep(0.005)
    group.freeze()
    assert group.frozen()
    before = counter.read_text()
    time.sleep(0.1)
    assert counter.read_text() == before
    group.freeze()  # again: fine
    group.thaw()
    assert not group.frozen()
    deadline = time.monotonic() + 10
    while counter.read_text() == before and time.monotonic() < deadline:
        time.sleep(0.005)
    assert counter.read_text() != before
    assert not signals.exists()
    group.thaw()  # again: fine


def test_an_empty_group_freezes(group: Group) -> None:
    group.freeze()
    assert group.frozen()
    group.thaw()


def forking() -> None:
    """A few processes that end and are followed by their children, on and on."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for _ in range(3):
        if os.fork() == 0:
            break
    while True:
        if os.fork():
            os._exit(0)


def test_processes_that_fork_all_the_time_are_frozen_whole(group: Group) -> None:
    start(group, forking)
    group.freeze()
    before = group.pids()
    time.sleep(0.1)
    assert group.pids() == before != []


def deaf() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 64))
    asleep()


@pytest.mark.parametrize("frozen", [False, True])
def test_kill_ends_everything_even_what_forks_or_is_frozen(group: Group, frozen: bool) -> None:
    start(group, forking)
    start(group, deaf)
    if frozen:
        group.freeze()
    group.kill()
    assert group.pids() == []
    assert not group.frozen()


def test_kill_reaches_processes_that_are_in_the_v1_trees_only(group: Group) -> None:
    """An exec that joined before it was born right, or another tool's process."""
    if group.hierarchy.shape != "hybrid":
        start(group, asleep)
    else:
        start(open_group(PARENT, "box", Hierarchy(group.hierarchy.mounts, "")), asleep)
    assert group.pids() != []
    group.kill()
    assert group.pids() == []


def test_groups_that_the_container_made_inside_are_frozen_killed_and_removed_too(group: Group) -> None:
    pid = start(group, asleep)
    for directory in group.directories.values():
        inner = Path(directory, "inner")
        inner.mkdir()
        if (inner / "cpuset.cpus").exists():
            for name in ("cpuset.cpus", "cpuset.mems"):
                (inner / name).write_text(Path(directory, name).read_text())
        (inner / "cgroup.procs").write_text(str(pid))
    assert group.pids() == [pid]
    group.freeze()
    assert group.frozen()
    group.kill()
    os.waitpid(pid, 0)
    group.remove()
    assert not any(Path(directory).exists() for directory in group.directories.values())


def test_processor_time_and_memory_grow_with_use(group: Group) -> None:
    reader, writer = os.pipe()

    def work() -> None:
        kept = b"x" * (30 << 20)
        while time.process_time() < 0.05:
            pass
        os.write(writer, kept[:1])
        asleep()

    start(group, work)
    os.read(reader, 1)
    assert (group.cpu() or 0) > 40_000_000
    measured = group.memory()
    if FOUND.shape == "hybrid" and not group.v1("memory"):
        assert measured is None  # its v2 tree has no memory controller
    else:
        assert measured is not None and measured > 30 << 20
        assert group.oom_kills() == 0
    os.close(reader)
    os.close(writer)


@pytest.mark.parametrize("shape", MEASURED, indirect=True)
def test_a_process_that_runs_out_of_memory_is_counted(group: Group) -> None:
    limit = Path(group.v1("memory") or group.v2, "memory.limit_in_bytes" if group.v1("memory") else "memory.max")
    limit.write_text(str(20 << 20))
    pid = start(group, lambda: bytearray(200 << 20))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    assert group.oom_kills() == 1


def test_a_group_in_use_is_not_removed_and_its_processes_are_named(group: Group) -> None:
    pid = start(group, asleep)
    with pytest.raises(OSError, match=rf"in use by {pid}$") as caught:
        group.remove(0.05)
    assert caught.value.errno == errno.EBUSY


def test_removal_waits_for_processes_that_are_just_ending(group: Group) -> None:
    start(group, lambda: time.sleep(0.2))
    group.remove(10)
    assert not any(Path(directory).exists() for directory in group.directories.values())
    group.remove()  # gone already: fine
    group.kill()


def test_the_last_group_takes_the_parent_with_it_and_no_other_does(shape: Hierarchy) -> None:
    one, two = create(PARENT, "one", shape), create(PARENT, "two", shape)
    one.remove()
    assert all(Path(tree, PARENT, "two").exists() for tree in shape.trees())
    two.remove()
    assert not any(Path(tree, PARENT).exists() for tree in shape.trees())


def test_a_leftover_is_replaced_unless_it_is_in_use(group: Group) -> None:
    marks = [Path(directory, "inner") for directory in group.directories.values()]
    for mark in marks:
        mark.mkdir()
    create(PARENT, "box", group.hierarchy)
    assert not any(mark.exists() for mark in marks)
    pid = start(group, asleep)
    with pytest.raises(OSError, match=f"in use by {pid}"):
        create(PARENT, "box", group.hierarchy)
    assert group.pids() == [pid]


def test_groups_come_and_go_side_by_side(shape: Hierarchy) -> None:
    """Four commands at once; each time the parent may be the one that another is just removing."""

    def come_and_go(number: int) -> None:
        for turn in range(200):
            group = create(PARENT, f"box{number}-{turn}", shape)
            group.prepare().close()
            group.remove()

    children = []
    for number in range(4):
        pid = os.fork()
        if pid == 0:
            try:
                come_and_go(number)
                os._exit(0)
            finally:
                os._exit(1)
        children.append(pid)
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * 4
