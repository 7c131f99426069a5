"""Health checks: a command run in the container again and again, and what is made of its results.

The rules are docker's (moby, daemon/health.go). Results lie in health.json, the status in state.json too. Light, and
loaded by those monitors only whose containers have a check.
"""

from __future__ import annotations

import time

from engine.kernel import proc
from engine.runtime import wire
from engine.runtime.execs import Entry
from engine.runtime.handshake import words
from engine.runtime.records import encode, now, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from engine.runtime.container import Container

STARTING, HEALTHY, UNHEALTHY = "starting", "healthy", "unhealthy"

KEPT = 5
"""Results in health.json."""

OUTPUT = 4096
"""Bytes of a command's output that are kept."""


class Health:
    """Owns the checks of one run of a container. status: "starting", "healthy" or "unhealthy"."""

    __slots__ = ("_began", "_container", "_directory", "_probe", "_results", "_rules", "_streak", "_timer", "status")

    def __init__(self, container: Container, directory: int) -> None:
        """Begin. directory: the container's, open. plan["health"]: argv, and in seconds interval, timeout, start
        period, start interval; retries."""
        self._container = container
        self._directory = directory
        self._rules: tuple[Any, ...] = container.plan["health"]
        self._began = time.monotonic()
        self._results: list[dict[str, object]] = []
        self._streak = 0
        self._probe: Probe | None = None
        self.status = STARTING
        self._timer = self._plan()
        self._write()

    def hold(self) -> None:
        """The container is frozen: nothing is begun, and what runs may take as long as that lasts."""
        self._container.loop.cancel(self._timer)

    def go_on(self) -> None:
        """It is not frozen any more."""
        self._timer = self._plan() if self._probe is None else self._patience(self._probe)

    def end(self) -> None:
        """The container has ended; as for docker it is not healthy then."""
        self._container.loop.cancel(self._timer)
        if self._probe is not None:
            self._probe.over = True
        self.status = UNHEALTHY
        self._write()

    def _plan(self) -> Any:
        _, interval, _, period, early, _ = self._rules
        young = self.status == STARTING and time.monotonic() - self._began < period
        return self._container.loop.later(early if young else interval, self._begin)

    def _patience(self, probe: Probe) -> Any:
        return self._container.loop.later(self._rules[2], lambda: self._late(probe))

    def _begin(self) -> None:
        self._probe = probe = Probe(self)
        request = {"argv": self._rules[0], "env": (), "cwd": "", "user": "", "size": (0, 0)}
        try:
            probe.entry = Entry(
                self._container,
                probe,  # type: ignore[arg-type]  # as much of a client as an exec needs
                {**request, "tty": False, "stdin": False, "detach": False},
            )
        except OSError as error:
            probe.refuse("", words(error))
        else:
            self._timer = self._patience(probe)

    def _late(self, probe: Probe) -> None:
        assert probe.entry is not None
        try:
            probe.entry.task.signal(proc.SIGKILL)
        except ProcessLookupError:
            pass  # just now
        probe.output[:] = b""
        probe.conclude(-1, f"Health check exceeded timeout ({self._rules[2]:g}s)")

    def result(self, probe: Probe, status: int, text: str) -> None:
        """A check has ended, or was ended (-1)."""
        self._container.loop.cancel(self._timer)
        self._probe = None
        result = {"Start": probe.start, "End": now(), "ExitCode": status, "Output": text}
        self._results = [*self._results, result][-KEPT:]
        before = self.status
        if status == 0:
            self._streak = 0
            self.status = HEALTHY
        elif before != STARTING or probe.began - self._began >= self._rules[3]:
            self._streak += 1
            if self._streak >= self._rules[5]:
                self.status = UNHEALTHY
        self._write()
        if self.status != before:
            self._container.health_changed()
        if not self._container.paused:  # else `go_on` does it
            self._timer = self._plan()

    def _write(self) -> None:
        document = {"Status": self.status, "FailingStreak": self._streak, "Log": self._results}
        try:
            replace(self._directory, "health.json", encode(document).encode())
        except OSError:
            pass  # a full disk: the next result is written whole


class Probe:
    """One check: what `Client` is to other execs. over: its result is known, or nobody asks for it any more."""

    __slots__ = ("_health", "began", "entry", "once", "output", "over", "start", "stdin", "task")

    open = True
    full = False

    def __init__(self, health: Health) -> None:
        self._health = health
        self.began = time.monotonic()
        self.start = now()
        self.output = bytearray()
        self.over = False
        self.entry: Entry | None = None
        self.task: object = None
        self.stdin = self.once = False

    def reply(self, value: object) -> None:
        """It runs."""

    def send(self, kind: int, payload: bytes = b"") -> None:
        """What it writes, and at last its exit status."""
        if kind == wire.EXIT:
            cut = "..." if len(self.output) > OUTPUT else ""
            text = self.output[:OUTPUT].decode("utf-8", "replace") + cut
            self.conclude(wire.NUMBER.unpack(payload)[0], text)
        elif len(self.output) <= OUTPUT:
            self.output += payload

    def refuse(self, kind: str, message: str, status: int = -1) -> None:
        """It does not run."""
        self.conclude(status, message)

    def conclude(self, status: int, text: str) -> None:
        """Tell the result, once."""
        if not self.over:
            self.over = True
            self._health.result(self, status, text)

    def finish(self) -> None:
        """Nothing is to be closed."""

    def release(self) -> None:
        """Nor was anything held."""
