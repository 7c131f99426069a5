"""A monitor rests while nothing happens, in a few pages, and does all it did before when something does."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path

from engine.kernel.proc import start_time
from engine.runtime import sleeper
from engine.runtime.rest import PATIENCE
from tests.support.runtime import Config, Lab, collect, eventually, gone, lab

__all__ = ["lab"]


def asleep(pid: int) -> bool:
    """Whether a monitor rests: no interpreter is mapped, and it has its name again."""
    comm = Path(f"/proc/{pid}/comm").read_text()
    return comm == "strata-monitor\n" and "python" not in Path(f"/proc/{pid}/maps").read_text()


def state(lab: Lab, config: Config) -> dict[str, object]:
    found: dict[str, object] = json.loads((lab.directory(config) / "state.json").read_text())
    return found


def rested(lab: Lab, config: Config) -> int:
    """The monitor of a container, as soon as it rests: its pid."""
    pid = state(lab, config)["monitor_pid"]
    assert isinstance(pid, int)
    eventually(lambda: asleep(pid), 90)
    return pid


def test_it_knows_this_processor() -> None:
    assert sleeper.known() == (os.uname().machine in ("x86_64", "aarch64"))


def test_a_monitor_at_rest_is_the_same_process_and_keeps_next_to_nothing(lab: Lab) -> None:
    config = lab.running()
    before = state(lab, config)
    pid = rested(lab, config)
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    private = sum(int(size) for size in re.findall(r"^Private_(?:Clean|Dirty): +(\d+) kB", rollup, re.MULTILINE))
    assert private <= 64
    assert start_time(pid) == before["monitor_start"]
    assert Path(f"/proc/{pid}/comm").read_text() == "strata-monitor\n"
    assert lab.pids(config) == (before["pid"], pid)  # it answers
    assert not gone(int(str(before["pid"])))


def test_what_a_container_does_wakes_it(lab: Lab) -> None:
    script = "while read line; do echo got $line; printf part; done; exit 7"
    config = lab.create("sh", "-c", script, open_stdin=True)
    lab.start(config)
    rested(lab, config)
    session = lab.monitor(config).attach(stdin=True)
    session.write(b"one\n")
    found = b""
    while b"part" not in found:
        found += session.read()[1]
    session.close()
    rested(lab, config)  # with half a line that is not in the log yet
    session = lab.monitor(config).attach(stdin=True)
    session.write(b"two\n")
    session.close_stdin()
    assert collect(session).status == 7
    log = [json.loads(line)["log"] for line in (lab.directory(config) / "log.json").read_text().splitlines()]
    assert log == ["got one\n", "partgot two\n", "part"]
    eventually(lambda: state(lab, config)["status"] == "exited")
    assert state(lab, config)["exit_code"] == 7


def test_everything_that_a_command_asks_wakes_it(lab: Lab) -> None:
    config = lab.running()
    rested(lab, config)
    ended = collect(lab.monitor(config).exec(["sh", "-c", "echo $$; grep NSpid /proc/self/status; exit 3"]))
    assert ended.status == 3 and ended.stdout.split()[0] != b"1"
    lab.monitor(config).pause()
    rested(lab, config)
    assert state(lab, config)["status"] == "paused"
    lab.monitor(config).resume()
    lab.monitor(config).signal(9, stop=True)
    lab.monitor(config).wait()
    assert state(lab, config) | {"status": "exited", "exit_code": 137, "stopped_by_user": True} == state(lab, config)


def test_a_terminal_survives_the_rest(lab: Lab) -> None:
    config = lab.create("sh", tty=True, open_stdin=True)
    lab.start(config)
    rested(lab, config)
    session = lab.monitor(config).attach(stdin=True, size=(33, 44))
    session.write(b"stty size; tty; exit 5\n")
    ended = collect(session)
    assert ended.status == 5 and b"33 44" in ended.stdout and b"/dev/" in ended.stdout


def test_an_end_wakes_it(lab: Lab) -> None:
    script = "trap 'echo late; exit 4' TERM; echo begun; while :; do sleep 1000 & wait; done"
    config = lab.running("sh", "-c", script)
    rested(lab, config)
    os.kill(int(str(state(lab, config)["pid"])), 15)
    eventually(lambda: state(lab, config)["status"] == "exited", 90)
    assert state(lab, config)["exit_code"] == 4
    log = [json.loads(line)["log"] for line in (lab.directory(config) / "log.json").read_text().splitlines()]
    assert log == ["begun\n", "late\n"]


def test_a_sleeper_that_is_killed_takes_its_container_along(lab: Lab) -> None:
    config = lab.running()
    pid = rested(lab, config)
    first = int(str(state(lab, config)["pid"]))
    os.kill(pid, 9)
    eventually(lambda: gone(first))


def test_a_monitor_with_a_client_does_not_rest(lab: Lab) -> None:
    config = lab.running()
    session = lab.monitor(config).attach()
    time.sleep(1.5 * PATIENCE)
    assert not asleep(int(str(state(lab, config)["monitor_pid"])))
    session.close()
    rested(lab, config)
