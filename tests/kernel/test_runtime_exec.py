"""exec: one more process inside a running container, as much at home there as the first one."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from engine.errors import Conflict, NotRunning, StartFailed
from engine.kernel.namespaces import namespace_id
from engine.runtime.client import Monitor
from engine.runtime.plan import NAMESPACES
from tests.support.runtime import Ended, Lab, collect, eventually, gone, lab

__all__ = ["lab"]


@pytest.fixture
def inside(lab: Lab) -> Monitor:
    """The monitor of a running container with a variable and a working directory of its own."""
    return lab.monitor(lab.running("sleep", "1000", env=("OWN=1", "TWICE=first"), cwd="/tmp", name="inside"))


def test_it_runs_in_the_containers_namespaces_and_cgroup(lab: Lab) -> None:
    config = lab.running()
    pid, _ = lab.pids(config)
    session = lab.monitor(config).exec(("sleep", "1000"))
    assert session.pid not in (0, pid)
    for kind in NAMESPACES:
        assert namespace_id(session.pid, kind) == namespace_id(pid, kind), kind
    assert Path(f"/proc/{session.pid}/cgroup").read_text() == Path(f"/proc/{pid}/cgroup").read_text()
    assert os.readlink(f"/proc/{session.pid}/root") == os.readlink(f"/proc/{pid}/root")
    for name in ("CapPrm", "CapEff", "CapBnd", "CapInh", "CapAmb", "Uid", "Gid"):
        sets = [
            [line for line in Path(f"/proc/{number}/status").read_text().splitlines() if line.startswith(name)]
            for number in (pid, session.pid)
        ]
        assert sets[0] == sets[1], name
    session.signal(signal.SIGKILL)
    assert session.wait() == 137


def test_it_tells_output_and_status(inside: Monitor) -> None:
    assert collect(inside.exec(("sh", "-c", "echo out; echo err >&2; exit 5"))) == Ended(5, b"out\n", b"err\n")


def test_environment_directory_and_user_are_the_containers_unless_chosen(inside: Monitor) -> None:
    script = "echo $OWN $TWICE $NEW; pwd; id -u; id -g"
    assert collect(inside.exec(("sh", "-c", script))).stdout.decode().splitlines() == ["1 first", "/tmp", "0", "0"]
    session = inside.exec(("sh", "-c", script), env=("TWICE=second", "NEW=x"), cwd="/etc", user="12:34")
    assert collect(session).stdout.decode().splitlines() == ["1 second x", "/etc", "12", "34"]


def test_it_has_a_session_of_its_own_and_only_its_streams(inside: Monitor) -> None:
    script = "readlink /proc/self/fd/0; ls /proc/$$/fd; sed 's/.*) //' /proc/$$/stat | cut -d' ' -f 3,4; echo $$"
    null, *numbers, session, pid = collect(inside.exec(("sh", "-c", script))).stdout.decode().splitlines()
    assert null == "/dev/null"
    assert set(numbers) <= {"0", "1", "2", "10"}  # 10: some shells keep their script there
    assert session == f"{pid} {pid}"


def test_input_and_output_at_once(inside: Monitor) -> None:
    session = inside.exec(("cat",), stdin=True)
    data = os.urandom(1 << 20) * 4
    session.write(data)
    session.close_stdin()
    assert collect(session) == Ended(0, data, b"")


def test_a_terminal_of_the_containers_own(inside: Monitor) -> None:
    script = "tty; stty size; echo $TERM; read line; echo got $line; stty size"
    session = inside.exec(("sh", "-c", script), tty=True, stdin=True, size=(30, 90))
    seen = b""
    while b"xterm" not in seen:
        seen += session.read()[1]
    assert b"/dev/pts/0\r\n30 90\r\n" in seen
    session.resize(31, 91)
    session.write(b"hello\n")
    ended = collect(session)
    assert ended.status == 0
    assert b"got hello\r\n31 91\r\n" in ended.stdout


def test_detached_it_goes_on_alone(inside: Monitor, lab: Lab) -> None:
    session = inside.exec(("sh", "-c", "echo lost; echo lost >&2; sleep 1000"), detach=True)
    assert session.fileno() == -1
    assert [entry["pid"] for entry in inside.execs()] == [session.pid]
    assert os.readlink(f"/proc/{session.pid}/fd/1") == "/dev/null"
    os.kill(session.pid, signal.SIGKILL)
    eventually(lambda: inside.execs() == [])


def test_a_client_that_goes_away_leaves_it_running(inside: Monitor) -> None:
    session = inside.exec(("sleep", "1000"))
    session.close()
    assert [entry["argv"] for entry in inside.execs()] == [("sleep", "1000")]
    assert not gone(session.pid)


def test_what_it_leaves_in_the_background_holds_nobody_up(inside: Monitor) -> None:
    assert collect(inside.exec(("sh", "-c", "sleep 1000 & echo left"))) == Ended(0, b"left\n", b"")


def test_it_ends_with_the_container(inside: Monitor) -> None:
    session = inside.exec(("sleep", "1000"))
    inside.signal(signal.SIGKILL)
    assert session.wait() == 137


def test_many_at_once(inside: Monitor) -> None:
    script = "while [ ! -e /go ]; do sleep 0.05; done; exit "
    sessions = [inside.exec(("sh", "-c", script + str(number))) for number in range(20)]
    assert len(inside.execs()) == 20
    assert collect(inside.exec(("touch", "/go"))).status == 0
    assert [session.wait() for session in sessions] == list(range(20))
    for session in sessions:
        session.close()


@pytest.mark.parametrize(
    ("argv", "choices", "message", "code"),
    [
        (("nothing",), {}, 'exec: "nothing": executable file not found in $PATH', 127),
        (("/etc",), {}, 'exec: "/etc": is a directory', 126),
        (("/etc/passwd",), {}, 'exec: "/etc/passwd": permission denied', 126),
        (("true",), {"user": "carol"}, "unable to find user carol: no matching entries in passwd file", 126),
        (("true",), {"cwd": "/no"}, 'chdir to cwd ("/no") set in config.json failed: no such file or directory', 127),
    ],
)
def test_what_cannot_run_is_told_in_dockers_words(
    inside: Monitor, argv: tuple[str, ...], choices: dict[str, str], message: str, code: int
) -> None:
    with pytest.raises(StartFailed) as refused:
        inside.exec(argv, cwd=choices.get("cwd", ""), user=choices.get("user", ""))
    assert (str(refused.value), refused.value.exit_status) == (message, code)
    assert inside.execs() == []


def test_a_paused_container_takes_none(inside: Monitor) -> None:
    inside.pause()
    with pytest.raises(Conflict, match="Container inside is paused, unpause the container before exec"):
        inside.exec(("true",))
    inside.resume()
    assert collect(inside.exec(("true",))).status == 0


def test_an_ended_container_takes_none(inside: Monitor) -> None:
    inside.signal(signal.SIGKILL)
    try:
        inside.wait()
    except NotRunning:
        pass  # it was quicker
    with pytest.raises(NotRunning):
        inside.exec(("true",))
