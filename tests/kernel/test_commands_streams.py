"""run, start -a and exec stay with their process: both streams, its terminal, signals, the end of input, its status."""

from __future__ import annotations

import re
import signal
import subprocess
import termios
from collections.abc import Iterator

import pytest

from engine.store.root import Store
from tests.support.command import Strata
from tests.support.needs import needs_root
from tests.support.rootfs import tiny_image
from tests.support.terminal import Terminal
from tests.support.waiting import until


@pytest.fixture(scope="module")
def strata() -> Iterator[Strata]:
    needs_root()
    with Strata() as command:
        tiny_image(Store(command.root))
        yield command


def test_the_streams_are_kept_apart_and_the_status_comes_back(strata: Strata) -> None:
    done = strata.run("run", "--rm", "tiny", "sh", "-c", "echo out; echo err >&2; exit 5")
    assert (done.returncode, done.stdout, done.stderr) == (5, "out\n", "err\n")


def test_input_is_passed_on_only_when_it_is_asked_for_and_ends(strata: Strata) -> None:
    assert strata("run", "--rm", "-i", "tiny", "cat", stdin="hello\n") == "hello"
    assert strata("run", "--rm", "tiny", "cat", stdin="hello\n") == ""
    assert strata("run", "-i", "--rm", "tiny", "sh", "-c", "cat; echo end", stdin="") == "end"


def test_much_goes_both_ways_at_once(strata: Strata) -> None:
    text = "".join(f"{at:015}\n" for at in range(300_000))
    assert strata.run("run", "--rm", "-i", "tiny", "cat", stdin=text).stdout == text


def test_a_process_that_does_not_read_does_not_hold_up_its_output(strata: Strata) -> None:
    done = strata.run("run", "--rm", "-i", "tiny", "sh", "-c", "echo x; exit 3", stdin="y" * 5_000_000)
    assert (done.returncode, done.stdout) == (3, "x\n")


def test_a_reader_who_leaves_ends_the_command_and_not_the_container(strata: Strata) -> None:
    command = strata.argv("run", "--name", "yes", "tiny", "sh", "-c", "while :; do echo y; done")
    process = subprocess.Popen(command, env=strata.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout
    assert process.stderr
    assert process.stdout.read(2) == b"y\n"
    process.stdout.close()
    assert process.wait(20) == 141
    assert process.stderr.read() == b""
    process.stderr.close()
    assert strata("ps", "--format", "{{.Names}}") == "yes"
    strata("rm", "-f", "yes")


def test_signals_reach_the_process_when_there_is_no_terminal(strata: Strata) -> None:
    script = "trap 'echo usr1' USR1; trap 'echo term; exit 9' TERM; echo ready; while :; do sleep 0.05; done"
    command = strata.argv("run", "--rm", "--name", "sig", "tiny", "sh", "-c", script)
    process = subprocess.Popen(command, env=strata.env, stdout=subprocess.PIPE)
    assert process.stdout
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGUSR1)
    assert process.stdout.readline() == b"usr1\n"
    for harmless in (signal.SIGCHLD, signal.SIGURG):
        process.send_signal(harmless)
    process.send_signal(signal.SIGTERM)
    assert process.stdout.read() == b"term\n"
    process.stdout.close()
    assert process.wait(20) == 9


def test_without_the_proxy_a_signal_is_for_the_command(strata: Strata) -> None:
    command = strata.argv("run", "--name", "own", "--sig-proxy=false", "tiny", "sh", "-c", "echo ready; sleep 60")
    process = subprocess.Popen(command, env=strata.env, stdout=subprocess.PIPE)
    assert process.stdout
    assert process.stdout.readline() == b"ready\n"
    process.terminate()
    assert process.wait(20) == -signal.SIGTERM
    process.stdout.close()
    assert strata("ps", "--format", "{{.Names}}") == "own"
    strata("rm", "-f", "own")


