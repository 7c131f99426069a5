"""Restart policies: a container that ends is started anew by its monitor, until its policy or the user ends that."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from engine import Engine
from engine.commands.monitors import monitor_of
from engine.commands.options import CreateOptions, ExecOptions
from engine.errors import Conflict, InvalidInput
from engine.runtime import sleeper
from engine.settings import Settings
from engine.store.container import ContainerState
from tests.support.command import Strata
from tests.support.running import engine, strata
from tests.support.waiting import until

__all__ = ["engine", "strata"]


def start(engine: Engine, name: str, policy: str, script: str, most: int = 0, **choices: object) -> str:
    settings = Settings(restart=policy, restart_max=most)
    options = CreateOptions(name=name, command=("sh", "-c", script), settings=settings)
    container = engine.create("tiny", options.replaced(**choices))
    engine.start(container)
    return container


def state(engine: Engine, container: str) -> ContainerState:
    return engine.container(container).state


def at_least(engine: Engine, container: str, starts: int) -> Callable[[], bool]:
    return lambda: state(engine, container).restarts >= starts


def waits(engine: Engine, container: str, starts: int) -> bool:
    found = state(engine, container)
    return found.status == "restarting" and found.restarts == starts


def words(engine: Engine, container: str) -> list[str]:
    return [line.data.decode().strip() for line in engine.logs(container)]


# Each start tells how often it was started, from a file of its read-write layer.
COUNTING = "echo x >> /count; wc -l < /count; "


def test_on_failure_starts_it_anew_so_often_in_the_same_layer_with_the_same_log(engine: Engine) -> None:
    container = start(engine, "failing", "on-failure", COUNTING + "exit 3", most=2)
    until(lambda: state(engine, container).status == "exited")
    ended = state(engine, container)
    assert (ended.exit_code, ended.restarts, ended.error, ended.stopped_by_user) == (3, 2, "", False)
    until(lambda: words(engine, container) == ["1", "2", "3"])
    shown = engine.inspect(container)
    assert shown["RestartCount"] == 2
    assert shown["HostConfig"]["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 2}
    engine.start(container)  # a start by the user counts anew
    until(lambda: state(engine, container).status == "exited" and len(words(engine, container)) == 6)
    assert state(engine, container).restarts == 2


def test_on_failure_leaves_one_that_succeeds_alone(engine: Engine) -> None:
    container = start(engine, "succeeding", "on-failure", COUNTING + "[ $(wc -l < /count) = 2 ]")
    until(lambda: state(engine, container).status == "exited")
    assert (state(engine, container).exit_code, state(engine, container).restarts) == (0, 1)


def test_wait_and_an_attached_run_hear_of_the_first_end_as_with_docker(engine: Engine, strata: Strata) -> None:
    done = strata.run("run", "--name", "heard", "--restart", "always", "tiny", "sh", "-c", "echo once; exit 5")
    assert (done.returncode, done.stdout) == (5, "once\n")
    assert engine.wait("heard") == 5
    assert state(engine, "heard").running
    engine.stop("heard")
    assert state(engine, "heard").status == "exited"


def test_while_it_waits_to_be_started_anew(engine: Engine, strata: Strata) -> None:
    container = start(engine, "waiting", "always", "exit 7")

    refused: list[Callable[[], object]] = [
        lambda: engine.exec(container, ExecOptions(command=("true",))),
        lambda: engine.pause(container),
        lambda: engine.start(container, attach=True),
        lambda: engine.remove(container),
    ]

    def look() -> None:
        shown = engine.inspect(container)["State"]
        assert (shown["Status"], shown["Running"], shown["Restarting"]) == ("restarting", True, True)
        assert (shown["Pid"], shown["ExitCode"]) == (0, 7)
        assert "Restarting (7) " in strata("ps", "--filter", "name=waiting")
        for what in refused:
            with pytest.raises(Conflict, match="restarting"):
                what()

    # It waits twice as long each time: on a slow machine what was begun too late is tried again.
    for starts in range(5, 12):
        until(partial(waits, engine, container, starts), 120)
        try:
            look()
        except AssertionError:
            if state(engine, container).restarts == starts:
                raise
        else:
            break
    engine.kill(container, "HUP")  # nothing is there to hear it
    assert state(engine, container).running
    engine.stop(container)
    ended = state(engine, container)
    assert (ended.status, ended.exit_code, ended.stopped_by_user) == ("exited", 7, True)
    with pytest.raises(Conflict, match="is not running"):
        engine.kill(container)
    assert not os.path.exists(engine.store.containers.path(container, "control.sock"))
    engine.start(container)
    until(lambda: state(engine, container).status == "restarting")
    engine.kill(container)
    assert state(engine, container).status == "exited"
    engine.start(container)
    until(lambda: state(engine, container).status == "restarting")
    engine.remove(container, force=True)
    assert not os.path.exists(engine.store.containers.path(container))


def test_stopping_it_at_any_moment_of_its_starts_is_the_end(engine: Engine) -> None:
    """Also while a starter is at work: nothing of it goes on, and the group is gone."""
    container = start(engine, "raced", "always", "exit 1")
    for number in range(8):
        until(at_least(engine, container, number % 3))
        engine.stop(container)
        assert state(engine, container).status == "exited"
        assert engine.processes(container) == []
        engine.start(container)
    engine.remove(container, force=True)


@pytest.mark.parametrize("ending", ["TERM", "KILL"])
def test_what_the_user_ends_stays_ended(engine: Engine, ending: str) -> None:
    container = start(
        engine, f"ended-{ending}", "always", "trap 'exit 0' TERM; trap 'exit 4' HUP; echo; while :; do sleep 0.05; done"
    )
    until(lambda: len(words(engine, container)) == 1)
    engine.kill(container, "HUP")  # no wish to end it: it dies of that, and comes again
    until(lambda: len(words(engine, container)) == 2)
    engine.kill(container, ending)
    until(lambda: state(engine, container).status == "exited")
    assert state(engine, container).exit_code == (0 if ending == "TERM" else 137)
    engine.remove(container)


def test_after_an_exec_it_is_born_into_a_new_pid_namespace(engine: Engine) -> None:
    container = start(engine, "joined", "on-failure", "echo $$; sleep 1000")
    assert engine.exec(container, ExecOptions(command=("true",))).wait() == 0
    first = state(engine, container)
    os.kill(first.pid, signal.SIGKILL)  # by nobody who asked us
    until(lambda: state(engine, container).restarts == 1 and state(engine, container).status == "running")
    again = state(engine, container)
    assert again.monitor_pid == first.monitor_pid
    until(lambda: words(engine, container) == ["1", "1"])
    assert engine.exec(container, ExecOptions(command=("true",))).wait() == 0
    engine.remove(container, force=True)


def test_a_start_that_fails_says_why_and_is_the_last(engine: Engine) -> None:
    container = start(engine, "broken", "always", "sleep 1000")
    rootfs = Path(engine.store.containers.path(container, "rootfs"))
    rootfs.rmdir()
    os.kill(state(engine, container).pid, signal.SIGKILL)
    until(lambda: state(engine, container).status == "exited")
    ended = state(engine, container)
    assert ended.exit_code == 128
    assert ended.error.startswith("it could not be started anew: ") and str(rootfs) in ended.error
    rootfs.mkdir()
    engine.remove(container)


def test_the_monitor_hears_of_a_changed_policy(engine: Engine) -> None:
    container = start(engine, "updated", "always", "sleep 1000")
    monitor_of(engine._context, engine.container(container)).update(restart=("no", 0))
    os.kill(state(engine, container).pid, signal.SIGKILL)
    until(lambda: state(engine, container).status == "exited")
    assert state(engine, container).exit_code == 137
    engine.remove(container)


def test_a_monitor_killed_while_it_waits_or_starts_is_noticed(engine: Engine) -> None:
    container = start(engine, "orphaned", "always", "exit 1")
    for number in (1, 2, 3):
        until(at_least(engine, container, number))
        os.kill(state(engine, container).monitor_pid, signal.SIGKILL)
        until(lambda: state(engine, container).status == "exited")
        assert state(engine, container).error == "the container's monitor died"
        engine.start(container)
    engine.remove(container, force=True)


def test_one_command_starts_what_a_reboot_ended(engine: Engine, strata: Strata) -> None:
    sleeping = {
        name: start(engine, f"boot-{name}", *policy, "sleep 1000")
        for name, policy in {
            "no": ("no",),
            "always": ("always",),
            "unless": ("unless-stopped",),
            "unless-stopped": ("unless-stopped",),
            "always-stopped": ("always",),
            "failed": ("on-failure",),
        }.items()
    }
    engine.create("tiny", CreateOptions(name="boot-never", command=("true",), settings=Settings(restart="always")))
    for name in ("unless-stopped", "always-stopped"):
        engine.stop(sleeping[name], timeout=0)
    ran = [name for name in sleeping if not name.endswith("-stopped")]
    for name in ran:
        # As after a reboot: the file says "running", and by chance a process has the number and the start time.
        pretended = state(engine, sleeping[name]).replaced(boot="another run of the machine")
        engine.kill(sleeping[name])
        me = os.getpid()
        from engine.kernel.proc import start_time

        engine.store.containers.set_state(
            sleeping[name], pretended.replaced(monitor_pid=me, monitor_start=start_time(me) or 0)
        )
        lost = state(engine, sleeping[name])
        assert (lost.status, lost.exit_code, lost.error) == ("exited", 255, "the machine stopped while it ran")
    wanted = ["boot-always", "boot-unless", "boot-always-stopped", "boot-failed"]
    found = [name for name in strata("system", "restart", "--dry-run").split() if name.startswith("boot-")]
    assert found == wanted
    strata("system", "restart")
    for name in sleeping:
        assert state(engine, sleeping[name]).running == (f"boot-{name}" in wanted)
    assert [name for name in strata("system", "restart").split() if name.startswith("boot-")] == []


def test_what_cannot_be_is_refused_in_dockers_words(engine: Engine, strata: Strata) -> None:
    for policy, said in {
        "foo": "unknown policy 'foo'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'",
        "always:3": "maximum retry count can only be used with 'on-failure'",
        "on-failure:-1": "maximum retry count cannot be negative",
        "on-failure:x": "invalid restart policy format: maximum retry count must be an integer",
        ":3": "invalid restart policy format: no policy provided before colon",
    }.items():
        done = strata.run("run", "--restart", policy, "tiny", "true")
        assert (done.returncode, said in done.stderr) == (125, True), done.stderr
    done = strata.run("run", "--rm", "--restart", "always", "tiny", "true")
    assert done.returncode == 125
    assert "conflicting options: cannot specify both --restart and --rm" in done.stderr
    with pytest.raises(InvalidInput):
        start(engine, "both", "always", "true", auto_remove=True)


def test_a_monitor_at_rest_wakes_to_start_it_anew(engine: Engine) -> None:
    if not sleeper.known():
        pytest.skip("monitors do not rest on this processor")
    container = start(engine, "resting", "always", "echo up; sleep 1000")
    assert engine.exec(container, ExecOptions(command=("true",))).wait() == 0
    first = state(engine, container)
    cmdline = Path(f"/proc/{first.monitor_pid}/cmdline")
    until(lambda: cmdline.read_bytes() == b"strata-monitor\0", 60)
    os.kill(first.pid, signal.SIGKILL)
    until(lambda: state(engine, container).restarts == 1 and state(engine, container).status == "running")
    assert state(engine, container).monitor_pid == first.monitor_pid
    assert words(engine, container) == ["up", "up"]
    until(lambda: cmdline.read_bytes() == b"strata-monitor\0", 60)  # and lies down again
    engine.stop(container, timeout=0)
    assert state(engine, container).status == "exited"
