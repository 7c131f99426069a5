"""docker's notations of devices, device rules, sysctls and ulimits, read into the one form that settings hold.

Each function takes a flag's text and raises InvalidInput in docker's words (cli/opts, docker/go-units).
"""

from __future__ import annotations

from engine.errors import InvalidInput

ULIMITS = (
    *("core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss"),
    *("rtprio", "rttime", "sigpending", "stack"),
)
IPC_SYSCTLS = (
    *("kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem"),
    *("kernel.shmall", "kernel.shmmax", "kernel.shmmni", "kernel.shm_rmid_forced"),
)
"""Sysctls of an ipc namespace, besides fs.mqueue.*."""


def device(text: str) -> str:
    """HOST[:INSIDE[:rwm]], also HOST:rwm, as "HOST:INSIDE:rwm"."""
    parts = text.split(":")
    if not 1 <= len(parts) <= 3 or not all(parts):
        raise InvalidInput(f"bad format for path: {text}")
    host, inside, letters = parts[0], parts[0], "rwm"
    if len(parts) == 3:
        inside, letters = parts[1:]
    elif len(parts) == 2 and _is_mode(parts[1]):
        letters = parts[1]
    elif len(parts) == 2:
        inside = parts[1]
    if not _is_mode(letters):
        raise InvalidInput(f"bad mode specified: {letters}")
    for path in (host, inside):
        if not path.startswith("/"):
            raise InvalidInput(f"{path} is not an absolute path")
    return f"{host}:{inside}:{letters}"


def _is_mode(text: str) -> bool:
    return bool(text) and not set(text) - set("rwm") and len(set(text)) == len(text)


def device_rule(text: str) -> tuple[str, ...]:
    """A rule such as "c 1:3 rwm"; one of kind "a" with numbers is two, since the kernel would read it as "everything"
    (Documentation/admin-guide/cgroup-v1/devices.rst)."""
    kind, _, rest = text.partition(" ")
    numbers, _, letters = rest.partition(" ")
    major, colon, minor = numbers.partition(":")
    plain = all(number == "*" or (number.isdecimal() and number.isascii()) for number in (major, minor))
    if kind not in ("a", "b", "c") or not colon or not plain or not letters or set(letters) - set("rwm"):
        raise InvalidInput(f"invalid device cgroup format '{text}'")
    if kind != "a":
        return (text,)
    if numbers == "*:*" and set(letters) == set("rwm"):
        return ("a",)
    return f"b {numbers} {letters}", f"c {numbers} {letters}"


def sysctl(text: str) -> tuple[str, str]:
    """NAME=VALUE of a sysctl that a namespace has for itself: (name, value)."""
    name, equals, value = text.partition("=")
    known = name in IPC_SYSCTLS or name.startswith(("net.", "fs.mqueue."))
    if not equals or not known or not all(name.replace(".", "/").split("/")) or "\0" in text:
        raise InvalidInput(f"sysctl '{text}' is not allowed")
    return name, value


def ulimit(text: str) -> str:
    """NAME=SOFT[:HARD] as "name=soft:hard"; -1 is no limit."""
    name, equals, limits = text.partition("=")
    if not equals:
        raise InvalidInput(f"invalid ulimit argument: {text}")
    if name not in ULIMITS:
        raise InvalidInput(f"invalid ulimit type: {name}")
    values = limits.split(":")
    if len(values) > 2:
        raise InvalidInput(f"too many limit value arguments - {limits}, can only have up to two, `soft[:hard]`")
    try:
        numbers = [int(value) for value in values]
    except ValueError:
        raise InvalidInput(f"invalid ulimit argument: {text}: a limit is a whole number, or -1 for none") from None
    soft, hard = numbers[0], numbers[-1]
    if min(soft, hard) < -1 or max(soft, hard) >= 1 << 63:
        raise InvalidInput(f"invalid ulimit argument: {text}: a limit is a whole number, or -1 for none")
    if hard != -1 and (soft == -1 or soft > hard):
        raise InvalidInput(f"ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}")
    return f"{name}={soft}:{hard}"
