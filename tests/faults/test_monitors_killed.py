"""A killed monitor is noticed: nothing is said to run that nobody watches, and one command puts away what is left."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from engine import Engine
from engine.cgroups import detect
from engine.cgroups.names import parent_name
from engine.commands.options import CreateOptions, ExecOptions
from engine.kernel.proc import is_same
from engine.settings import Health, Settings
from engine.store.container import ContainerState
from tests.support.command import Strata
from tests.support.running import engine, strata
from tests.support.runtime import gone
from tests.support.waiting import until

__all__ = ["engine", "strata"]


def run(engine: Engine, name: str, *command: str, **settings: object) -> str:
    own = Settings(**settings)  # type: ignore[arg-type]
    return engine.run("tiny", CreateOptions(name=name, command=command or ("sleep", "1000"), settings=own))[0]


def state(engine: Engine, container: str) -> ContainerState:
    return engine.container(container).state


def kill_monitor(engine: Engine, container: str) -> ContainerState:
    """Its state before."""
    before = state(engine, container)
    os.kill(before.monitor_pid, signal.SIGKILL)
    until(lambda: gone(before.monitor_pid))
    return before


def groups(engine: Engine, container: str) -> list[str]:
    where = (f"{tree}/{parent_name(engine.root)}/{container}" for tree in detect().trees())
    return [path for path in where if os.path.exists(path)]


def test_it_is_shown_as_ended_and_put_away_by_one_command(engine: Engine, strata: Strata) -> None:
    container, other = run(engine, "lost"), run(engine, "watched")
    engine.pause(container)  # frozen: its processes cannot die with their monitor
    before = kill_monitor(engine, container)
    assert "Exited (255) " in strata("ps", "--all", "--filter", "name=lost")
    assert strata("inspect", "--format", "{{.State.Error}} {{.State.Pid}}", "lost") == "the container's monitor died 0"
    assert [row.name for row in engine.containers()] == ["watched"]
    assert engine.wait("lost") == 255
    assert groups(engine, container) != []
    said = strata("system", "check")
    assert f"leftover container {container}: the container's monitor died; its socket is left" in said
    assert other not in said
    said = strata("system", "check", "--repair")
    assert f"mended: container {container}: the container's monitor died" in said
    until(lambda: not is_same(before.pid, before.pid_start))
    assert groups(engine, container) == []
    assert not Path(engine.store.containers.path(container, "control.sock")).exists()
    written = engine.store.containers.recorded_state(container)
    assert (written.status, written.exit_code, written.error) == ("exited", 255, "the container's monitor died")
    died = list(engine.events("2001-01-01T00:00:00Z", follow=False, filters={"event": ["die"]}))
    assert [(event["Actor"]["ID"], event["Actor"]["Attributes"]["exitCode"]) for event in died] == [(container, "255")]
    assert strata("system", "check") == "The store is whole."
    assert state(engine, other).running
    assert engine.exec(other, ExecOptions(command=("true",))).wait() == 0
    engine.start(container)
    assert state(engine, container).running
    engine.remove(other, force=True)
    engine.remove(container, force=True)


def test_a_group_without_a_container_is_put_away(engine: Engine, strata: Strata) -> None:
    made = [f"{tree}/{parent_name(engine.root)}/{'ef' * 32}" for tree in detect().trees() if "cpuset" not in tree]
    for path in made:
        os.makedirs(path)
    left = subprocess.Popen(["sleep", "1000"])
    try:
        for path in made:
            Path(path, "cgroup.procs").write_text(str(left.pid))
        assert f"leftover container {'ef' * 32}: there is no such container; its control group is left" in strata(
            "system", "check"
        )
        strata("system", "check", "--repair")
        assert left.wait(60) == -signal.SIGKILL
        assert not any(map(os.path.exists, made))
    finally:
        left.kill()
        left.wait()


@pytest.mark.parametrize("when", range(6))
def test_killed_while_it_starts_its_container_anew_nothing_goes_on_alone(
    engine: Engine, strata: Strata, when: int
) -> None:
    """The monitor, or the starter that it spawned, at some moment of many starts."""
    container = run(engine, f"anew-{when}", "sh", "-c", "exit 1", restart="always")
    until(lambda: state(engine, container).restarts >= 1)
    monitor = state(engine, container).monitor_pid

    def starter() -> list[int]:
        found = []
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                if b"engine.commands.again" in Path(f"/proc/{name}/cmdline").read_bytes() and (
                    container.encode() in Path(f"/proc/{name}/cmdline").read_bytes()
                ):
                    found.append(int(name))
            except (FileNotFoundError, ProcessLookupError):
                continue
        return found

    until(starter, 60)
    victims = starter() if when % 2 else [monitor]
    for victim in victims:
        try:
            os.kill(victim, signal.SIGKILL)
        except ProcessLookupError:
            pass  # its work was done
    if when % 2:
        # Its monitor says why, or it was too late to matter and goes on.
        until(lambda: state(engine, container).status != "running" or state(engine, container).restarts > 2)
        ended = state(engine, container)
        if not ended.running:
            assert ended.exit_code == 128
            assert "the starter was killed before the container ran" in ended.error
    else:
        until(lambda: gone(monitor))
        assert state(engine, container).status == "exited"
        until(lambda: starter() == [])
    engine.remove(container, force=True)
    strata("system", "check", "--repair")
    assert groups(engine, container) == []


def test_a_health_check_and_a_restart_policy_do_not_outlive_their_monitor(engine: Engine, strata: Strata) -> None:
    check = Health(("CMD-SHELL", "sleep 1000"), 20_000_000)
    container = run(engine, "checked", health=check, restart="always")
    until(lambda: len(engine.processes(container)) == 2)
    kill_monitor(engine, container)
    strata("system", "check", "--repair")
    assert groups(engine, container) == []
    assert [one for one in strata("system", "restart").split() if one == "checked"] == ["checked"]
    assert state(engine, container).health == "starting"
    engine.remove(container, force=True)
