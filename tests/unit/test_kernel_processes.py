"""A process is made, named for sure, waited for and signalled."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from engine.kernel import proc, processes
from tests.support.isolated import isolated


def test_clone3_gives_a_working_interpreter_in_the_child_and_a_pidfd_in_the_parent(tmp_path: Path) -> None:
    said = tmp_path / "said"
    pid, pidfd = processes.clone3(0)
    if pid == 0:
        # Threads, imports and further forks work: the interpreter knows that it was forked.
        worker = threading.Thread(target=said.write_text, args=(f"{os.getpid()}",))
        worker.start()
        worker.join()
        grandchild = os.fork()
        if grandchild == 0:
            os._exit(3)
        os._exit(os.waitstatus_to_exitcode(os.waitpid(grandchild, 0)[1]) + 4)
    assert not os.get_inheritable(pidfd)
    assert processes.wait(pidfd) == 7
    os.close(pidfd)
    assert said.read_text() == str(pid)


def test_clone3_runs_the_interpreters_fork_hooks_as_os_fork_does() -> None:
    def act() -> list[str]:
        ran: list[str] = []
        os.register_at_fork(
            before=lambda: ran.append("before"),
            after_in_parent=lambda: ran.append("parent"),
            after_in_child=lambda: ran.append("child"),
        )
        pid, pidfd = processes.clone3(0)
        if pid == 0:
            os._exit(len(ran) if ran[-1] == "child" else 99)
        return [*ran, str(processes.wait(pidfd))]

    assert isolated(act, 0) == ["before", "parent", "2"]


def test_clone3_that_fails_says_what_it_was_asked(tmp_path: Path) -> None:
    """An ordinary directory is no cgroup to be born into."""
    fd = os.open(tmp_path, os.O_PATH)
    with pytest.raises(OSError, match=rf"clone3\(CLONE_PIDFD\|CLONE_INTO_CGROUP, {fd}, 17\): Bad file descriptor"):
        processes.clone3(0, cgroup_fd=fd)
    os.close(fd)


def test_wait_tells_a_status_a_signal_and_that_it_still_runs() -> None:
    pid, pidfd = processes.clone3(0)
    if pid == 0:
        time.sleep(60)
        os._exit(0)
    assert processes.wait(pidfd, block=False) is None
    proc.pidfd_send_signal(pidfd, proc.SIGTERM)
    assert processes.wait(pidfd) == 128 + 15
    with pytest.raises(ProcessLookupError):
        proc.pidfd_send_signal(pidfd, 0)
    with pytest.raises(ChildProcessError, match="P_PIDFD"):
        processes.wait(pidfd)
    os.close(pidfd)


def test_a_process_is_its_pid_and_start_time_and_a_zombie_is_none() -> None:
    own = proc.start_time(os.getpid())
    assert own is not None
    assert proc.is_same(os.getpid(), own)
    assert not proc.is_same(os.getpid(), own + 1)
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    start = proc.start_time(pid)
    assert start is not None and start >= own
    assert not proc.is_same(pid, start)
    os.waitpid(pid, 0)
    assert proc.start_time(pid) is None
    with pytest.raises(ProcessLookupError):
        proc.pidfd_open(pid)


def test_a_name_full_of_parentheses_does_not_hide_the_start_time() -> None:
    def odd() -> tuple[str, bool]:
        before = proc.start_time(os.getpid())
        processes.set_name(") R 1 (99 x")
        return Path("/proc/self/comm").read_text(), before == proc.start_time(os.getpid())

    assert isolated(odd, 0) == (") R 1 (99 x\n", True)


def test_close_range_closes_or_marks() -> None:
    def ranges() -> tuple[bool, list[int]]:
        os.dup2(0, 50)
        os.dup2(0, 51)
        processes.close_range(50, 50, processes.CLOSE_RANGE_CLOEXEC)
        marked = not os.get_inheritable(50) and os.get_inheritable(51)
        processes.close_range(51)
        return marked, [fd for fd in (50, 51) if os.path.exists(f"/proc/self/fd/{fd}")]

    assert isolated(ranges, 0) == (True, [50])


def test_prctl_settings_are_the_kernels() -> None:
    def settings() -> tuple[str, int]:
        processes.set_no_new_privs()
        processes.set_parent_death_signal(9)
        processes.set_child_subreaper(True)
        processes.set_dumpable(False)
        status = Path("/proc/self/status").read_text()
        pid = os.fork()
        if pid == 0:
            if os.fork() == 0:
                time.sleep(0.2)
                os._exit(9)
            os._exit(0)
        os.waitpid(pid, 0)
        return status, os.waitstatus_to_exitcode(os.waitpid(-1, 0)[1])  # the orphan came to the subreaper

    status, orphan = isolated(settings, 0)
    assert "NoNewPrivs:\t1\n" in status
    assert orphan == 9


def test_reset_signals_gives_a_program_default_actions_and_an_empty_mask() -> None:
    def act() -> str:
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1, signal.SIGRTMAX])
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        before = Path("/proc/self/status").read_text()
        processes.reset_signals()
        return before + Path("/proc/self/status").read_text()

    words = [line.split() for line in isolated(act, 0).splitlines() if line.startswith(("SigBlk", "SigIgn"))]
    (_, blocked), (_, ignored), after_blocked, after_ignored = words
    assert int(blocked, 16) and int(ignored, 16)
    assert after_blocked == ["SigBlk:", "0" * 16]
    assert after_ignored == ["SigIgn:", "0" * 16]


def test_execveat_becomes_the_program_of_a_descriptor(tmp_path: Path) -> None:
    out = tmp_path / "out"
    fd = os.open("/bin/sh", os.O_PATH)
    pid = os.fork()
    if pid == 0:
        os.dup2(os.open(out, os.O_WRONLY | os.O_CREAT), 1)
        processes.execveat(fd, "", ["name", "-c", 'echo "$0" "$A" "$B"', b"z\xff"], {"A": "a b", "B": "\udcfe"})
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    os.close(fd)
    assert out.read_bytes() == b"z\xff a b \xfe\n"


def test_execveat_says_what_it_could_not_execute(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("no program")
    fd = os.open(tmp_path, os.O_PATH)
    with pytest.raises(PermissionError, match=r"execveat\(\d+<.*>, plain, \['plain'\], 1 variables, 0\)"):
        processes.execveat(fd, "plain", ["plain"], ["A=1"], 0)
    os.close(fd)
