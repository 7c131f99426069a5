"""Health checks: run by the monitor, counted as docker counts them, shown by inspect, ps and events."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from engine import Engine
from engine.commands.options import CreateOptions, ExecOptions
from engine.settings import Health, Settings
from tests.support.command import Strata
from tests.support.running import engine, strata
from tests.support.waiting import until

SOON = 20_000_000  # nanoseconds: 20 ms
LONG = 3600 * 10**9


__all__ = ["engine", "strata"]


def start(engine: Engine, name: str, check: str, script: str = "sleep 1000", **rules: Any) -> str:
    health = Health(test=("CMD-SHELL", check), **{"interval": SOON, **rules})
    container = engine.create(
        "tiny", CreateOptions(name=name, command=("sh", "-c", script), settings=Settings(health=health))
    )
    engine.start(container)
    return container


def health(engine: Engine, container: str) -> dict[str, Any]:
    found: dict[str, Any] = engine.inspect(container)["State"]["Health"]
    return found


def is_now(engine: Engine, container: str, status: str) -> bool:
    return bool(health(engine, container)["Status"] == status)


def run(engine: Engine, container: str, script: str) -> None:
    assert engine.exec(container, ExecOptions(command=("sh", "-c", script))).wait() == 0


def test_from_starting_to_healthy_to_unhealthy_and_back(engine: Engine, strata: Strata) -> None:
    check = "echo looked; [ -e /well ]"
    container = start(engine, "well", check, retries=3, start_period=LONG, start_interval=SOON)
    # In its start period failures do not count.
    until(lambda: len(health(engine, container)["Log"]) == 5)
    assert (health(engine, container)["Status"], health(engine, container)["FailingStreak"]) == ("starting", 0)
    assert "(health: starting)" in strata("ps", "--filter", "health=starting")
    run(engine, container, "touch /well")
    until(lambda: is_now(engine, container, "healthy"))
    assert " (healthy)" in strata("ps", "--filter", "name=well")
    run(engine, container, "rm /well")
    until(lambda: is_now(engine, container, "unhealthy"))
    found = health(engine, container)
    assert found["FailingStreak"] >= 3
    assert len(found["Log"]) == 5
    assert [(one["ExitCode"], one["Output"]) for one in found["Log"][-3:]] == [(1, "looked\n")] * 3
    assert all(one["Start"] < one["End"] for one in found["Log"])
    assert " (unhealthy)" in strata("ps", "--filter", "health=unhealthy")
    assert engine.containers(filters={"health": ["none"]}) == []
    run(engine, container, "touch /well")
    until(lambda: is_now(engine, container, "healthy"))
    assert health(engine, container)["FailingStreak"] == 0
    engine.stop(container, timeout=0)
    assert health(engine, container)["Status"] == "unhealthy"  # as docker has it
    told = [
        event["Action"]
        for event in engine.events("2001-01-01T00:00:00Z", follow=False, filters={"event": ["health_status"]})
        if event["Actor"]["ID"] == container
    ]
    assert told == ["health_status: healthy", "health_status: unhealthy", "health_status: healthy"]
    assert engine.inspect(container)["Config"]["Healthcheck"] == {
        "Test": ["CMD-SHELL", check],
        "Interval": SOON,
        "StartPeriod": LONG,
        "StartInterval": SOON,
        "Retries": 3,
    }


def test_one_that_takes_too_long_is_killed_and_has_failed(engine: Engine) -> None:
    container = start(engine, "slow", "echo $$ > /pid; sleep 1000", timeout=200_000_000, retries=1)
    until(lambda: is_now(engine, container, "unhealthy"))
    last = health(engine, container)["Log"][0]
    assert (last["ExitCode"], last["Output"]) == (-1, "Health check exceeded timeout (0.2s)")
    # It comes again, and what was killed is gone: at most one of them is there at a time.
    until(lambda: len(health(engine, container)["Log"]) >= 2)
    until(lambda: len([one for one in engine.processes(container) if "echo $$" in str(one)]) <= 1)
    engine.remove(container, force=True)


def test_output_is_cut_and_a_command_that_does_not_exist_fails(engine: Engine) -> None:
    container = start(engine, "loud", "head -c 100000 /dev/zero | tr '\\0' x")
    until(lambda: is_now(engine, container, "healthy"))
    assert health(engine, container)["Log"][0]["Output"] == "x" * 4096 + "..."
    engine.remove(container, force=True)
    options = CreateOptions(
        name="missing", command=("sleep", "100"), settings=Settings(health=Health(("CMD", "/missing"), SOON, retries=1))
    )
    container, _ = engine.run("tiny", options)
    until(lambda: is_now(engine, container, "unhealthy"))
    last = health(engine, container)["Log"][0]
    assert last["ExitCode"] == 127 and "/missing" in last["Output"]
    engine.remove(container, force=True)


def test_while_it_is_paused_nothing_is_asked(engine: Engine, strata: Strata) -> None:
    container = start(engine, "frozen", "true")
    until(lambda: is_now(engine, container, "healthy"))
    engine.pause(container)
    assert "(Paused)" in strata("ps", "--filter", "name=frozen")
    before = health(engine, container)
    for _ in range(3):  # each takes longer than an interval
        strata("ps")
    assert health(engine, container) == before
    engine.unpause(container)
    until(lambda: health(engine, container)["Log"][-1] != before["Log"][-1])
    assert is_now(engine, container, "healthy")
    engine.remove(container, force=True)


def test_each_run_of_it_begins_anew(engine: Engine) -> None:
    container = start(engine, "again", "true")
    until(lambda: is_now(engine, container, "healthy"))
    engine.stop(container, timeout=0)
    engine.start(container)
    until(lambda: is_now(engine, container, "healthy"))
    path = Path(engine.store.containers.path(container, "health.json"))
    assert json.loads(path.read_text())["Status"] == "healthy"
    assert path.stat().st_mode & 0o077 == 0
    engine.remove(container, force=True)
    assert not os.path.exists(path)


def test_flags_and_the_image_are_merged_by_field(engine: Engine, strata: Strata) -> None:
    base = strata(
        *("create", "--name", "first", "--health-cmd", "true", "--health-interval", "1m30s"),
        *("--health-retries", "7", "--health-start-period", "2s", "tiny", "sleep", "1"),
    )
    engine.commit(base, "checked")
    made = strata("create", "--health-timeout", "500ms", "--health-retries", "2", "checked", "sleep", "1")
    assert engine.inspect(made)["Config"]["Healthcheck"] == {
        "Test": ["CMD-SHELL", "true"],
        "Interval": 90 * 10**9,
        "Timeout": 500_000_000,
        "StartPeriod": 2 * 10**9,
        "Retries": 2,
    }
    off = strata("run", "-d", "--no-healthcheck", "checked", "sleep", "100")
    assert engine.inspect(off)["Config"]["Healthcheck"]["Test"] == ["NONE"]
    assert "Health" not in engine.inspect(off)["State"]
    for flags, said in {
        ("--no-healthcheck", "--health-cmd", "x"): "--no-healthcheck conflicts with --health-* options",
        ("--health-interval", "1us"): "Interval in Healthcheck cannot be less than 1ms",
        ("--health-retries", "-1"): "--health-retries cannot be negative",
        ("--health-timeout", "5"): 'time: missing unit in duration "5"',
    }.items():
        done = strata.run("run", *flags, "tiny", "true")
        assert (done.returncode, said in done.stderr) == (125, True), done.stderr
    assert strata.run("ps", "--filter", "health=foo").stderr == "Error: Unrecognised filter value for health: foo\n"
