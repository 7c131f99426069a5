"""Containers that are gone leave no mount, cgroup, link, process, descriptor or file, many in a row or at once."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.demo import image
from engine import Engine
from engine.commands.options import CreateOptions
from tests.support import leftovers
from tests.support.command import Strata
from tests.support.leftovers import Snapshot
from tests.support.needs import needs_root
from tests.support.waiting import until

IN_A_ROW = 200
AT_ONCE = 50
COMMANDS_AT_ONCE = 12


@pytest.fixture
def strata() -> Iterator[Strata]:
    needs_root()
    leftovers.adopt_orphans(True)
    with Strata() as command:
        yield command
    leftovers.adopt_orphans(False)


@pytest.fixture
def engine(strata: Strata) -> Iterator[Engine]:
    with Engine(strata.root) as engine:
        image.ensure(engine)
        # What a store makes once, at its first start, is no leftover of a container.
        engine.remove(run(engine, "true"), force=True)
        yield engine


@pytest.fixture
def before(engine: Engine) -> Snapshot:
    """What is there before the test: an image, but no launcher, container, mount or cgroup."""
    engine.close()
    leftovers.take(engine.root)
    now = leftovers.take(engine.root)
    assert not now.cgroups and not now.mounts
    return now


def left_behind(engine: Engine, before: Snapshot) -> list[str]:
    assert engine.containers(all=True) == []
    engine.close()
    return leftovers.settle(engine.root, before)


def run(engine: Engine, *command: str) -> str:
    container, _ = engine.run("demo", CreateOptions(command=command))
    return container


@pytest.mark.timeout(300)
def test_two_hundred_containers_in_a_row_leave_nothing(engine: Engine, before: Snapshot) -> None:
    for number in range(IN_A_ROW):
        if number % 4 == 3:  # one in four does not end by itself
            container = run(engine, "sleep", "1000")
            engine.kill(container)
            assert engine.wait(container) == 137
        else:
            container = run(engine, "sh", "-c", f"echo {number} >/new; rm /etc/motd; exit 7")
            assert engine.wait(container) == 7
        engine.remove(container)
    assert left_behind(engine, before) == []


@pytest.mark.timeout(300)
def test_fifty_containers_at_once_leave_nothing(engine: Engine, before: Snapshot) -> None:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        containers = list(pool.map(lambda _: run(engine, "sleep", "1000"), range(AT_ONCE)))
        assert len(set(containers)) == AT_ONCE
        rows = engine.containers()
        assert {row.id for row in rows} == set(containers)
        assert len({row.pid for row in rows}) == AT_ONCE
        during = leftovers.take(engine.root)
        assert len(during.processes - before.processes) >= 2 * AT_ONCE  # each has its first process and a monitor
        assert not during.mounts  # the merged views are in the containers' own mount namespaces
        list(pool.map(lambda container: engine.remove(container, force=True), containers))
    assert left_behind(engine, before) == []


@pytest.mark.timeout(300)
def test_commands_at_the_same_time_leave_nothing(strata: Strata, engine: Engine, before: Snapshot) -> None:
    """Each command brings its own launcher: none may outlive it, whether it waits for the container or not."""
    running, nothing, piped = [], subprocess.DEVNULL, subprocess.PIPE
    for number in range(COMMANDS_AT_ONCE):
        how = ["--detach"] if number % 2 else []
        argv = strata.argv("run", "--rm", *how, "demo", "sh", "-c", "sleep 0.3; exit 3")
        running.append(subprocess.Popen(argv, env=strata.env, stdin=nothing, stdout=piped, stderr=piped))
    for number, process in enumerate(running):
        printed = process.communicate(timeout=60)
        assert process.returncode == (0 if number % 2 else 3), printed
    # Those in the background end, and are removed, a little later.
    until(lambda: not engine.containers(all=True))
    assert left_behind(engine, before) == []
