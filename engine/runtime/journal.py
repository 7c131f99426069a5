"""The journal: what happened to containers and images, for `strata events`; `<root>/events.jsonl`, an object a line.

Commands and monitors write it, each line by one write(2) with O_APPEND, which the kernel does as a whole (write(2)):
nobody waits for anybody. A line that does not fit on the disk is dropped: what happened has happened. The fields are
docker's (docs.docker.com/reference/api/engine, events). Light: the monitor loads this.
"""

from __future__ import annotations

import fcntl
import os
import time

from engine.runtime.records import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

NAME = "events.jsonl"
OLD = "events.jsonl.1"
FULL = 4 << 20
"""Bytes after which the journal is put aside, over the one that was put aside before."""


def tell(root: str, kind: str, action: str, actor: str, attributes: Mapping[str, str]) -> None:
    """Note an event. kind: "container", "image"; actor: its id or name. Never an error of whoever tells."""
    now = time.time_ns()
    event = {
        "Type": kind,
        "Action": action,
        "Actor": {"ID": actor, "Attributes": dict(attributes)},
        "scope": "local",
        "time": now // 1_000_000_000,
        "timeNano": now,
    }
    try:
        fd = os.open(f"{root}/{NAME}", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except OSError:
        return
    try:
        os.write(fd, f"{encode(event)}\n".encode())
        if os.fstat(fd).st_size > FULL:
            _put_aside(root, fd)
    except OSError:
        return
    finally:
        os.close(fd)


def _put_aside(root: str, fd: int) -> None:
    """Rename a full journal, once: who holds its lock does it, and only while the name leads to it still."""
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    if os.path.samestat(os.fstat(fd), os.stat(f"{root}/{NAME}")):
        os.rename(f"{root}/{NAME}", f"{root}/{OLD}")
