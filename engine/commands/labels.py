"""Labels of security modules for a container's processes: AppArmor's profile, SELinux's context.

What is written is what runc writes: to /proc/self/attr/apparmor/exec (attr/exec before Linux 5.8) "exec PROFILE", to
/proc/self/attr/exec the context. Where the host has neither module, options for them are taken and mean nothing, as
with docker.
"""

from __future__ import annotations

import os

from engine.errors import InvalidInput
from engine.runtime import confinement

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.settings import Settings

APPARMOR_DEFAULT = "docker-default"
"""docker's profile, which its daemon or its package loads; without it in the kernel there is no default."""

_FIELDS = ("user", "role", "type", "level")


def labels(settings: Settings, root: str = "/") -> tuple[tuple[str, str], ...]:
    """(file below /proc/self/attr, text) each. root: where the host's /proc and /sys are, for tests.

    InvalidInput for a label option that is none.
    """
    own = confinement.security(settings.security_opt)
    found = []
    profile = apparmor_profile(settings, root)
    if profile not in ("", confinement.UNCONFINED):
        own_file = os.path.exists(os.path.join(root, "proc/self/attr/apparmor/exec"))
        found.append(("apparmor/exec" if own_file else "exec", f"exec {profile}"))
    context = _selinux_context(own.labels, root)
    if context:
        found.append(("exec", context))
    return tuple(found)


def apparmor_profile(settings: Settings, root: str = "/") -> str:
    """The profile's name, as inspect shows it; "" where there is none."""
    own = confinement.security(settings.security_opt).apparmor
    if not apparmor_enabled(root):
        return ""
    if own:
        return own
    if settings.privileged:
        return confinement.UNCONFINED
    return APPARMOR_DEFAULT if _loaded(APPARMOR_DEFAULT, root) else ""


def apparmor_enabled(root: str = "/") -> bool:
    return _text(os.path.join(root, "sys/module/apparmor/parameters/enabled")).startswith("Y")


def selinux_enabled(root: str = "/") -> bool:
    return os.path.exists(os.path.join(root, "sys/fs/selinux/enforce"))


def _loaded(profile: str, root: str) -> bool:
    lines = _text(os.path.join(root, "sys/kernel/security/apparmor/profiles")).splitlines()
    return any(line.rpartition(" (")[0] == profile for line in lines)


def _selinux_context(options: Sequence[str], root: str) -> str:
    """The context that `label=` options make of the caller's own; "" without any: docker's daemon does not label
    either unless it was told to (--selinux-enabled)."""
    changes: dict[str, str] = {}
    for option in options:
        key, colon, value = option.partition(":")
        if option == "disable":
            return ""
        if not colon or not value or key not in (*_FIELDS, "filetype"):
            raise InvalidInput(
                f"bad label option \"{option}\", valid options 'disable' or \n'user, role, level, type, filetype'"
                " followed by ':' and a value"
            )
        changes[key] = value
    if not changes or not selinux_enabled(root):
        return ""
    base = _text(os.path.join(root, "proc/self/attr/current")).rstrip("\0\n").split(":", 3)
    if len(base) < 3:
        raise InvalidInput("SELinux tells no context of this process: --security-opt label=disable does without")
    fields = zip(_FIELDS, [*base, ""], strict=False)  # the level is there with MLS only
    return ":".join(value for value in [changes.get(name, old) for name, old in fields] if value)


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(1 << 20)
    except OSError:
        return ""
