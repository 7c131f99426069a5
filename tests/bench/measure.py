"""How a row is measured: both sides in turn, warmed up first, and medians, so that a busy moment hits both."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

WARM_UP = 3


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison. ours, theirs: samples, in `unit`; bar: the highest ratio (with no peer: value) wanted."""

    name: str
    unit: str
    ours: tuple[float, ...]
    theirs: tuple[float, ...]
    bar: float

    @property
    def value(self) -> float:
        """What the bar is held against: the ratio of the medians, or our median where there is no peer."""
        ours = statistics.median(self.ours)
        return ours / statistics.median(self.theirs) if self.theirs else ours

    @property
    def met(self) -> bool:
        return self.value <= self.bar

    def cells(self) -> list[str]:
        """The row as printed: name, our median (least … 90th percentile), the peer's, ratio, bar, verdict."""
        shown = [self.name, _summary(self.ours, self.unit), _summary(self.theirs, self.unit) if self.theirs else "–"]
        kind = f"{self.value:.2f}" if self.theirs else f"{self.value:.2f} {self.unit}"
        bar = f"≤ {self.bar:g}" if self.theirs else f"≤ {self.bar:g} {self.unit}"
        return [*shown, kind, bar, "met" if self.met else "NOT MET"]


def _summary(samples: tuple[float, ...], unit: str) -> str:
    ordered = sorted(samples)
    return f"{statistics.median(ordered):.2f} ({ordered[0]:.2f} … {ordered[int(len(ordered) * 0.9) - 1]:.2f}) {unit}"


def interleave(name: str, ours: Callable[[], float], theirs: Callable[[], float], rounds: int, bar: float) -> Row:
    """Measure `rounds` of each, ours and theirs in turn; each call gives the milliseconds of what it timed."""
    pairs = []
    for number in range(WARM_UP + rounds):
        pair = (ours(), theirs())
        if number >= WARM_UP:
            pairs.append(pair)
        print(f"\r{name}: {number + 1}/{WARM_UP + rounds}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return Row(name, "ms", tuple(pair[0] for pair in pairs), tuple(pair[1] for pair in pairs), bar)


def milliseconds(work: Callable[[], object]) -> float:
    """How long a call took."""
    start = time.perf_counter_ns()
    work()
    return (time.perf_counter_ns() - start) / 1e6


def table(rows: list[Row]) -> str:
    """The rows as aligned text."""
    lines = [["row", "strata", "peer", "ratio", "bar", ""], *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(6)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )
