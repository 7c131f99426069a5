"""The plan of a start: everything init will do, decided beforehand as data, pure and printable.

`make_plan` reads a container's configuration and touches nothing. The starter gets the plan as plain data
(`Plan.wire`), so what is printed by `Plan.describe` is what is done. Defaults are docker's: `SECURITY.md`.
"""

from __future__ import annotations

import os

from engine.errors import StartFailed
from engine.runtime import confinement
from engine.runtime.confinement import CAPABILITIES, MASKED, READ_ONLY
from engine.runtime.mounting import MOUNTS, TTY_GROUP, Mount, mounts_of
from engine.settings import Health, Limits
from engine.values import Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, Protocol

    from engine.settings import Settings

    class Config(Protocol):
        """What a plan needs of a container's configuration (`engine.store.containers.ContainerConfig`)."""

        @property
        def id(self) -> str: ...
        @property
        def name(self) -> str: ...
        @property
        def layers(self) -> Sequence[str]: ...
        @property
        def args(self) -> Sequence[str]: ...
        @property
        def env(self) -> Sequence[str]: ...
        @property
        def cwd(self) -> str: ...
        @property
        def user(self) -> str: ...
        @property
        def hostname(self) -> str: ...
        @property
        def tty(self) -> bool: ...
        @property
        def open_stdin(self) -> bool: ...
        @property
        def auto_remove(self) -> bool: ...
        @property
        def image_name(self) -> str: ...
        @property
        def labels(self) -> Mapping[str, str]: ...
        @property
        def shell(self) -> Sequence[str]: ...
        @property
        def settings(self) -> Settings: ...
        @property
        def ids(self) -> Sequence[int]: ...


