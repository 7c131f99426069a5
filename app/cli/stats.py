"""strata stats: what containers use, once or as a table that keeps itself up to date."""

from __future__ import annotations

import sys
import time

from app.cli.format import short_id, size
from app.cli.output import out, rows_format_flag, rows_text
from app.cli.template_functions import Row
from engine.errors import NotFound, NotRunning
from engine.values import Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.cli.flags import Args, Parser
    from engine.commands.stats import Stats
    from engine.engine import Engine

TABLE = "{{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}}\t{{.BlockIO}}\t{{.PIDs}}"
PRESSURE = "\t{{.CPUPressure}}\t{{.MemPressure}}\t{{.IOPressure}}"
TITLES = {
    "Container": "CONTAINER",
    "ID": "CONTAINER ID",
    "Name": "NAME",
    "CPUPerc": "CPU %",
    "MemUsage": "MEM USAGE / LIMIT",
    "MemPerc": "MEM %",
    "NetIO": "NET I/O",
    "BlockIO": "BLOCK I/O",
    "PIDs": "PIDS",
    "CPUPressure": "CPU PRESSURE",
    "MemPressure": "MEM PRESSURE",
    "IOPressure": "IO PRESSURE",
}
FIRST, LATER = 0.5, 1.0
"""Seconds between the readings of which the processor's share is made: for the first table, for those that follow."""

BINARY = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
HOME, CLEAR, END_OF_LINE, BELOW = "\x1b[H", "\x1b[2J", "\x1b[K", "\x1b[J"


class Reading(Values):
    """A container's numbers at one moment. ref: as it was typed; stats: None when it does not run; gone: removed."""

    ref: str
    id: str
    name: str
    stats: Stats | None
    gone: bool = False


def add_arguments(parser: Parser) -> None:
    parser.describe("[OPTIONS] [CONTAINER...]", most=None)
    parser.add_argument("-a", "--all", action="store_true", help="Show all containers (default shows just running)")
    rows_format_flag(parser)
    parser.add_argument(
        "--no-stream", action="store_true", help="Disable streaming stats and only pull the first result"
    )
    parser.add_argument("--no-trunc", action="store_true", help="Do not truncate output")
    parser.add_argument(
        "--pressure", action="store_true", help="Show how long processes waited for CPU, memory and I/O (of 10 s)"
    )


def run(args: Args) -> int:
    from engine.engine import Engine

    engine = Engine(args.root)
    for ref in args.words:
        engine.container(ref)  # a name that is none is an error now, not a row
    live = sys.stdout.isatty() and not args.no_stream
    before = {one.id: one.stats for one in readings(engine, args.words, args.all)}
    pause, start = FIRST, CLEAR
    while True:
        time.sleep(pause)
        found = readings(engine, args.words, args.all)
        rows = [stats_row(one, before.get(one.id), not args.no_trunc) for one in found]
        text = rows_text(rows, args.format, TABLE + (PRESSURE if args.pressure else ""), TITLES)
        if live:
            text = start + HOME + text.replace("\n", f"{END_OF_LINE}\n") + BELOW
        out(text)
        sys.stdout.flush()
        if args.no_stream:
            return 0
        before = {one.id: one.stats for one in found}
        pause, start = LATER, ""


def readings(engine: Engine, refs: Sequence[str], all: bool) -> list[Reading]:
    """Of the named containers, or else of every one that runs (all: that there is)."""
    found = []
    for ref in refs or [one.id for one in engine.containers(all)]:
        try:
            one = engine.container(ref)
        except NotFound:
            if refs:
                found.append(Reading(ref, "", "", None, gone=True))
            continue
        try:
            found.append(Reading(ref if refs else one.id, one.id, one.name, engine.stats(ref)))
        except NotRunning:
            if refs or all:
                found.append(Reading(ref if refs else one.id, one.id, one.name, None))
        except NotFound:
            continue
    return found


def stats_row(one: Reading, before: Stats | None, short: bool) -> Row:
    """docker's fields, and the pressure's. before: the reading before, for the processor's share; short: cut the id."""
    now = one.stats
    return Row(
        "*container.statsContext",
        {
            "Container": short_id(one.ref) if short and one.ref == one.id else one.ref,
            "ID": "--" if one.gone else short_id(one.id) if short else one.id,
            "Name": "--" if one.gone else one.name,
            "CPUPerc": "--" if one.gone else _percent(_share(now, before)),
            **_numbers(one, now),
            "CPUPressure": _pressure(now, "cpu"),
            "MemPressure": _pressure(now, "memory"),
            "IOPressure": _pressure(now, "io"),
        },
    )


def _numbers(one: Reading, now: Stats | None) -> dict[str, str]:
    if one.gone or (now is not None and now.memory is None):
        memory, share = "-- / --", "--"
    elif now is None or now.memory is None:
        memory, share = "0B / 0B", _percent(0)
    else:
        memory = f"{binary_size(now.memory)} / {binary_size(now.memory_limit)}"
        share = _percent(now.memory * 100 / now.memory_limit)
    block = "--"
    if now is None and not one.gone:
        block = "0B / 0B"
    elif now is not None and now.read is not None and now.written is not None:
        block = f"{size(now.read)} / {size(now.written)}"
    network = f"{size(now.received)} / {size(now.sent)}" if now else "0B / 0B"
    return {
        "MemUsage": memory,
        "MemPerc": share,
        "NetIO": "--" if one.gone else network,
        "BlockIO": block,
        "PIDs": "--" if one.gone else str(now.pids) if now else "0",
    }


def _share(now: Stats | None, before: Stats | None) -> float | None:
    """Percent of one processor since the reading before."""
    if now is None or before is None:
        return 0.0
    if now.cpu is None or before.cpu is None:
        return None
    return max(now.cpu - before.cpu, 0) / 1e7 / max(now.at - before.at, 1e-9)


def _percent(value: float | None) -> str:
    return "--" if value is None else f"{value:.2f}%"


def _pressure(now: Stats | None, kind: str) -> str:
    return _percent(now.pressure.get(kind)) if now else "--"


def binary_size(count: float) -> str:
    """go-units' BytesSize: "1.5MiB", four significant digits."""
    unit = 0
    while count >= 1024 and unit < len(BINARY) - 1:
        count, unit = count / 1024, unit + 1
    return f"{count:.4g}{BINARY[unit]}"
