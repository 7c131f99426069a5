"""The life of containers, a verb a row: each a whole command, against podman's and docker's in the same rounds."""

from __future__ import annotations

import os
import resource
import statistics
import sys
from collections.abc import Callable

from engine.commands.options import CreateOptions
from tests.bench.measure import WARM_UP, Row, interleave, milliseconds
from tests.bench.sides import IMAGE, Sides

EXEC_BAR, START_BAR, PAUSE_BAR, STOP_BAR, RM_BAR, PS_BAR = 0.5, 0.6, 0.8, 0.8, 1.0, 0.6
MANY_BAR = 200.0  # ms of processor time
RUNNING, MANY = 50, 1000
NAME = "bench-life"
SLEEP = ("sleep", "100000")
# Ends at once when it is asked to; as pid 1 a program without a handler would not hear SIGTERM.
POLITE = ("sh", "-c", "trap 'exit 0' TERM; sleep 100000 & wait")

Command = Callable[..., Callable[[], None]]


def exec_(sides: Sides, rounds: int) -> Row:
    """One more process in a running container, against docker."""
    for side in (sides.strata, sides.docker):
        side("run", "--detach", "--network", "none", "--name", NAME, IMAGE, *SLEEP)()
    ours, theirs = (_timed(side("exec", NAME, "true")) for side in (sides.strata, sides.docker))
    row = interleave("exec CONTAINER true / docker", ours, theirs, rounds, EXEC_BAR)
    for side in (sides.strata, sides.docker):
        side("rm", "--force", NAME)()
    return row


def start(sides: Sides, rounds: int) -> Row:
    """A created container is started, against podman."""

    def one(side: Command) -> Callable[[], float]:
        def measured() -> float:
            side("create", "--network", "none", "--name", NAME, IMAGE, *SLEEP)()
            taken = milliseconds(side("start", NAME))
            side("rm", "--force", NAME)()
            return taken

        return measured

    return interleave("start CONTAINER / podman", one(sides.strata), one(sides.podman), rounds, START_BAR)


def pause(sides: Sides, rounds: int) -> Row:
    """Freeze a container and let it go on."""
    everybody = _all(sides)
    for side in everybody:
        side("run", "--detach", "--network", "none", "--name", NAME, IMAGE, *SLEEP)()

    def one(side: Command) -> Callable[[], float]:
        freeze, thaw = side("pause", NAME), side("unpause", NAME)
        return lambda: milliseconds(freeze) + milliseconds(thaw)

    row = _better_peer("pause and unpause", [one(side) for side in everybody], rounds, PAUSE_BAR)
    for side in everybody:
        side("rm", "--force", NAME)()
    return row


def stop(sides: Sides, rounds: int) -> Row:
    """Stop a container that ends at SIGTERM."""

    def one(side: Command) -> Callable[[], float]:
        def measured() -> float:
            side("run", "--detach", "--network", "none", "--name", NAME, IMAGE, *POLITE)()
            side("exec", NAME, "true")()  # its trap is set by then
            taken = milliseconds(side("stop", NAME))
            side("rm", "--force", NAME)()
            return taken

        return measured

    return _better_peer(
        "stop at SIGTERM", [one(s) for s in (sides.strata, sides.podman, sides.docker)], rounds, STOP_BAR
    )


def rm(sides: Sides, rounds: int) -> Row:
    """Remove a container that has run."""

    def one(side: Command) -> Callable[[], float]:
        def measured() -> float:
            side("run", "--network", "none", "--name", NAME, IMAGE, "true")()
            return milliseconds(side("rm", NAME))

        return measured

    return _better_peer(
        "rm CONTAINER", [one(side) for side in (sides.strata, sides.podman, sides.docker)], rounds, RM_BAR
    )


def ps(sides: Sides, rounds: int) -> Row:
    """List fifty running containers, against podman."""
    for side in (sides.strata, sides.podman):
        for number in range(RUNNING):
            side("run", "--detach", "--network", "none", "--name", f"{NAME}-{number}", IMAGE, *SLEEP)()
    ours, theirs = (_timed(side("ps")) for side in (sides.strata, sides.podman))
    row = interleave(f"ps with {RUNNING} running / podman", ours, theirs, rounds, PS_BAR)
    for side in (sides.strata, sides.podman):
        side("rm", "--force", *(f"{NAME}-{number}" for number in range(RUNNING)))()
    return row


def ps_many(sides: Sides, rounds: int) -> Row:
    """Processor time of listing a thousand containers."""
    made = [sides.engine.create(IMAGE, CreateOptions(command=SLEEP)) for _ in range(MANY)]
    listing = sides.strata("ps", "--all")
    samples = []
    for number in range(WARM_UP + rounds):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        listing()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if number >= WARM_UP:
            samples.append(1000 * (after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime))
    for container in made:
        sides.engine.remove(container)
    os.sync()
    return Row(f"processor time of ps -a with {MANY}", "ms", tuple(samples), (), MANY_BAR)


def _all(sides: Sides) -> tuple[Command, Command, Command]:
    return sides.strata, sides.podman, sides.docker


def _timed(work: Callable[[], None]) -> Callable[[], float]:
    return lambda: milliseconds(work)


def _better_peer(name: str, sides: list[Callable[[], float]], rounds: int, bar: float) -> Row:
    """Ours, podman's and docker's in turn; held against whichever of the two is faster."""
    taken: list[list[float]] = [[], [], []]
    for number in range(WARM_UP + rounds):
        for side, samples in zip(sides, taken, strict=True):
            sample = side()
            if number >= WARM_UP:
                samples.append(sample)
        print(f"\r{name}: {number + 1}/{WARM_UP + rounds}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    ours, podman, docker = taken
    better, peer = min((podman, "podman"), (docker, "docker"), key=lambda side: statistics.median(side[0]))
    return Row(f"{name} / {peer}", "ms", tuple(ours), tuple(better), bar)


LIFE: dict[str, Callable[[Sides, int], Row]] = {
    "exec-docker": exec_,
    "start": start,
    "pause": pause,
    "stop": stop,
    "rm": rm,
    "ps": ps,
    "ps-many": ps_many,
}
