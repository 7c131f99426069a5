"""--init: the small program of the host that becomes a container's first process, passes signals on and reaps."""

from __future__ import annotations

import os
import struct

from engine.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.runtime.plan import Plan

PROGRAMS = (
    "/usr/bin/docker-init",
    "/usr/bin/tini-static",
    "/usr/libexec/docker/docker-init",
    "/usr/bin/catatonit",
    "/usr/libexec/podman/catatonit",
    "/usr/lib/podman/catatonit",
    "/sbin/tini-static",
    "/usr/bin/tini",
)
"""Where distributions keep one; each takes `-- COMMAND`. The last may need libraries, which a container has not got."""

PT_INTERP = 3


def find(programs: tuple[str, ...] = PROGRAMS) -> str:
    """The host's init program, without a symbolic link. InvalidInput, with what to install, when there is none."""
    for path in programs:
        real = os.path.realpath(path)
        if is_static(real):
            return real
    raise InvalidInput(
        "--init needs an init program on this machine, and there is none: install the package tini or catatonit "
        f"(looked for a static {', '.join(programs)})"
    )


def is_static(path: str) -> bool:
    """Whether a file is a 64-bit ELF program that needs no interpreter, and so no library (elf(5))."""
    try:
        with open(path, "rb") as file:
            head = file.read(64)
            if len(head) < 64 or head[:5] != b"\x7fELF\x02":
                return False
            order = "<" if head[5] == 1 else ">"
            (start,), (size, count) = (
                struct.unpack_from(order + "Q", head, 32),
                struct.unpack_from(order + "HH", head, 54),
            )
            file.seek(start)
            headers = file.read(size * count)
    except OSError:
        return False
    if size < 4 or len(headers) < size * count:
        return False
    return all(struct.unpack_from(order + "I", headers, size * at)[0] != PT_INTERP for at in range(count))


def with_init(plan: Plan) -> Plan:
    """The plan with it as first process. InvalidInput when this machine has none."""
    return plan.under_init(find())
