"""Kill a piece of work at every step it takes: the n-th system call that changes a disk, before it and after it.

The steps are the calls of `os` that write, sync, rename or make something; a forked child counts them and kills itself
with SIGKILL at the chosen one. What is on disk then is what a crash of the process leaves.
"""

from __future__ import annotations

import functools
import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.children import ChildDied, alone

STEPS = ("mkdir", "rmdir", "rename", "link", "unlink", "symlink", "fsync", "write", "chmod", "chown", "utime", "mknod")


def count_steps(work: Callable[[], Any]) -> int:
    """How many steps `work` takes; it is done in a child, so its changes on disk stay."""

    def counted() -> int:
        taken = [0]
        _watch(lambda: taken.__setitem__(0, taken[0] + 1), lambda: None)
        work()
        return taken[0]

    answer = alone(counted)
    assert isinstance(answer, int)
    return answer


def crash_points(steps: int, most: int = 60) -> Iterator[tuple[int, bool]]:
    """(step, after) for every step, or for `most` of them spread evenly when there are more."""
    stride = max(1, steps // most)
    for step in range(0, steps, stride):
        yield step, False
        yield step, True


def crash_at(work: Callable[[], Any], step: int, after: bool) -> None:
    """Do `work` in a child that is killed at its step number `step` (from 0), before or after the step is done."""

    def doomed() -> None:
        taken = [0]

        def before() -> None:
            if taken[0] == step and not after:
                os.kill(os.getpid(), signal.SIGKILL)
            taken[0] += 1

        def done() -> None:
            if taken[0] == step + 1 and after:
                os.kill(os.getpid(), signal.SIGKILL)

        _watch(before, done)
        work()

    with pytest.raises(ChildDied) as death:
        alone(doomed)
    assert death.value.status == 128 + signal.SIGKILL


def _watch(before: Callable[[], None], after: Callable[[], None]) -> None:
    for name in STEPS:
        real = getattr(os, name)

        @functools.wraps(real)
        def step(*args: Any, _real: Callable[..., Any] = real, **more: Any) -> Any:
            before()
            try:
                return _real(*args, **more)
            finally:
                after()  # a refused call is a step too: both ways of counting must agree

        setattr(os, name, step)
