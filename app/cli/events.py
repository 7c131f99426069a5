"""strata events: what happens to containers and images, as it happens, or since a moment."""

from __future__ import annotations

from app.cli.format import visible
from app.cli.logs import moment_of
from app.cli.output import filter_flag, gathered, object_format_flag, out, write_object

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from app.cli.flags import Args, Parser


def add_arguments(parser: Parser) -> None:
    parser.describe("[OPTIONS]")
    filter_flag(parser)
    object_format_flag(parser)
    parser.flags[-1].short = ""  # -f is the filter's
    parser.add_argument("--since", type=moment_of, help="Show all events created since timestamp")
    parser.add_argument("--until", type=moment_of, help="Stream events until this timestamp")


def run(args: Args) -> int:
    import sys

    from engine.engine import Engine

    for event in Engine(args.root).events(args.since, args.until, filters=gathered(args.filter)):
        if args.format:
            write_object(fields(event), args.format)
        else:
            out(line(event) + "\n")
        sys.stdout.flush()
    return 0


def fields(event: dict[str, Any]) -> dict[str, Any]:
    """docker's object, with the fields that it keeps for old clients."""
    attributes = event["Actor"]["Attributes"]
    old = {"status": event["Action"], "id": event["Actor"]["ID"]}
    if "image" in attributes:
        old["from"] = attributes["image"]
    return {**old, **event}


def line(event: dict[str, Any]) -> str:
    """docker's line: time, type, action, id, attributes; what came from outside cannot move a terminal's cursor."""
    pairs = sorted(event["Actor"]["Attributes"].items())
    attributes = f" ({', '.join(f'{key}={value}' for key, value in pairs)})" if pairs else ""
    return visible(f"{stamp(event['timeNano'])} {event['Type']} {event['Action']} {event['Actor']['ID']}{attributes}")


def stamp(nanoseconds: int) -> str:
    """A moment in local time, with nine digits and the offset: 2026-12-01T02:38:37.145522716+01:00."""
    import time

    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    local = time.localtime(seconds)
    minutes = local.tm_gmtoff // 60
    sign, minutes = "-" if minutes < 0 else "+", abs(minutes)
    offset = f"{sign}{minutes // 60:02}:{minutes % 60:02}" if minutes else "Z"
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', local)}.{rest:09}{offset}"
