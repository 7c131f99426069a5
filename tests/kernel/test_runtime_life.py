"""Pausing, signals, waiting and the end: what the monitor does besides passing bytes on."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
from pathlib import Path

import pytest

from engine.errors import Conflict, InvalidInput, NotRunning, StartFailed
from engine.kernel.proc import start_time
from engine.runtime.client import Launcher, Monitor
from tests.support.runtime import Config, Ended, Lab, collect, eventually, eventually_empty, gone, lab

__all__ = ["lab"]

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z")
COUNTER = "trap 'echo signal >> /signals' TERM CONT STOP TSTP; i=0; while :; do i=$((i+1)); echo $i > /count; done"


def state(lab: Lab, config: Config) -> dict[str, object]:
    found = json.loads((lab.directory(config) / "state.json").read_text())
    assert isinstance(found, dict)
    return found


def test_the_state_follows_the_life(lab: Lab) -> None:
    config = lab.create("sleep", "1000")
    started = lab.start(config)
    pid, monitor = lab.pids(config)
    assert started.pid == pid
    running = state(lab, config)
    assert {key: running[key] for key in ("status", "pid", "pid_start", "monitor_pid", "monitor_start")} == {
        "status": "running",
        "pid": pid,
        "pid_start": start_time(pid),
        "monitor_pid": monitor,
        "monitor_start": start_time(monitor),
    }
    assert TIME.fullmatch(str(running["started"]))
    assert running["finished"] == ""
    lab.monitor(config).pause()
    assert state(lab, config) == {**running, "status": "paused"}
    lab.monitor(config).resume()
    assert state(lab, config) == running
    lab.monitor(config).signal(signal.SIGKILL, stop=True)
    eventually(lambda: state(lab, config)["status"] == "exited")
    ended = state(lab, config)
    assert (ended["exit_code"], ended["pid"], ended["monitor_pid"]) == (137, 0, 0)
    assert (ended["error"], ended["oom_killed"], ended["stopped_by_user"]) == ("", False, True)
    assert ended["started"] == running["started"]
    assert TIME.fullmatch(str(ended["finished"]))
    assert str(ended["started"]) < str(ended["finished"])


def test_a_paused_container_stands_still_and_has_seen_no_signal(lab: Lab) -> None:
    config = lab.running("sh", "-c", COUNTER)
    count = lab.upper(config) / "count"
    eventually(lambda: count.exists() and count.read_text())
    monitor = lab.monitor(config)
    monitor.pause()
    seen = count.read_text()
    for _ in range(50):
        assert count.read_text() == seen
    assert monitor.info()["status"] == "paused"
    with pytest.raises(Conflict, match="container lab is already paused"):
        monitor.pause()
    monitor.resume()
    eventually(lambda: count.read_text() not in ("", seen))
    with pytest.raises(Conflict, match="container lab is not paused"):
        monitor.resume()
    assert not (lab.upper(config) / "signals").exists()


def test_a_paused_container_can_be_killed(lab: Lab) -> None:
    config = lab.running()
    monitor = lab.monitor(config)
    monitor.pause()
    monitor.signal(signal.SIGKILL)
    eventually(lambda: state(lab, config)["status"] == "exited")
    assert state(lab, config)["exit_code"] == 137


def test_signals_reach_the_first_process(lab: Lab) -> None:
    script = "trap 'exit 42' USR1; echo ready; while :; do sleep 0.02; done"
    session = lab.session(lab.create("sh", "-c", script, name="catcher"))
    assert session.read() == ("stdout", b"ready\n")
    monitor = Monitor(session_socket(lab), "catcher")
    monitor.signal(0)
    with pytest.raises(InvalidInput, match="invalid signal: 1000"):
        monitor.signal(1000)
    monitor.signal(signal.SIGUSR1)
    assert session.wait() == 42


def session_socket(lab: Lab) -> str:
    (directory,) = (lab.root / "containers").iterdir()
    return str(directory / "control.sock")


def test_many_wait_and_all_are_told(lab: Lab) -> None:
    config = lab.running("sh", "-c", "while [ ! -e /go ]; do sleep 0.02; done; exit 9")
    told: list[int] = []
    waiters = [threading.Thread(target=lambda: told.append(lab.monitor(config).wait())) for _ in range(5)]
    for waiter in waiters:
        waiter.start()
    eventually(lambda: lab.monitor(config).info()["waiting"] == 5)
    assert collect(lab.monitor(config).exec(("touch", "/go"))).status == 0
    for waiter in waiters:
        waiter.join(20)
    assert told == [9] * 5
    with pytest.raises(NotRunning):
        lab.monitor(config).wait()
    assert not lab.monitor(config).alive()


def test_a_signal_s_end_is_128_and_its_number(lab: Lab) -> None:
    session = lab.session(lab.create("sleep", "1000"))
    session.signal(signal.SIGKILL)
    assert session.wait() == 137
    inner = lab.monitor(lab.running()).exec(("sh", "-c", "kill -SEGV $$"))
    assert inner.wait() == 139


def test_children_left_behind_die_with_the_first_process(lab: Lab) -> None:
    config = lab.create("sh", "-c", "(setsid sleep 1000 &); sleep 0.2; exit 3")
    assert lab.run(config) == Ended(3, b"", b"")
    assert lab.groups() == []


def test_nothing_is_left_after_the_end(lab: Lab) -> None:
    config = lab.create("sh", "-c", "echo hello; echo x > /new")
    pid = lab.start(config).pid
    eventually(lambda: state(lab, config)["status"] == "exited")
    assert gone(pid)
    assert lab.groups() == []
    assert sorted(path.name for path in lab.directory(config).iterdir()) == sorted(
        ["hostname", "hosts", "log.json", "resolv.conf", "rootfs", "state.json", "trace.jsonl"]
    )
    assert list((lab.directory(config) / "rootfs").iterdir()) == []


def test_one_that_removes_itself_leaves_nothing_once_its_end_is_told(lab: Lab) -> None:
    config = lab.create("sh", "-c", "echo x > /new; exit 4", auto_remove=True)
    assert lab.run(config).status == 4
    assert not lab.directory(config).exists()
    assert not lab.upper(config).parent.exists()
    assert eventually_empty(lambda: os.listdir(lab.root / "tmp")) == []


def test_removing_itself_waits_for_who_holds_it(lab: Lab) -> None:
    from engine.store.locks import lock_directory

    config = lab.create("true", auto_remove=True)
    held = lock_directory(str(lab.directory(config)))
    assert held is not None
    session = lab.session(config)
    eventually(lambda: state(lab, config)["status"] == "exited")
    assert lab.directory(config).exists()
    held.release()
    assert session.wait() == 0
    assert not lab.directory(config).exists()


def test_one_launcher_starts_many_at_once_and_reaps_them(lab: Lab) -> None:
    configs = [lab.create("sh", "-c", f"exit {number}") for number in range(12)]
    ended: dict[int, int] = {}
    threads = [
        threading.Thread(target=lambda number=number, config=config: ended.update({number: lab.run(config).status}))
        for number, config in enumerate(configs)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert ended == {number: number for number in range(12)}
    assert eventually_empty(lambda: zombies(lab.launcher._pid)) == []


def zombies(parent: int) -> list[str]:
    """Dead children that a process has not reaped."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if fields[0] == "Z" and int(fields[1]) == parent:
            found.append(stat.parent.name)
    return found


