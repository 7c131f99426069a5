"""Several real processes at once, for tests of locks and of crashes: forked, started together, reaped always."""

from __future__ import annotations

import os
import pickle
import signal
import time
from collections.abc import Callable, Sequence
from typing import Any

PATIENCE = 60  # seconds until a child that hangs is killed and the test fails


class ChildDied(Exception):
    """A child ended by a signal, or without an answer. status: 0..255, or 128+n for signal n."""

    def __init__(self, status: int) -> None:
        super().__init__(f"child ended with status {status}")
        self.status = status


def together(works: Sequence[Callable[[], Any]]) -> list[Any]:
    """Run each function in a process of its own, all let go at the same moment.

    Returns what each returned, or the exception it raised (ChildDied for a killed one), in their order.
    """
    gate_out, gate_in = os.pipe()
    children = [_spawn(work, gate_out, gate_in) for work in works]
    os.close(gate_out)
    os.close(gate_in)  # every child's read of the gate now ends
    return [_reap(pid, answers) for pid, answers in children]


def alone(work: Callable[[], Any]) -> Any:
    """Run one function in a process of its own; returns or raises what it did."""
    answer = together([work])[0]
    if isinstance(answer, BaseException):
        raise answer
    return answer


def _spawn(work: Callable[[], Any], gate_out: int, gate_in: int) -> tuple[int, int]:
    answers, write = os.pipe()
    pid = os.fork()
    if pid:
        os.close(write)
        return pid, answers
    try:
        os.close(gate_in)
        os.read(gate_out, 1)
        try:
            answer: Any = work()
        except Exception as error:
            answer = error
        with os.fdopen(write, "wb") as out:
            out.write(pickle.dumps(answer))
    finally:
        os._exit(0)


def _reap(pid: int, answers: int) -> Any:
    deadline = time.monotonic() + PATIENCE
    os.set_blocking(answers, False)
    data = b""
    while True:
        try:
            chunk = os.read(answers, 1 << 16)
            if not chunk:
                break
            data += chunk
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
                deadline += PATIENCE
            time.sleep(0.002)
    os.close(answers)
    _, status = os.waitpid(pid, 0)
    if not data:
        return ChildDied(os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status))
    return pickle.loads(data)
