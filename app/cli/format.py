"""docker's short forms of sizes, times and texts (github.com/docker/go-units and docker/cli's formatters)."""

from __future__ import annotations

import time

UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB")
MINUTE, HOUR, DAY = 60, 3600, 86400


def size(count: float) -> str:
    """Bytes with three significant digits and decimal units: "5.58MB", "0B"."""
    value, unit = float(count), 0
    while unit < len(UNITS) - 1 and float(f"{value:.3g}") >= 1000:
        value, unit = value / 1000, unit + 1
    return f"{value:.3g}{UNITS[unit]}"


def duration(seconds: float) -> str:
    """go-units' HumanDuration: "Less than a second", "About a minute", "3 weeks"."""
    whole = int(seconds)
    hours = int(seconds / HOUR + 0.5)
    if whole < 1:
        return "Less than a second"
    if whole < MINUTE:
        return "1 second" if whole == 1 else f"{whole} seconds"
    if whole < HOUR:
        return "About a minute" if whole < 2 * MINUTE else f"{whole // MINUTE} minutes"
    if hours == 1:
        return "About an hour"
    if hours < 48:
        return f"{hours} hours"
    if hours < 24 * 7 * 2:
        return f"{hours // 24} days"
    if hours < 24 * 30 * 2:
        return f"{hours // 24 // 7} weeks"
    if hours < 24 * 365 * 2:
        return f"{hours // 24 // 30} months"
    return f"{int(seconds / HOUR) // 24 // 365} years"


def seconds_of(stamp: str) -> float:
    """An RFC 3339 time as seconds since the epoch."""
    from engine.oci.times import nanoseconds

    return nanoseconds(stamp) / 1e9


def ago(stamp: str, now: float | None = None) -> str:
    """How long ago an RFC 3339 time was: "3 minutes ago"; "N/A" for no time and for none that is meant."""
    if not stamp or seconds_of(stamp) <= 0:  # Go's zero time, or the epoch: reproducible builds
        return "N/A"
    return duration((time.time() if now is None else now) - seconds_of(stamp)) + " ago"


def created_at(stamp: str) -> str:
    """An RFC 3339 time as Go's time.String() shows it in docker's tables: "2026-05-07 02:50:21 +0000 UTC"."""
    if not stamp:
        return "N/A"
    moment = time.localtime(seconds_of(stamp))
    return time.strftime("%Y-%m-%d %H:%M:%S %z ", moment) + moment.tm_zone


def ellipsis(text: str, width: int) -> str:
    """At most `width` characters, the last one "…" when something was cut."""
    return text if len(text) <= width else text[: width - 1] + "…"


def short_id(identity: str) -> str:
    """The twelve digits people use, without "sha256:"."""
    return identity.removeprefix("sha256:")[:12]


def quote(text: str) -> str:
    """Go's strconv.Quote: in double quotes, everything that is not printable escaped."""
    out = []
    escapes = {
        "\a": "\\a",
        "\b": "\\b",
        "\f": "\\f",
        "\n": "\\n",
        "\r": "\\r",
        "\t": "\\t",
        "\v": "\\v",
        '"': '\\"',
        "\\": "\\\\",
    }
    for char in text:
        if char in escapes:
            out.append(escapes[char])
        elif char.isprintable():
            out.append(char)
        else:
            out.append(_escaped(char))
    return f'"{"".join(out)}"'


def visible(text: str) -> str:
    """A foreign text for a terminal: what could move the cursor, colour or reorder it is escaped."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char == "\t" else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8, as surrogateescape carries it
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
