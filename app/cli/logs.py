"""strata logs: what a container wrote, each stream to its own."""

from __future__ import annotations

import re
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from app.cli.flags import Args, Parser

UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
NUMBER_UNIT = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)")  # two letters look like µ
DURATION = re.compile(rf"([+-]?)((?:{NUMBER_UNIT.pattern})+)")


def add_arguments(parser: Parser) -> None:
    parser.describe("[OPTIONS] CONTAINER", least=1, most=1)
    parser.add_argument("--details", action="store_true", help="Show extra details provided to logs")
    parser.add_argument("-f", "--follow", action="store_true", help="Follow log output")
    moment = 'timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)'
    parser.add_argument("--since", type=moment_of, help=f"Show logs since {moment}")
    parser.add_argument("-n", "--tail", default="all", help="Number of lines to show from the end of the logs")
    parser.add_argument("-t", "--timestamps", action="store_true", help="Show timestamps")
    parser.add_argument("--until", type=moment_of, help=f"Show logs before a {moment}")


def run(args: Args) -> int:
    import sys

    from app.cli.streams import write_all
    from engine.engine import Engine

    tail = int(args.tail) if args.tail.isascii() and args.tail.isdecimal() else None
    sys.stdout.flush()
    waiting, target = bytearray(), 1
    for line in Engine(args.root).logs(args.words[0], args.follow, tail, args.since, args.until):
        stream = 2 if line.stream == "stderr" else 1
        if waiting and (stream != target or args.follow or len(waiting) > 65536):
            write_all(target, waiting)
            waiting.clear()
        target = stream
        if args.timestamps:
            waiting += _stamp(line.time)
        if args.details:
            waiting += b" "  # the attributes that a log driver's options add, of which there are none, and a blank
        waiting += line.data
        if args.follow:
            write_all(target, waiting)
            waiting.clear()
    write_all(target, waiting)
    return 0


def _stamp(moment: str) -> bytes:
    """The time with all nine digits, so that columns line up, and a blank."""
    whole, _, fraction = moment[:-1].partition(".")
    return f"{whole}.{fraction:<09}Z ".encode()


def moment_of(text: str) -> str:
    """A moment as people give it, in RFC 3339: "42m" ago, seconds since the epoch, a date, a date and time.

    Without an offset it is local time. ValueError when it is none of these.
    """
    from engine.oci.times import rfc3339

    if match := DURATION.fullmatch(text):
        back = sum(float(count) * UNITS[unit] for count, unit in NUMBER_UNIT.findall(match[2]))
        return rfc3339(time.time_ns() - int(-back * 1e9 if match[1] == "-" else back * 1e9))
    if re.fullmatch(r"\d+(\.\d+)?", text):
        whole, _, fraction = text.partition(".")
        return rfc3339(int(whole) * 10**9 + int(f"{fraction[:9]:<09}"))
    return rfc3339(_nanoseconds(text))


def _nanoseconds(text: str) -> int:
    from datetime import datetime

    match = re.fullmatch(r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d(?::\d\d(?::\d\d)?)?))?(\.\d+)?(Z|[+-]\d\d:\d\d)?", text)
    if not match:
        raise ValueError(f'failed to parse value as time or duration: "{text}"')
    date, clock, fraction, offset = match.groups()
    moment = datetime.fromisoformat(f"{date}T{clock or '00:00'}{offset or ''}".replace("Z", "+00:00"))
    return int(moment.timestamp()) * 10**9 + int(f"{(fraction or '.')[1:10]:<09}")
