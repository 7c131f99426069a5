"""What is mounted in a container besides its layers, as data: docker's default mounts, and what settings make of them.

Pure; `engine.runtime.plan` puts it into a plan, `engine.runtime.rootfs` does it.
"""

from __future__ import annotations

import os

from engine.errors import InvalidInput
from engine.values import Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.settings import Settings

SHM_SIZE = 64 << 20
"""Bytes of /dev/shm unless chosen; docker's."""

TTY_GROUP = 5
"""Debian's, and docker's for every image."""

_ATTRIBUTES = {
    **{word: (word, True) for word in ("ro", "nosuid", "nodev", "noexec")},
    **{word: ("no" + word, False) for word in ("suid", "dev", "exec")},
    "rw": ("ro", False),
}
"""Words of a tmpfs's options that are attributes of its mount: which one they set or take away."""

_OPTIONS = ("size", "mode", "uid", "gid", "nr_inodes", "nr_blocks", "mpol")
_OURS = ("/", "/dev", "/proc", "/sys")


class Mount(Values):
    """One file system inside the root: type, where, attributes (ro nosuid nodev noexec), options.

    A bind has its host path as `source` and follows symlinks inside the root, as a chosen tmpfs does; the others want a
    real directory. "cgroup" stands for the machine's own shape of it, "shm" for the /dev/shm of the container `source`.
    """

    kind: str
    target: str
    attributes: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    source: str = ""

    def __str__(self) -> str:
        words = ",".join((*self.attributes, *self.options))
        come_from = f" from {self.source}" if self.source else ""
        return f"{self.kind:8} {self.target}" + (f" ({words})" if words else "") + come_from


_SHM = Mount("tmpfs", "/dev/shm", ("nosuid", "nodev", "noexec"), ("mode=1777", f"size={SHM_SIZE >> 10}k"))

MOUNTS = (
    Mount("proc", "/proc", ("nosuid", "nodev", "noexec")),
    Mount("tmpfs", "/dev", ("nosuid",), ("mode=755", "size=65536k")),
    Mount("devpts", "/dev/pts", ("nosuid", "noexec"), ("ptmxmode=0666", "mode=0620", f"gid={TTY_GROUP}")),
    Mount("sysfs", "/sys", ("ro", "nosuid", "nodev", "noexec")),
    Mount("cgroup", "/sys/fs/cgroup", ("ro", "nosuid", "nodev", "noexec")),
    Mount("mqueue", "/dev/mqueue", ("nosuid", "nodev", "noexec")),
    _SHM,
)


def mounts_of(settings: Settings, containers: str, container_id: str) -> tuple[Mount, ...]:
    """Every mount of a container, in order: what lies in another comes after it. containers: the store's directory of
    that name, where a container has its own /etc/hostname, hosts and resolv.conf."""
    found = {mount.target: mount for mount in MOUNTS}
    del found["/dev/shm"]
    shm = _shm(settings)
    if shm is not None:
        found["/dev/shm"] = shm
    kind, _, neighbour = settings.network.partition(":")
    directory = os.path.join(containers, neighbour if kind == "container" else container_id)
    more = [
        Mount("bind", f"/etc/{name}", source=os.path.join(directory, name))
        for name in ("resolv.conf", "hostname", "hosts")
    ]
    for path, options in settings.tmpfs.items():
        mount = tmpfs(path, options)
        if mount.target in found:  # /dev/shm, /dev/mqueue
            del found[mount.target]
        more.append(mount)
    more.sort(key=lambda mount: mount.target.count("/"))
    return (*found.values(), *more)


def _shm(settings: Settings) -> Mount | None:
    kind, _, neighbour = settings.ipc.partition(":")
    if kind == "none":
        return None
    if kind == "host":
        return Mount("bind", _SHM.target, _SHM.attributes, source=_SHM.target)
    if kind == "container":
        return Mount("shm", _SHM.target, source=neighbour)
    size = settings.shm_size
    return _SHM.replaced(options=("mode=1777", f"size={size}")) if size else _SHM


def tmpfs(path: str, options: str) -> Mount:
    """A chosen tmpfs. options: docker's text, "size=1m,exec"; noexec, nosuid and nodev unless it says otherwise.

    Without a mode it gets that of the directory it covers. InvalidInput for a word or a place that cannot be."""
    if not path.startswith("/"):
        raise InvalidInput(f"invalid mount path: '{path}' mount path must be absolute")
    target = os.path.normpath(path).replace("//", "/")
    if target == "/":
        raise InvalidInput("invalid specification: destination can't be '/'")
    if target in _OURS:
        raise InvalidInput(f"invalid mount path: '{path}' has a file system of its own, which cannot be replaced")
    attributes = dict.fromkeys(("nosuid", "nodev", "noexec"))
    values = {}
    for word in options.split(",") if options else ():
        key, _, value = word.partition("=")
        if word in _ATTRIBUTES:
            name, on = _ATTRIBUTES[word]
            if on:
                attributes[name] = None
            else:
                attributes.pop(name, None)
        elif key in _OPTIONS and value:
            values[key] = word
        elif word:
            raise InvalidInput(f"Invalid tmpfs option {word!r}".replace("'", '"'))
    return Mount("tmpfs", target, tuple(attributes), tuple(values.values()))
