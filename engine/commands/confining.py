"""What a container's processes may do, on this machine: choices checked, system call filters compiled and kept.

A filter depends on the profile, the capabilities and the machine. Compiled ones lie in `<root>/seccomp/<digest>`, so
that only the first start with a choice pays for it (10 ms); whatever is wrong with a file there, it is made again.
"""

from __future__ import annotations

import os

from engine.errors import InvalidInput
from engine.runtime import confinement

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any

    from engine.runtime.plan import Plan
    from engine.settings import Settings
    from engine.store.root import Store

Filter = tuple[int, bytes]
"""SECCOMP_FILTER_FLAG_*, and a program; an empty one is none."""

NO_FILTER: Filter = (0, b"")

_MAGIC = b"strata filter 1\n"
_LONGEST = 8 * 4096
_MOST_KEPT = 64
_LOG, _SPEC_ALLOW = 2, 4


def check(settings: Settings) -> None:
    """InvalidInput, in docker's words, for what cannot be had: at create, before anything is made."""
    own = confinement.security(settings.security_opt)
    if settings.cap_add or settings.cap_drop:
        from engine.kernel import capabilities

        here = [name.removeprefix("CAP_") for name in capabilities.names(capabilities.bounding())]
        confinement.check_capabilities(settings, confinement.every_capability(), here)
    if own.seccomp not in ("", confinement.BUILTIN, confinement.UNCONFINED):
        if not _available():
            raise InvalidInput("seccomp is not enabled in your kernel, cannot run a custom seccomp profile")
        _compiled(own.seccomp, confinement.capabilities(settings))
    if own.apparmor or own.labels:
        from engine.commands.labels import labels

        labels(settings)


def confined(store: Store, settings: Settings, plan: Plan) -> Plan:
    """The plan with the filter and the labels that this machine has for it. InvalidInput when it has none to give."""
    from engine.commands.labels import labels

    return plan.replaced(seccomp=filter_for(store, settings, plan.capabilities), labels=labels(settings))


def host_config(settings: Settings) -> dict[str, Any]:
    """docker's fields of `HostConfig`; null where docker has null."""
    masked, read_only = confinement.masked_paths(settings)
    options = [option for option in settings.security_opt if option != "systempaths=unconfined"]
    unlabelled = settings.privileged or "host" in (settings.pid, settings.ipc)
    if unlabelled and not any(option.startswith("label") for option in options):
        options.append("label=disable")  # what docker's daemon adds, and what holds here too
    return {
        "CapAdd": _prefixed(settings.cap_add),
        "CapDrop": _prefixed(settings.cap_drop),
        "Privileged": settings.privileged,
        "SecurityOpt": options or None,
        "MaskedPaths": None if settings.privileged else list(masked),
        "ReadonlyPaths": None if settings.privileged else list(read_only),
    }


def security_options() -> list[str]:
    """docker's `SecurityOptions`: what holds containers on this machine."""
    from engine.commands.labels import apparmor_enabled, selinux_enabled
    from engine.kernel.proc import mapped

    known = {
        "name=apparmor": apparmor_enabled(),
        "name=seccomp,profile=builtin": _available(),
        "name=selinux": selinux_enabled(),
        "name=rootless": bool(mapped()),
        "name=cgroupns": os.path.exists("/proc/self/ns/cgroup"),
    }
    return [option for option, there in known.items() if there]


def _prefixed(names: Collection[str]) -> list[str] | None:
    return [name if name == confinement.ALL else f"CAP_{name}" for name in names] or None


def filter_for(store: Store, settings: Settings, held: Collection[str]) -> Filter:
    """The filter for these capabilities; none where it was so wished, or the kernel has no seccomp, as with docker.

    InvalidInput when a profile was asked for that cannot be had.
    """
    profile = confinement.security(settings.security_opt).seccomp
    if profile == confinement.UNCONFINED or not (profile or not settings.privileged):
        return NO_FILTER
    if profile == confinement.BUILTIN and settings.privileged:
        profile = ""
    if not _available():
        if profile not in ("", confinement.BUILTIN):
            raise InvalidInput("seccomp is not enabled in your kernel, cannot run a custom seccomp profile")
        return NO_FILTER  # as docker does, and `info` tells
    text = "" if profile == confinement.BUILTIN else profile
    name = _name(text, held)
    found = _kept(store, name)
    if found is None:
        found = _compiled(text, held)
        _keep(store, name, found)
    return found


