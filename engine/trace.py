"""What the engine really did: each kernel-facing step as data.

`engine.kernel` calls `record` for every system call it makes. Nothing is kept unless a trace is open:
`begin()` opens one for this process, `end()` closes it and hands the steps over. One trace at a time and
no threads: the launcher, the monitor and init are single-threaded; the explorer asks them for theirs.

Standard library only, and no imports but `time`: init and the monitor load this module.
"""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class Step:
    """One system call: name, arguments as text, result or errno, start and duration, an equivalent command.

    at: seconds since the epoch; duration: nanoseconds; shell: a command with the same effect, or "".
    """

    __slots__ = ("args", "at", "call", "duration", "errno", "result", "shell")

    def __init__(
        self, call: str, args: Sequence[object], result: object, errno: int, at: float, duration: int, shell: str
    ) -> None:
        self.call = call
        self.args = [text(arg) for arg in args]
        self.result = text(result)
        self.errno = errno
        self.at = at
        self.duration = duration
        self.shell = shell

    def as_dict(self) -> dict[str, object]:
        """The step as plain data, one line of a container's `trace.jsonl`."""
        return {
            "at": self.at,
            "call": self.call,
            "args": self.args,
            "result": self.result,
            "errno": self.errno,
            "ns": self.duration,
            "shell": self.shell,
        }


_steps: list[Step] | None = None


def begin() -> None:
    """Open a new trace in this process; an open one is dropped."""
    global _steps
    _steps = []


def end() -> list[Step]:
    """Close the trace and return its steps, oldest first (empty if none was open)."""
    global _steps
    steps, _steps = _steps, None
    return steps or []


def active() -> bool:
    """Whether a trace is open: callers skip the work of describing a step when it is not."""
    return _steps is not None


def record(call: str, args: Sequence[object], result: object, errno: int, start_ns: int, shell: str = "") -> None:
    """Add one finished step, if a trace is open. start_ns: `time.monotonic_ns()` before the call."""
    if _steps is not None:
        duration = time.monotonic_ns() - start_ns
        _steps.append(Step(call, args, result, errno, time.time() - duration / 1e9, duration, shell))


def text(value: object) -> str:
    """A value as short printable text: bytes decoded, long texts clipped at 2,000 characters."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "backslashreplace")
    shown = value if isinstance(value, str) else repr(value)
    return shown if len(shown) <= 2000 else shown[:2000] + "…"