DEVICES = (("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0))
"""Character devices in /dev, mode 0666: name, major, minor (Documentation/admin-guide/devices.txt)."""

EVERY_DEVICE = ("/dev:/dev:rwm",)
"""What a privileged container is given."""

NAMESPACES = ("mnt", "pid", "uts", "ipc", "net", "cgroup")

OVERLAY_OPTIONS = ("redirect_dir=off", "metacopy=off", "index=off", "xino=off")
"""Said whatever the kernel's defaults: a read-write layer must mean the same on every machine and in an archive."""

USER_OVERLAY_OPTIONS = ("userxattr", "redirect_dir=nofollow", *OVERLAY_OPTIONS[1:])
"""In a user namespace, where overlayfs marks files with attributes that users may set, and never takes `off` for it."""

MOST_LAYERS = 500
"""OVL_MAX_STACK in fs/overlayfs/overlayfs.h: the most lower directories of one overlay."""

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

SKELETON = ("dev/", "proc/", "sys/", "etc/", "etc/hostname", "etc/hosts", "etc/resolv.conf")
"""Mount points that images may lack. They lie in `<root>/skeleton`, the bottom of every container's overlay, so that no
start has to write them into a read-write layer, where diff and commit would show them."""


INIT = "/sbin/docker-init"

INIT_SKELETON = (
    "sbin/",
    "usr/",
    "usr/sbin/",
    "usr/bin/",
    *(f"{place}docker-init" for place in ("usr/sbin/", "usr/bin/", "sbin/")),
)
"""Where `INIT` is, also in images whose /sbin is a link to one of these."""

SHELL = ("/bin/sh", "-c")
"""What runs a health check that is text, where the image names no shell."""


class Plan(Values):
    """One start of one container; `describe` prints it.

    root: the store's; lowers: directories top → bottom, the skeleton last; argv: the command, looked up in PATH inside
    the container; env: whole, in order, without doubles; user: "" = root, else user[:group] as names or numbers;
    size: (rows, columns) of a new terminal; seccomp: flags and program of the filter, an empty one for none; labels:
    for security modules, as (file below /proc/self/attr, text); restart: policy and most starts (0 = without limit)
    after an end; about: what events say of it; init: "" or the host's program that is
    the first process; health: () or a check's argv, and in seconds
    interval, timeout, start period, start interval; retries; log: driver, bytes of a file (0 = any), files.
    namespaces: those of its own; joins: (kind, container id) of those that
    are another container's; ids: (first id outside, how many) of its user namespace, or (). nodes: host devices, as
    "HOST:INSIDE:rwm"; device_rules: what may be used besides docker's and those; groups: supplementary ones;
    readonly_root: nothing can be written but what is mounted; ulimits: (name, soft, hard).
    """

    id: str
    name: str
    root: str
    directory: str
    rootfs: str
    skeleton: str
    lowers: tuple[str, ...]
    upper: str
    work: str
    argv: tuple[str, ...]
    env: tuple[str, ...]
    cwd: str
    user: str
    hostname: str
    tty: bool
    open_stdin: bool
    auto_remove: bool
    cgroup: tuple[str, str]
    size: tuple[int, int] = (0, 0)
    mounts: tuple[Mount, ...] = MOUNTS
    masked: tuple[str, ...] = MASKED
    read_only: tuple[str, ...] = READ_ONLY
    capabilities: tuple[str, ...] = CAPABILITIES
    no_new_privileges: bool = False
    seccomp: tuple[int, bytes] = (0, b"")
    labels: tuple[tuple[str, str], ...] = ()
    device_rules: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = NAMESPACES
    limits: Limits = Limits()
    overlay: tuple[str, ...] = OVERLAY_OPTIONS
    restart: tuple[str, int] = ("no", 0)
    init: str = ""
    health: tuple[Any, ...] = ()
    log: tuple[str, int, int] = ("json-file", 0, 1)
    about: dict[str, str] = {}  # noqa: RUF012 (Values copies it)
    joins: tuple[tuple[str, str], ...] = ()
    ids: tuple[int, ...] = ()
    nodes: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    readonly_root: bool = False
    sysctls: tuple[tuple[str, str], ...] = ()
    ulimits: tuple[tuple[str, int, int], ...] = ()
    oom_score_adj: int = 0

    def under_init(self, program: str) -> Plan:
        """The same with a program of the host as first process, which runs the command: docker's --init.

        It is bound into the container. A skeleton of its own has the mount point, so that others do not show it.
        """
        skeleton = f"{self.skeleton}-init"
        bind = Mount("bind", INIT, ("ro", "nosuid", "nodev"), source=program)
        return self.replaced(
            argv=(INIT, "--", *self.argv),
            skeleton=skeleton,
            lowers=tuple(skeleton if lower == self.skeleton else lower for lower in self.lowers),
            mounts=(*self.mounts, bind),
            init=program,
        )

    def wire(self) -> dict[str, object]:
        """The plan as plain data that marshal takes: what the monitor works from."""
        plain: dict[str, object] = {name: getattr(self, name) for name in self.fields()}
        plain["skeleton_path"] = self.skeleton
        plain["mounts"] = tuple((m.kind, m.target, m.attributes, m.options, m.source) for m in self.mounts)
        plain["limits"] = dict(_chosen(self.limits))
        plain["devices"] = DEVICES
        plain["skeleton"] = self._mount_points() if self.skeleton in self.lowers else ()
        return plain

    def _mount_points(self) -> tuple[str, ...]:
        return (*SKELETON, *(INIT_SKELETON if self.init else ()))

    def describe(self) -> list[str]:
        """The plan for a person, one line a decision, in the order it is carried out."""
        return [
            f"container  {self.id[:12]} {self.name}",
            f"namespaces {' '.join(self.namespaces)}",
            *(f"joins      {kind} of container {neighbour[:12]}" for kind, neighbour in self.joins),
            *([f"ids        0 is {self.ids[0]} outside, {self.ids[1]} of them"] if self.ids else []),
            f"overlay    {self.rootfs} ({','.join(self.overlay)})",
            f"  upper    {self.upper}",
            *(f"  lower    {lower}" for lower in self.lowers),
            *(f"mount      {mount}" for mount in self.mounts),
            f"devices    {' '.join(name for name, _, _ in DEVICES)}{' console' if self.tty else ''}",
            *(f"device     {node}" for node in self.nodes),
            *(f"may use    {rule}" for rule in self.device_rules),
            *(f"masked     {path}" for path in self.masked),
            *(f"read-only  {path}" for path in self.read_only),
            *(["read-only  /"] if self.readonly_root else []),
            *(f"sysctl     {name}={value}" for name, value in self.sysctls),
            *(f"ulimit     {name}={soft}:{hard}" for name, soft, hard in self.ulimits),
            *([f"oom score  {self.oom_score_adj:+}"] if self.oom_score_adj else []),
            f"cgroup     {'/'.join(self.cgroup)}",
            *(f"  limit    {name} {_listed(value)}" for name, value in _chosen(self.limits)),
            f"hostname   {self.hostname}",
            f"user       {self.user or 'root'}{''.join(f', {group}' for group in self.groups)}",
            f"may        {' '.join(self.capabilities)}{'; no new privileges' if self.no_new_privileges else ''}",
            f"seccomp    {f'{len(self.seccomp[1]) // 8} instructions' if self.seccomp[1] else 'none'}",
            *(f"label      {file}: {text}" for file, text in self.labels),
            f"directory  {self.cwd or '/'}",
            *(f"env        {item}" for item in self.env),
            f"terminal   {'yes' if self.tty else 'no'}; stdin {'open' if self.open_stdin else '/dev/null'}",
            f"run        {' '.join(self.argv)}",
        ]


def make_plan(config: Config, root: str, *, size: tuple[int, int] = (0, 0), mapped: int = 0) -> Plan:
    """The plan of starting this container of the store at `root` (an absolute path).

    size: (rows, columns) of the caller's terminal, (0, 0) when unknown; used with `config.tty` only. mapped: how many
    groups an ordinary user has (`engine.kernel.namespaces.mapped`), 0 = we are the machine's root.
    StartFailed when there is nothing to run.
    """
    from engine.cgroups.names import parent_name  # hashing costs more than the rest of a plan: only when one is made

    argv = tuple(config.args)
    if not argv or not argv[0]:
        raise StartFailed("no command specified", 125)
    directory = os.path.join(root, "containers", config.id)
    rootfs = os.path.join(directory, "rootfs")
    lowers = [os.path.join(root, "layers", layer, "diff") for layer in reversed(config.layers)]
    if len(lowers) > MOST_LAYERS:
        raise StartFailed(f"{len(lowers)} layers: overlayfs takes at most {MOST_LAYERS}", 125)
    skeleton = os.path.join(root, "skeleton")
    if len(lowers) < MOST_LAYERS:
        lowers.append(skeleton)
    settings = config.settings
    mounts = mounts_of(settings, os.path.join(root, "containers"), config.id)
    own, joins = _namespaces(settings, bool(config.ids))
    hostname = config.hostname or config.id[:12]
    return Plan(
        id=config.id,
        name=config.name,
        root=root,
        directory=directory,
        rootfs=rootfs,
        skeleton=skeleton,
        lowers=tuple(lowers),
        upper=os.path.join(root, "layers", config.id, "diff"),
        work=os.path.join(root, "layers", config.id, "work"),
        argv=argv,
        env=environment(config.env, hostname, config.tty),
        cwd=config.cwd,
        user=config.user,
        hostname=hostname,
        tty=config.tty,
        open_stdin=config.open_stdin,
        auto_remove=config.auto_remove,
        cgroup=(parent_name(root), config.id),
        size=size,
        mounts=tuple(
            _fitting(mount, settings.privileged, mapped)
            for mount in mounts
            if not (mapped and mount.kind == "mqueue" and "ipc" not in own)  # the machine's own queues are its root's
        ),
        overlay=USER_OVERLAY_OPTIONS if mapped else OVERLAY_OPTIONS,
        namespaces=own,
        joins=joins,
        ids=tuple(config.ids),
        nodes=(*(EVERY_DEVICE if settings.privileged else ()), *settings.devices),
        groups=settings.group_add,
        readonly_root=settings.read_only,
        sysctls=tuple(settings.sysctls.items()),
        ulimits=tuple(_ulimit(text) for text in settings.ulimits),
        oom_score_adj=settings.oom_score_adj,
        limits=settings.limits,
        restart=(settings.restart or "no", settings.restart_max),
        log=config.settings.log(),
        health=health_rules(config.settings.health, config.shell),
        about={**config.labels, "image": config.image_name, "name": config.name},
        **_confined(settings),
    )


def _namespaces(settings: Settings, mapped: bool) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """Which namespaces are the container's own, and which another's: (kinds), ((kind, container id) …)."""
    modes = {
        "pid": settings.pid,
        "uts": settings.uts,
        "ipc": settings.ipc,
        "net": settings.network,
        "cgroup": settings.cgroupns,
    }
    own = [kind for kind in NAMESPACES if not modes.get(kind, "").startswith(("host", "container:"))]
    joins = [(kind, mode.partition(":")[2]) for kind, mode in modes.items() if mode.startswith("container:")]
    return (*own, *(("user",) if mapped else ())), tuple(joins)


def _ulimit(text: str) -> tuple[str, int, int]:
    name, _, limits = text.partition("=")
    soft, _, hard = limits.partition(":")
    return name, int(soft), int(hard)


def _chosen(limits: Limits) -> list[tuple[str, Any]]:
    """The limits that are not as the machine's default is."""
    if limits == Limits():
        return []
    default = Limits()
    pairs = ((name, getattr(limits, name)) for name in Limits.fields())
    return [(name, value) for name, value in pairs if value != getattr(default, name)]


def _listed(value: Any) -> str:
    return " ".join(value) if isinstance(value, tuple) else str(value)


def _confined(settings: Settings) -> dict[str, Any]:
    """The fields that say what its processes may do; the filter and labels, which depend on the machine, come later."""
    masked, read_only = confinement.masked_paths(settings)
    return {
        "masked": masked,
        "read_only": read_only,
        "capabilities": confinement.capabilities(settings),
        "no_new_privileges": confinement.security(settings.security_opt).no_new_privileges,
        "device_rules": (*settings.device_cgroup_rules, *(("a",) if settings.privileged else ())),
    }


def _fitting(mount: Mount, privileged: bool, mapped: int) -> Mount:
    """A mount as this container has it: the kernel's own files are a privileged one's to write, and in a user namespace
    without a group `tty` terminals belong to the group of who opens them."""
    if privileged and mount.kind in ("sysfs", "cgroup"):
        return mount.replaced(attributes=tuple(word for word in mount.attributes if word != "ro"))
    if mount.kind == "devpts" and 0 < mapped <= TTY_GROUP:
        return mount.replaced(options=tuple(option for option in mount.options if option != f"gid={TTY_GROUP}"))
    return mount


def health_rules(health: Health, shell: Sequence[str]) -> tuple[Any, ...]:
    """Whether and how health is checked, with docker's defaults filled in: `Plan.health`."""
    kind, *words = health.test or ("",)
    if kind not in ("CMD", "CMD-SHELL") or not words:
        return ()
    argv = (*(shell or SHELL), *words) if kind == "CMD-SHELL" else tuple(words)
    times = (health.interval or 30 * 10**9, health.timeout or 30 * 10**9)
    early = (health.start_period, health.start_interval or 5 * 10**9)
    return (argv, *(time / 1e9 for time in (*times, *early)), health.retries or 3)


def environment(own: Sequence[str], hostname: str, tty: bool) -> tuple[str, ...]:
    """docker's defaults (PATH, HOSTNAME, TERM with a terminal), then the container's own; the last of a name wins.

    HOME comes from the container's /etc/passwd when nobody set it.
    """
    values = {"PATH": PATH, "HOSTNAME": hostname}
    if tty:
        values["TERM"] = "xterm"
    for item in own:
        name, found, text = item.partition("=")
        if name and found:
            values[name] = text
    return tuple(f"{name}={text}" for name, text in values.items())