def test_containers_outlive_the_launcher(lab: Lab) -> None:
    config = lab.create("sh", "-c", "while [ ! -e /go ]; do sleep 0.02; done; exit 6")
    with Launcher.spawn() as launcher:
        session = launcher.start(lab.plan(config), attach=True).session
        assert session is not None
        pid = launcher._pid
    assert gone(pid)
    assert collect(lab.monitor(config).exec(("touch", "/go"))).status == 0
    assert session.wait() == 6


def test_a_killed_launcher_is_replaced(lab: Lab) -> None:
    assert lab.run(lab.create("true")).status == 0
    os.kill(lab.launcher._pid, signal.SIGKILL)
    eventually(lambda: gone(lab.launcher._pid))
    for _ in range(3):
        assert lab.run(lab.create("true")).status == 0


def test_the_trace_tells_what_was_done(lab: Lab) -> None:
    config = lab.create("true")
    assert lab.run(config).status == 0
    steps = [json.loads(line) for line in (lab.directory(config) / "trace.jsonl").read_text().splitlines()]
    calls = [step["call"] for step in steps]
    wanted = ["mkdir", "clone3", "unshare", "fsopen", "move_mount", "sethostname", "pivot_root", "capset", "execve"]
    assert [call for call in wanted if call not in calls] == []
    assert calls.index("clone3") < calls.index("pivot_root") < calls.index("capset")
    assert any("mount -t overlay" in step["shell"] and str(lab.upper(config)) in step["shell"] for step in steps)
    assert all(set(step) == {"at", "call", "args", "result", "errno", "ns", "shell"} for step in steps)


def test_a_failed_start_says_why_and_leaves_the_container_as_it_was(lab: Lab) -> None:
    config = lab.create("true", layers=("base", "missing"))
    with pytest.raises(StartFailed, match="missing") as refused:
        lab.start(config)
    assert refused.value.exit_status == 125
    assert not (lab.directory(config) / "state.json").exists()
    assert lab.groups() == []
    (lab.layer("missing")).joinpath("here").touch()
    assert lab.run(config).status == 0


def test_another_user_is_told_that_it_needs_root(lab: Lab) -> None:
    pid = os.fork()
    if pid == 0:
        try:
            os.setresuid(12345, 12345, 12345)
            Launcher.spawn()
        except StartFailed as refused:
            os._exit(0 if "needs root" in str(refused) and refused.exit_status == 125 else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_a_monitor_stays_small(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    """The bar, 4 MB with a launcher of its own each, is held by tests/bench; here nothing may be wildly wrong."""
    configs = [lab.create("sleep", "1000") for _ in range(3)]
    sizes = []
    for config in configs:
        with Launcher.spawn() as launcher:
            launcher.start(lab.plan(config))
        assert collect(lab.monitor(config).exec(("true",))).status == 0
    for config in configs:
        rollup = Path(f"/proc/{lab.pids(config)[1]}/smaps_rollup").read_text()
        sizes.append(sum(int(size) for size in re.findall(r"^Private_(?:Clean|Dirty): +(\d+) kB", rollup, re.M)))
    with capsys.disabled():
        print(f"\nprivate memory of three monitors: {sizes} KiB")
    assert max(sizes) < 8192
