"""top: the processes of a container as ps shows them: by our own reading of /proc, or by the host's ps.

Source: moby, daemon/top_unix.go; ps(1); proc(5).
"""

from __future__ import annotations

import os
import time

from engine.errors import InvalidInput, NotRunning, StrataError
from engine.values import Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.commands.context import Context

TITLES = ("UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD")


class Top(Values):
    """titles: of the columns; processes: a row of texts each, as many as there are titles."""

    titles: tuple[str, ...]
    processes: tuple[tuple[str, ...], ...]


def top(context: Context, ref: str, options: Sequence[str] = ()) -> Top:
    """The processes, by their numbers outside. options: of ps; without any as `ps -ef`.

    NotRunning; InvalidInput for options after which ps shows no PID; StrataError with what ps said.
    """
    from engine.commands.lookup import container as find
    from engine.commands.processes import group_of, pids_of
    from engine.commands.telling import container_event

    container = find(context, ref)
    if not container.state.pid:
        raise NotRunning(container.id)
    try:
        pids = pids_of(group_of(context, container), container)
    except FileNotFoundError:
        raise NotRunning(container.id) from None
    container_event(context, container.config, "top")
    if options:
        return _by_ps(pids, options)
    boot, now = _boot_time(), time.time()
    rows = (_row(pid, boot, now) for pid in pids)
    return Top(TITLES, tuple(row for row in rows if row))


def _row(pid: int, boot: int, now: float) -> tuple[str, ...] | None:
    """One line of `ps -ef`; None for a process that has ended."""
    try:
        uid = os.stat(f"/proc/{pid}").st_uid
        with open(f"/proc/{pid}/stat", "rb") as file:
            head, _, tail = file.read().rpartition(b")")
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            command = os.fsdecode(file.read(65536).rstrip(b"\0").replace(b"\0", b" "))
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = tail.split()  # from the third on: state, ppid, …
    ticks = os.sysconf("SC_CLK_TCK")
    used = (int(fields[11]) + int(fields[12])) // ticks
    started = boot + int(fields[19]) / ticks
    age = max(int(now - started), 1)
    return (
        _user(uid),
        str(pid),
        fields[1].decode(),
        str(min(used * 100 // age, 99)),
        started_at(started, now),
        terminal(int(fields[4])),
        clock(used),
        command or f"[{os.fsdecode(head.partition(b'(')[2])}]",
    )


def _user(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _boot_time() -> int:
    with open("/proc/stat", encoding="ascii") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("btime "))


def started_at(started: float, now: float) -> str:
    """ps's STIME: "14:05" today, "Dec01" this year, "2025" before. Both: seconds since the epoch."""
    then, today = time.localtime(started), time.localtime(now)
    if then.tm_year != today.tm_year:
        return time.strftime("%Y", then)
    return time.strftime("%b%d" if then.tm_yday != today.tm_yday else "%H:%M", then)


def clock(seconds: int) -> str:
    """ps's TIME: "00:01:05", "2-03:00:00"."""
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return (f"{days}-" if days else "") + f"{hours:02}:{minutes:02}:{seconds:02}"


def terminal(device: int) -> str:
    """ps's TTY for field 7 of /proc/<pid>/stat, a device number: "pts/0", "tty1", "?" for none."""
    major, minor = os.major(device), os.minor(device)
    if 136 <= major <= 143:
        return f"pts/{(major - 136) * 256 + minor}"
    if major == 4:
        return f"tty{minor}" if minor < 64 else f"ttyS{minor - 64}"
    return "?"


def _by_ps(pids: Sequence[int], options: Sequence[str]) -> Top:
    import shutil

    words = [word for option in options for word in option.split()]
    if not shutil.which("ps"):
        raise StrataError("top: options are for the host's ps, which is not installed; without them top needs none")
    if not pids:
        raise InvalidInput("Couldn't find PID field in ps output")
    failed, output = _ps([*words, "-q", ",".join(map(str, pids))])
    if failed:  # some options of ps, such as f, do not go with -q
        failed, output = _ps(words)
    if failed:
        raise StrataError(f"ps: {failed}")
    return parsed(output, pids)


def _ps(words: Sequence[str]) -> tuple[str, str]:
    """What ps says: (its complaint, its output)."""
    import subprocess

    done = subprocess.run(["ps", *words], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    complaint = done.stderr.decode("utf-8", "surrogateescape").strip().partition("\n")[0]
    return (complaint or f"exit status {done.returncode}") if done.returncode else "", os.fsdecode(done.stdout)


def parsed(output: str, pids: Sequence[int]) -> Top:
    """The lines of ps's output that are about these processes. InvalidInput when it has no column PID."""
    lines = output.split("\n")
    titles = lines[0].split()
    if "PID" not in titles:
        raise InvalidInput("Couldn't find PID field in ps output")
    at = titles.index("PID")
    rows = []
    ours = False
    for line in lines[1:]:
        fields = line.split(None, len(titles) - 1)
        if len(fields) <= at:
            continue
        if fields[at] == "-":  # a thread of the process above
            if not ours:
                continue
        elif not fields[at].isdecimal():
            raise InvalidInput(f"Unexpected pid '{fields[at]}'")
        else:
            ours = int(fields[at]) in pids
        if ours:
            rows.append((*fields, *[""] * (len(titles) - len(fields))))
    return Top(tuple(titles), tuple(rows))