def _available() -> bool:
    return os.path.exists("/proc/sys/kernel/seccomp/actions_avail")


def _compiled(text: str, held: Collection[str]) -> Filter:
    """text: a profile's JSON, "" = the default one. InvalidInput for a profile that cannot be compiled."""
    from engine.seccomp.compiler import compile_profile
    from engine.seccomp.default import default_profile
    from engine.seccomp.profile import MACHINES, Wish, from_json

    here = os.uname()
    if here.machine not in MACHINES:
        raise InvalidInput(
            f"system calls of {here.machine} cannot be filtered yet: --security-opt seccomp=unconfined does without"
        )
    if not text:
        return _SPEC_ALLOW, compile_profile(default_profile(here.machine, held))
    profile = from_json(text, Wish(here.machine, frozenset(held), _version(here.release)))
    if profile is None:
        return NO_FILTER
    return _SPEC_ALLOW | (_LOG if profile.log else 0), compile_profile(profile)


def _version(release: str) -> tuple[int, int]:
    """ "6.1.0-18-amd64" as (6, 1)."""
    major, minor = release.split("-")[0].split(".")[:2]
    return int(major), int("".join(char for char in minor if char.isdigit()))


def _name(text: str, held: Collection[str]) -> str:
    """The name of a filter: a digest of all that it depends on, the compiler's own files among it."""
    import engine.seccomp
    from engine.oci.digests import digest_of, hex_of

    here = os.uname()
    parts = [text, " ".join(sorted(held)), here.machine, here.release]
    (house,) = engine.seccomp.__path__
    for name in ("numbers", "profile", "default", "compiler"):
        found = os.stat(f"{house}/{name}.py")
        parts.append(f"{name} {found.st_size} {found.st_mtime_ns}")
    return hex_of(digest_of("\n".join(parts).encode("utf-8", "surrogateescape")))


def _kept(store: Store, name: str) -> Filter | None:
    """A compiled filter; None when it is not there, or not whole and our own."""
    from engine.oci.digests import digest_of

    try:
        file = os.open(store.path("seccomp", name), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        found = os.fstat(file)
        if found.st_uid != os.geteuid() or found.st_mode & 0o022:
            return None
        data = os.read(file, len(_MAGIC) + 72 + _LONGEST + 1)
    except OSError:
        return None
    finally:
        os.close(file)
    head, body = data[: len(_MAGIC) + 71], data[len(_MAGIC) + 71 :]
    if head != _MAGIC + digest_of(body).encode() or not body or len(body) % 8 != 1 or len(body) > _LONGEST + 1:
        return None
    return body[0], body[1:]


def _keep(store: Store, name: str, made: Filter) -> None:
    """Write a filter down. Nothing depends on it: a full or read-only disk only costs the time of the next start."""
    from engine.oci.digests import digest_of

    body = bytes([made[0]]) + made[1]
    new = store.path("tmp", os.urandom(8).hex())
    try:
        os.makedirs(store.path("seccomp"), 0o700, exist_ok=True)
        with open(new, "xb", opener=_private) as file:
            file.write(_MAGIC + digest_of(body).encode() + body)
        os.rename(new, store.path("seccomp", name))
        _forget_oldest(store.path("seccomp"))
    except OSError:
        try:
            os.unlink(new)
        except OSError:
            pass  # a cleaner of tmp/ was quicker


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def _forget_oldest(directory: str) -> None:
    """Each capability set and profile that was ever asked for leaves a file: some of them are enough."""
    with os.scandir(directory) as entries:
        ages = sorted((entry.stat(follow_symlinks=False).st_mtime_ns, entry.path) for entry in entries)
    for _, path in ages[:-_MOST_KEPT]:
        os.unlink(path)
