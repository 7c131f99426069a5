"""A person at a terminal: job control in a shell inside, the terminal put back whatever happens, stops, sizes, tmux."""

from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.demo import hostfiles
from engine.archive.load import load
from engine.store.root import Store
from tests.support.archives import ImageSpec, docker_archive
from tests.support.command import Strata
from tests.support.needs import needs_root
from tests.support.rootfs import PATH, tiny_image
from tests.support.terminal import Terminal
from tests.support.waiting import until

SHELL = ("bash", "--norc", "--noprofile")


@pytest.fixture(scope="module")
def strata() -> Iterator[Strata]:
    needs_root()
    with Strata() as command:
        store = Store(command.root)
        tiny_image(store)
        out = io.BytesIO()
        hostfiles.write_tar(hostfiles.collect((*hostfiles.TOOLS, "bash"), use_busybox=False), out)
        load(store, io.BytesIO(docker_archive(ImageSpec([out.getvalue()], ["shells"], {"Env": [PATH]}))))
        yield command


def job(terminal: Terminal) -> None:
    """ctrl-z, jobs, fg, ctrl-c, on a program that says when it is there.

    It starts nothing: a shell that is stopped in the middle of a vfork is not seen to stop.
    """
    terminal.type("""sh -c 'trap "echo go""es on" CONT; echo rea""dy; while :; do :; done'\n""")
    terminal.expect(r"ready\r\n")
    terminal.type("\x1a")
    terminal.expect("Stopped")
    terminal.type("jobs\n")
    terminal.expect(r"\[1\] ?\+ +Stopped")
    terminal.type("fg\n")
    terminal.expect(r"goes on\r\n")
    terminal.type("\x03")
    terminal.type("echo status-$?\n")
    terminal.expect(r"status-130\r\n")
    terminal.type("jobs; echo no-mo''re\n")
    terminal.expect(r"no-more\r\n")


@pytest.mark.skipif(not shutil.which("bash"), reason="no bash on this machine")
def test_job_control_works_in_a_shell_of_run(strata: Strata) -> None:
    with Terminal(strata, "run", "--rm", "-it", "shells", *SHELL) as terminal:
        job(terminal)
        terminal.type("sleep 100 & jobs; kill %1; wait; echo go''ne\n")
        terminal.expect(r"gone\r\n")
        terminal.type("exit 3\n")
        assert terminal.ends() == 3
    assert b"job control" not in terminal.history, terminal.history
    assert b"not a tty" not in terminal.history


@pytest.mark.skipif(not shutil.which("bash"), reason="no bash on this machine")
def test_job_control_works_in_a_shell_of_exec_though_the_container_has_no_terminal(strata: Strata) -> None:
    strata("run", "-d", "--name", "bare", "shells", "sleep", "1000")
    with Terminal(strata, "exec", "-it", "bare", *SHELL) as terminal:
        terminal.type("tty; test -t 0 -a -t 1 -a -t 2 && echo thr''ee; echo wo''rd > /dev/tty; stty size < /dev/tty\n")
        for answer in (r"/dev/pts/\d+\r\n", r"three\r\n", r"word\r\n", r"33 101\r\n"):
            terminal.expect(answer)
        job(terminal)
        terminal.type("exit 5\n")
        assert terminal.ends() == 5
    assert b"job control" not in terminal.history, terminal.history
    strata("rm", "-f", "bare")


def test_job_control_works_in_the_images_own_shell(strata: Strata) -> None:
    """set -m: a plain sh, of whatever make, when it is told to."""
    with Terminal(strata, "run", "--rm", "-it", "tiny", "sh", "-i") as terminal:
        terminal.type("set -m\n")
        job(terminal)
        terminal.type("exit\n")
        terminal.ends()


def test_the_size_is_there_before_the_program_starts(strata: Strata) -> None:
    for words in (("run", "--name", "sized", "-it", "tiny"), ("exec", "-it", "host")):
        if words[0] == "exec":
            strata("run", "-d", "--name", "host", "tiny", "sleep", "1000")
        with Terminal(strata, *words, "stty", "size", rows=17, columns=71) as terminal:
            terminal.expect(r"17 71\r\n")
            assert terminal.ends() == 0
    with Terminal(strata, "start", "-ai", "sized", rows=9, columns=33) as terminal:
        terminal.expect(r"9 33\r\n")
        assert terminal.ends() == 0
    strata("rm", "-f", "host", "sized")


