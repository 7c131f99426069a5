"""The rows: each compares one thing that people wait for, or that a running container costs."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from engine.commands.options import CreateOptions
from tests.bench.life import LIFE
from tests.bench.measure import Row, interleave, milliseconds
from tests.bench.sides import IMAGE, Sides

START_BAR = 0.6
COMMAND_BAR = 0.5
MONITOR_BAR = 3.0  # MB, of 1,000,000 bytes
AT_REST = 8.0  # seconds after which a monitor rests


def start(sides: Sides, rounds: int) -> Row:
    """A created container through a warm launcher until its `true` has ended, against `runc run` of a bundle."""
    engine = sides.engine
    count = 0

    def ours() -> float:
        container = engine.create(IMAGE, CreateOptions(command=("true",)))

        def work() -> None:
            session = engine.start(container, attach=True)
            assert session is not None and session.wait() == 0
            session.close()

        taken = milliseconds(work)
        engine.remove(container, force=True)
        return taken

    def theirs() -> float:
        nonlocal count
        count += 1
        state = str(sides.disk / "runc")
        argv = ["runc", "--root", state, "run", "--bundle", str(sides.bundle), f"bench-{count}"]
        return milliseconds(lambda: subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=True))

    return interleave("start and wait, warm / runc run", ours, theirs, rounds, START_BAR)


def run(sides: Sides, rounds: int) -> Row:
    """The whole command, from the shell's prompt to the next one."""
    ours = sides.strata("run", "--rm", IMAGE, "true")
    theirs = sides.podman("run", "--rm", "--network", "none", IMAGE, "true")
    return interleave("run --rm IMAGE true / podman", timed(ours), timed(theirs), rounds, COMMAND_BAR)


def exec_(sides: Sides, rounds: int) -> Row:
    """One more process in a running container, from the shell's prompt to the next one."""
    sides.strata("run", "--detach", "--name", "bench-exec", IMAGE, "sleep", "100000")()
    sides.podman("run", "--detach", "--network", "none", "--name", "bench-exec", IMAGE, "sleep", "100000")()
    ours = sides.strata("exec", "bench-exec", "true")
    theirs = sides.podman("exec", "bench-exec", "true")
    row = interleave("exec CONTAINER true / podman", timed(ours), timed(theirs), rounds, COMMAND_BAR)
    sides.strata("rm", "--force", "bench-exec")()
    sides.podman("rm", "--force", "--time", "0", "bench-exec")()
    return row


def memory(sides: Sides, _rounds: int) -> Row:
    """What a container's monitor keeps for itself: Private_Clean and Private_Dirty of proc_pid_smaps_rollup(5).

    Started by the command, whose launcher is gone afterwards: pages shared with it only count as the monitor's own.
    The interpreter's own file pages are shared with every other Python of the same installation, this benchmark
    included; a monitor that is the only Python on its machine has them as Private_Clean.
    """
    samples = []
    for number in range(5):
        name = f"bench-memory-{number}"
        sides.strata("run", "--detach", "--name", name, IMAGE, "sleep", "100000")()
        sides.strata("exec", name, "true")()  # a monitor that has worked
        time.sleep(AT_REST)
        pid = sides.engine.container(name).state.monitor_pid
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        private = sum(int(size) for size in re.findall(r"^Private_(?:Clean|Dirty): +(\d+) kB", rollup, re.MULTILINE))
        samples.append(private * 1024 / 1e6)
        sides.strata("rm", "--force", name)()
    return Row("private memory of a monitor", "MB", tuple(samples), (), MONITOR_BAR)


def timed(work: Callable[[], object]) -> Callable[[], float]:
    return lambda: milliseconds(work)


ROWS: dict[str, Callable[[Sides, int], Row]] = {
    "start-warm": start,
    "run": run,
    "exec": exec_,
    "memory": memory,
    **LIFE,
}
