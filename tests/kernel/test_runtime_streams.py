"""What goes in and out: pipes, terminals, several clients, slow clients, dead clients, and the log."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from engine.runtime.client import MonitorLost
from engine.runtime.session import Session
from tests.support.runtime import Config, Ended, Lab, collect, eventually, gone, lab

__all__ = ["lab"]

CALLER = """
import sys
from pathlib import Path
from tests.support.runtime import Config
from engine.runtime.client import Launcher
from engine.runtime.plan import make_plan

root, number, args, more = sys.argv[1], sys.argv[2], sys.argv[3].split("|"), sys.argv[4]
config = Config(number, tuple(args), open_stdin=more == "stdin")
session = Launcher.spawn().start(make_plan(config, root), attach=True).session
print("started", flush=True)
while True:
    print(session.read(), flush=True)
"""


def caller(lab: Lab, config: Config) -> subprocess.Popen[str]:
    """Another process that starts this container attached and prints what it reads."""
    more = "stdin" if config.open_stdin else ""
    argv = [sys.executable, "-c", CALLER, str(lab.root), config.id, "|".join(config.args), more]
    here = Path(__file__).resolve().parents[2]
    process = subprocess.Popen(argv, cwd=here, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    return process


def read_until(session: Session, text: bytes) -> bytes:
    seen = b""
    while text not in seen:
        stream, data = session.read()
        assert stream != "exit", seen
        seen += data
    return seen


def log(lab: Lab, config: Config) -> list[tuple[str, str]]:
    lines = (lab.directory(config) / "log.json").read_text().splitlines()
    return [(entry["stream"], entry["log"]) for entry in map(json.loads, lines)]


def test_output_is_complete_and_in_the_log(lab: Lab) -> None:
    config = lab.create("sh", "-c", "seq 1 100000; echo done >&2")
    ended = lab.run(config)
    assert ended.stdout == "".join(f"{number}\n" for number in range(1, 100001)).encode()
    assert ended.stderr == b"done\n"
    assert "".join(text for stream, text in log(lab, config) if stream == "stdout").encode() == ended.stdout
    assert ("stderr", "done\n") in log(lab, config)


def test_input_reaches_it_and_ends(lab: Lab) -> None:
    session = lab.session(lab.create("sh", "-c", "wc -c; echo end", open_stdin=True))
    for _ in range(20):
        session.write(b"x" * 50_000)
    session.close_stdin()
    assert collect(session) == Ended(0, b"1000000\nend\n", b"")


def test_without_input_its_standard_input_is_the_containers_null_device(lab: Lab) -> None:
    assert lab.output("sh", "-c", "cat; readlink /proc/self/fd/0").strip() == "/dev/null"


def test_copying_both_ways_in_one_thread_does_not_lock_up(lab: Lab) -> None:
    session = lab.session(lab.create("cat", open_stdin=True))
    data = os.urandom(1 << 20) * 8
    session.write(data)  # more than every buffer on the way together
    session.close_stdin()
    assert collect(session) == Ended(0, data, b"")


def test_a_terminal_is_one(lab: Lab) -> None:
    script = "tty; stty size; test -t 0 && test -t 1 && test -t 2 && echo all; echo $TERM; stat -c %t /dev/console"
    config = lab.create("sh", "-c", script, tty=True, open_stdin=True)
    session = lab.launcher.start(lab.plan(config, size=(33, 101)), attach=True).session
    assert session is not None
    ended = collect(session)
    assert ended == Ended(0, b"/dev/pts/0\r\n33 101\r\nall\r\nxterm\r\n88\r\n", b"")
    assert log(lab, config)[0] == ("stdout", "/dev/pts/0\r\n")


def test_a_terminal_passes_keys_and_its_size_follows(lab: Lab) -> None:
    script = "trap 'stty size' WINCH; trap 'exit 42' INT; echo ready; while :; do read -r line; echo got $line; done"
    session = lab.session(lab.create("sh", "-c", script, tty=True, open_stdin=True))
    read_until(session, b"ready")
    session.write(b"hello\n")
    read_until(session, b"got hello")
    session.resize(40, 120)
    session.write(b"\n")
    read_until(session, b"40 120")
    session.write(b"\x03")  # ctrl-c: the terminal's own signal
    assert session.wait() == 42


def test_a_terminal_may_be_let_go_and_opened_again(lab: Lab) -> None:
    script = "exec </dev/null >/dev/null 2>&1; sleep 0.3; echo back > /dev/console"
    assert lab.run(lab.create("sh", "-c", script, tty=True)).stdout == b"back\r\n"


def test_the_last_words_on_a_terminal_arrive(lab: Lab) -> None:
    for number in range(10):
        assert lab.run(lab.create("sh", "-c", f"echo last {number}", tty=True)).stdout == f"last {number}\r\n".encode()


def test_signals_of_a_session_reach_it(lab: Lab) -> None:
    script = "trap 'echo hup; exit 9' HUP; echo ready; while :; do sleep 0.05; done"
    session = lab.session(lab.create("sh", "-c", script))
    read_until(session, b"ready")
    session.signal(signal.SIGHUP)
    assert collect(session) == Ended(9, b"hup\n", b"")


def test_a_later_client_joins_and_all_get_the_same(lab: Lab) -> None:
    config = lab.create("cat", open_stdin=True)
    first = lab.session(config)
    second = lab.monitor(config).attach(stdin=True)
    deaf = lab.monitor(config).attach(stdin=False)
    deaf.write(b"never\n")
    second.write(b"from the second\n")
    for session in (first, second, deaf):
        assert read_until(session, b"second\n") == b"from the second\n"
    second.close()
    first.write(b"still there\n")
    assert read_until(first, b"there\n") == b"still there\n"
    first.close_stdin()
    assert first.wait() == 0
    assert deaf.wait() == 0


def test_a_client_that_does_not_read_loses_nothing_and_blocks_only_the_container(lab: Lab) -> None:
    config = lab.create("sh", "-c", "head -c 20000000 /dev/zero | tr '\\0' x; echo end")
    session = lab.session(config)
    sizes: list[int] = []
    while not sizes or len(sizes) < 20 or len(set(sizes[-20:])) > 1:  # until the output stands still
        time.sleep(0.02)
        sizes.append((lab.directory(config) / "log.json").stat().st_size)
    assert sizes[-1] < 20_000_000
    assert collect(lab.monitor(config).exec(("echo", "meanwhile"))) == Ended(0, b"meanwhile\n", b"")
    ended = collect(session)
    assert len(ended.stdout) == 20_000_004
    assert ended.stdout.endswith(b"xend\n")


def test_a_client_that_goes_away_frees_the_container(lab: Lab) -> None:
    config = lab.create("sh", "-c", "head -c 20000000 /dev/zero; echo end")
    session = lab.session(config)
    session.read()
    session.close()
    state = lab.directory(config) / "state.json"
    eventually(lambda: json.loads(state.read_text())["status"] == "exited")
    assert json.loads(state.read_text())["exit_code"] == 0


def test_the_container_outlives_a_caller_that_is_killed(lab: Lab) -> None:
    config = lab.create("sh", "-c", "i=0; while :; do i=$((i+1)); echo $i; echo $i > /count; sleep 0.01; done")
    process = caller(lab, config)
    process.kill()
    process.wait()
    count = lab.upper(config) / "count"
    eventually(count.exists)
    seen = count.read_text()
    eventually(lambda: count.read_text() not in ("", seen))
    assert lab.monitor(config).info()["status"] == "running"
    assert len(log(lab, config)) > 1


def test_the_monitor_holds_nothing_of_its_caller(lab: Lab) -> None:
    config = lab.create("sleep", "1000")
    process = caller(lab, config)
    assert process.stdout is not None
    _, monitor = lab.pids(config)
    inherited = {os.readlink(f"/proc/{process.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{process.pid}/fd")}
    held = {os.readlink(f"/proc/{monitor}/fd/{fd}") for fd in os.listdir(f"/proc/{monitor}/fd")}
    assert inherited & held <= {"/dev/null", "anon_inode:[eventpoll]"}
    own = str(lab.directory(config))
    for target in held:
        assert target.startswith(("/dev/null", "socket:", "pipe:", "anon_inode:", own)), target
    assert os.readlink(f"/proc/{monitor}/cwd") == "/"
    assert os.getsid(monitor) == monitor
    process.kill()
    ready, _, _ = select.select([process.stdout], [], [], 20)
    assert ready
    assert process.stdout.read() == ""  # nobody else has the other end
    process.wait()
    eventually(lambda: lab.monitor(config).info()["attached"] == 0)


def test_losing_the_first_client_ends_its_input_but_detaching_does_not(lab: Lab) -> None:
    script = "cat; echo over > /over; sleep 1000"
    lost = lab.create("sh", "-c", script, open_stdin=True)
    process = caller(lab, lost)
    process.kill()
    process.wait()
    eventually((lab.upper(lost) / "over").exists)
    left = lab.create("sh", "-c", script, open_stdin=True)
    lab.session(left).close()
    again = lab.monitor(left).attach()
    again.write(b"still open\n")
    assert read_until(again, b"open\n") == b"still open\n"
    assert not (lab.upper(left) / "over").exists()
    again.close()


def test_a_lost_monitor_is_told(lab: Lab) -> None:
    config = lab.create("sleep", "1000")
    session = lab.session(config)
    pid, monitor = lab.pids(config)
    os.kill(monitor, signal.SIGKILL)
    with pytest.raises(MonitorLost):
        session.wait()
    eventually(lambda: gone(pid))