def test_whatever_ends_the_command_the_terminal_is_put_back_and_the_container_goes_on(strata: Strata) -> None:
    strata("run", "-d", "-it", "--name", "stays", "tiny", "sh")
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        with Terminal(strata, "attach", "stays") as terminal:
            terminal.type(f"echo he''re-{int(number)}\n")
            terminal.expect(rf"here-{int(number)}\r\n")
            assert terminal.raw()
            terminal.process.send_signal(number)
            assert terminal.ends() == 128 + number
            assert not terminal.raw()
    with Terminal(strata, "attach", "stays") as terminal:
        until(terminal.raw)
        monitor = int(strata("inspect", "--format", "{{.State.Pid}}", "stays"))
        os.kill(monitor, signal.SIGKILL)
        assert terminal.ends() == 137
        assert not terminal.raw()
    strata("rm", "-f", "stays")


def test_a_closed_window_ends_the_command_quietly_and_not_the_container(strata: Strata) -> None:
    strata("run", "-d", "-it", "--name", "orphan", "tiny", "sh")
    words = Path(strata.root, "words")
    argv = ["sh", "-c", f'exec "$@" 2>{words}', "sh", *strata.argv("attach", "orphan")]
    with Terminal(strata, argv=argv) as terminal:
        until(terminal.raw)
        terminal.hang_up()
        assert terminal.ends() in (128 + signal.SIGHUP, -signal.SIGHUP)
    assert words.read_text() == ""
    assert "orphan" in strata("ps", "--format", "{{.Names}}").split()
    strata("rm", "-f", "orphan")


def test_a_stopped_command_leaves_the_shell_its_terminal_and_comes_back(strata: Strata) -> None:
    strata("run", "-d", "-it", "--name", "paused-by-us", "tiny", "sh")
    with Terminal(strata, argv=["sh", "-i"]) as terminal:
        terminal.type("set -m; echo he''re\n")
        terminal.expect(r"here\r\n")
        shell = terminal.foreground()
        terminal.type(" ".join(strata.argv("attach", "paused-by-us")) + "\n")
        until(terminal.raw)
        for stop in (signal.SIGTSTP, signal.SIGSTOP):
            command = terminal.foreground()
            assert command != shell
            os.killpg(command, stop)
            until(lambda: terminal.foreground() == shell)
            if stop == signal.SIGTSTP:
                until(lambda: not terminal.raw())
            terminal.resize(21, 77 + stop)
            terminal.type("fg\n")
            until(lambda: terminal.foreground() != shell and terminal.raw())
            terminal.type("stty size\n")
            terminal.expect(rf"21 {77 + stop}\r\n")
        terminal.type("\x10\x11")
        until(lambda: terminal.foreground() == shell)
        terminal.type("echo le''ft-$?\n")
        terminal.expect(r"left-0\r\n")
    strata("rm", "-f", "paused-by-us")


@pytest.mark.skipif(not shutil.which("tmux"), reason="no tmux on this machine")
def test_in_tmux_a_window_made_smaller_is_smaller_inside(strata: Strata) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        base = ["tmux", "-S", f"{directory}/s", "-f", "/dev/null"]

        def tmux(*words: str) -> str:
            return subprocess.run([*base, *words], env=strata.env, capture_output=True, text=True, check=True).stdout

        command = " ".join(strata.argv("run", "--rm", "-it", "tiny", "sh"))
        tmux("new-session", "-d", "-x", "90", "-y", "24", command)
        try:
            tmux("set-option", "-g", "window-size", "manual")
            tmux("send-keys", "echo wid''e $(stty size)", "Enter")
            until(lambda: "wide 2" in tmux("capture-pane", "-p"), 30)
            tmux("resize-window", "-x", "60", "-y", "15")

            def narrow() -> bool:
                tmux("send-keys", "C-u", "echo nar''row-$(stty size)", "Enter")
                until(lambda: "narrow-" in tmux("capture-pane", "-p"), 30)
                return any(line.startswith("narrow-1") and line.endswith(" 60") for line in screen())

            def screen() -> list[str]:
                return [line.rstrip() for line in tmux("capture-pane", "-p").splitlines()]

            until(narrow, 30)
            tmux("send-keys", "exit", "Enter")
            until(lambda: subprocess.run([*base, "has-session"], capture_output=True).returncode != 0, 30)
        finally:
            subprocess.run([*base, "kill-server"], capture_output=True)
