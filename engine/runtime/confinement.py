"""What a container's settings mean for what its processes may do: capabilities, security options, --privileged.

Pure; the words of errors are docker's (moby's daemon/pkg/oci/caps, daemon/daemon_unix.go).
"""

from __future__ import annotations

from engine.errors import InvalidInput
from engine.values import Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from typing import Any

    from engine.settings import Settings

CAPABILITIES = (
    *("CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID"),
    *("SETUID", "SETFCAP", "SETPCAP", "NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE"),
)
"""docker's default: what processes may hold (bounding, permitted, effective); inheritable and ambient stay empty."""

MASKED = (
    *("/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats"),
    *("/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats"),
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
)
"""Hidden: files behind the null device, directories behind an empty read-only one; absent ones are skipped."""

READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")

ALL = "ALL"
BUILTIN, UNCONFINED = "builtin", "unconfined"

_TRUE = ("1", "t", "T", "true", "TRUE", "True")
_FALSE = ("0", "f", "F", "false", "FALSE", "False")


class Security(Values):
    """What --security-opt says. seccomp: "" (the default), "builtin", "unconfined" or a profile's JSON; system_paths:
    no path of /proc and /sys is masked or read-only; apparmor: a profile's name, "" = the default; labels: of SELinux,
    "type:T", "level:L", "user:U", "role:R", "disable" …"""

    seccomp: str = ""
    no_new_privileges: bool = False
    system_paths: bool = False
    apparmor: str = ""
    labels: tuple[str, ...] = ()


def security(options: Iterable[str]) -> Security:
    """Read --security-opt texts; the last of a kind counts, labels add up. InvalidInput for one that is none."""
    found: dict[str, Any] = {}
    labels: list[str] = []
    for option in options:
        key, equals, value = option.partition("=")
        if not equals and option != "no-new-privileges":
            key, equals, value = option.partition(":")  # docker's old form
            if not equals:
                raise InvalidInput(f'invalid --security-opt: "{option}"')
        if key == "no-new-privileges":
            if equals and value not in _TRUE + _FALSE:
                raise InvalidInput(f'invalid --security-opt 2: "{option}"')
            found["no_new_privileges"] = not equals or value in _TRUE
        elif key == "systempaths" and value == UNCONFINED:
            found["system_paths"] = True
        elif key in ("seccomp", "apparmor"):
            found[key] = value
        elif key == "label":
            labels.append(value)
        else:
            raise InvalidInput(f'invalid --security-opt 2: "{option}"')
    return Security(labels=tuple(labels), **found)


def normal_capability(name: str) -> str:
    """A capability's name as a person writes it, as the settings hold it: upper case, without CAP_."""
    return name.strip().upper().removeprefix("CAP_")


def check_capabilities(settings: Settings, known: Collection[str], here: Collection[str]) -> None:
    """InvalidInput for a name that is none of the `known` ones or "ALL", or that nobody `here` may hold."""
    for where, names in (("CapAdd", settings.cap_add), ("CapDrop", settings.cap_drop)):
        for name in names:
            if name != ALL and name not in known:
                raise InvalidInput(f'invalid {where}: unknown capability: "CAP_{name}"')
            if name != ALL and name not in here and where == "CapAdd":
                raise InvalidInput(
                    f"invalid {where}: capability not supported by your kernel or not available in the current"
                    f' environment: "CAP_{name}"'
                )


def every_capability() -> tuple[str, ...]:
    """All there are; who lacks one itself cannot give it."""
    from engine.kernel.capabilities import CAPS

    return tuple(name.removeprefix("CAP_") for name in CAPS)


def capabilities(settings: Settings) -> tuple[str, ...]:
    """The names that processes may hold."""
    add, drop = settings.cap_add, settings.cap_drop
    if settings.privileged:
        return every_capability()
    if ALL in add:
        return tuple(name for name in every_capability() if name not in drop)
    if ALL in drop:
        return add
    kept = [name for name in CAPABILITIES if name not in drop]
    return (*kept, *(name for name in add if name not in kept))


def masked_paths(settings: Settings) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The hidden and the read-only paths."""
    if settings.privileged or security(settings.security_opt).system_paths:
        return (), ()
    return MASKED, READ_ONLY