def test_a_terminal_is_raw_has_our_size_and_follows_it(strata: Strata) -> None:
    with Terminal(strata, "run", "--rm", "-it", "tiny", "sh") as terminal:
        terminal.type("tty; stty size < /dev/tty\n")
        terminal.expect(r"/dev/pts/0\r\n")
        terminal.expect(r"33 101\r\n")
        assert termios.tcgetattr(terminal.slave) != terminal.before
        terminal.resize(20, 70)
        terminal.process.send_signal(signal.SIGWINCH)
        terminal.type("sleep 0.3; stty size < /dev/tty\n")
        terminal.expect(r"20 70\r\n")
        terminal.type("trap 'echo interrupted' INT; echo set\n")
        terminal.expect(r"\nset\r\n")
        terminal.type("\x03")
        terminal.expect(r"interrupted\r\n")
        terminal.type("exit 4\n")
        assert terminal.ends() == 4
        assert termios.tcgetattr(terminal.slave) == terminal.before


def test_the_detach_keys_leave_the_container_running(strata: Strata) -> None:
    with Terminal(strata, "run", "--name", "left", "-it", "tiny", "sh") as terminal:
        terminal.type("echo here\n")
        terminal.expect(r"\nhere\r\n")
        terminal.type("\x10\x11")
        assert terminal.ends() == 0
        assert termios.tcgetattr(terminal.slave) == terminal.before
    assert strata("ps", "--format", "{{.Names}}") == "left"
    with Terminal(strata, "start", "-ai", "--detach-keys", "ctrl-a,x", "left") as terminal:
        terminal.type("echo back\n")
        terminal.expect(r"\nback\r\n")
        terminal.type("echo p\x01\x01x")
        assert terminal.ends() == 0
    strata("rm", "-f", "left")


def test_a_killed_command_puts_the_terminal_back(strata: Strata) -> None:
    with Terminal(strata, "run", "--name", "hung", "-it", "tiny", "sh") as terminal:
        terminal.type("echo here\n")
        terminal.expect(r"\nhere\r\n")
        terminal.process.terminate()
        assert terminal.ends() == 128 + signal.SIGTERM
        assert termios.tcgetattr(terminal.slave) == terminal.before
    strata("rm", "-f", "hung")


def test_exec_has_its_own_streams_terminal_and_status(strata: Strata) -> None:
    strata("run", "-d", "--name", "host", "-e", "FROM=container", "tiny", "sleep", "60")
    done = strata.run("exec", "host", "sh", "-c", "echo $FROM; echo err >&2; exit 6")
    assert (done.returncode, done.stdout, done.stderr) == (6, "container\n", "err\n")
    assert strata("exec", "-i", "host", "cat", stdin="in\n") == "in"
    assert (
        strata("exec", "-e", "A=b", "-u", "65534", "-w", "/tmp", "host", "sh", "-c", "echo $A $(id -u) $PWD")
        == "b 65534 /tmp"
    )
    for words, status in ((["nosuch"], 127), (["/etc"], 126)):
        assert strata.run("exec", "host", *words).returncode == status
    with Terminal(strata, "exec", "-it", "host", "sh", rows=11, columns=44) as terminal:
        terminal.type("stty size < /dev/tty; exit 2\n")
        terminal.expect(r"11 44\r\n")
        assert terminal.ends() == 2
    assert strata("exec", "-d", "host", "sh", "-c", "sleep 0.2; echo later > /late") == ""
    until(lambda: strata.run("exec", "host", "cat", "/late").stdout == "later\n")
    strata("rm", "-f", "host")


def test_start_attached_gives_the_status_of_the_container(strata: Strata) -> None:
    strata("create", "--name", "again", "-i", "tiny", "sh", "-c", "cat; echo done; exit 3")
    for _ in range(2):
        done = strata.run("start", "-ai", "again", stdin="fed\n")
        assert (done.returncode, done.stdout) == (3, "fed\ndone\n")
    done = strata.run("start", "-a", "again", "again")
    assert (done.returncode, done.stderr.splitlines()[0]) == (
        1,
        "you cannot start and attach multiple containers at once",
    )
    strata("rm", "again")


def test_logs_are_followed_to_the_end(strata: Strata) -> None:
    strata(
        "run", "-d", "--name", "talk", "tiny", "sh", "-c", "for i in 1 2 3 4 5; do echo $i; sleep 0.1; done; echo e >&2"
    )
    done = strata.run("logs", "-f", "talk")
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\n2\n3\n4\n5\n", "e\n")
    assert strata("logs", "-n", "2", "talk") == "5"
    lines = strata("logs", "-t", "talk").splitlines()
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z \d", line) for line in lines)
    assert strata("logs", "--since", "2000-01-01", "--until", "2001-01-01", "talk") == ""
    strata("rm", "talk")
