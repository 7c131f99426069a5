"""What a person may say of how a container is held: docker's HostConfig, and the health check (docker 29's API).

`Settings` is one value from the flags to `config.json`: `create` checks it, `plan` reads it, `inspect` shows it,
`update` replaces parts of it. Sizes are bytes, times nanoseconds where docker's field is in nanoseconds; "", 0, () and
{} mean "as the default is".
"""

from __future__ import annotations

from engine.values import Values


class Limits(Values):
    """What the control group allows.

    memory, memory_swap, memory_reservation: bytes (memory_swap: memory and swap together, -1 = without limit);
    memory_swappiness: 0–100, -1 = the parent's; nano_cpus: 10⁻⁹ processors; cpu_quota, cpu_period: microseconds;
    cpu_shares, blkio_weight: docker's relative weights; cpuset_cpus, cpuset_mems: lists such as "0-2,4";
    pids: processes and threads, -1 = without limit; device_*: "PATH:RATE" (bytes or operations a second),
    blkio_weight_device: "PATH:WEIGHT".
    """

    memory: int = 0
    memory_swap: int = 0
    memory_reservation: int = 0
    memory_swappiness: int = -1
    oom_kill_disable: bool = False
    nano_cpus: int = 0
    cpu_quota: int = 0
    cpu_period: int = 0
    cpu_shares: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    pids: int = 0
    blkio_weight: int = 0
    blkio_weight_device: tuple[str, ...] = ()
    device_read_bps: tuple[str, ...] = ()
    device_write_bps: tuple[str, ...] = ()
    device_read_iops: tuple[str, ...] = ()
    device_write_iops: tuple[str, ...] = ()


class Health(Values):
    """A health check, as in an image's config. test: () = none was given (the image's counts), ("NONE",) = off,
    ("CMD", argv …) or ("CMD-SHELL", text); times in nanoseconds, 0 = docker's default; retries: 0 = 3."""

    test: tuple[str, ...] = ()
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


class Settings(Values):
    """How a container is held; what is left out is docker's default.

    Isolation. privileged; cap_add, cap_drop: names without CAP_, upper case, "ALL" too; security_opt: docker's texts;
    network, pid, ipc, uts, userns, cgroupns: modes ("", "host", "none", "private", "shareable", "auto",
    "container:<id>"); group_add: supplementary groups by name or number; read_only: the root; sysctls: by name;
    ulimits: "name=soft:hard"; oom_score_adj.
    Files. tmpfs: path → options; shm_size: bytes; devices: "HOST:INSIDE:rwm"; device_cgroup_rules: "c 1:3 rwm".
    Life. init: a reaper as first process; restart: "", "no", "always", "unless-stopped", "on-failure"; restart_max: of
    on-failure, 0 = without limit; log_driver: "" or "json-file", "none"; log_opts: "max-size" (decimal units, as
    docker's: "10m" are ten million bytes) and "max-file".
    """

    limits: Limits = Limits()
    health: Health = Health()
    privileged: bool = False
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    security_opt: tuple[str, ...] = ()
    network: str = ""
    pid: str = ""
    ipc: str = ""
    uts: str = ""
    userns: str = ""
    cgroupns: str = ""
    group_add: tuple[str, ...] = ()
    read_only: bool = False
    sysctls: dict[str, str] = {}  # noqa: RUF012 (Values copies it)
    ulimits: tuple[str, ...] = ()
    oom_score_adj: int = 0
    tmpfs: dict[str, str] = {}  # noqa: RUF012
    shm_size: int = 0
    devices: tuple[str, ...] = ()
    device_cgroup_rules: tuple[str, ...] = ()
    init: bool = False
    restart: str = ""
    restart_max: int = 0
    log_driver: str = ""
    log_opts: dict[str, str] = {}  # noqa: RUF012

    def log(self) -> tuple[str, int, int]:
        """The log's driver, the bytes of a file (0 = without limit), and how many files there are at most.

        ValueError, in docker's words, for an option that is none.
        """
        size, files = self.log_opts.get("max-size", "-1"), self.log_opts.get("max-file", "1")
        number = size.lower().removesuffix("b").rstrip("kmgtp")
        unit = size.lower().removesuffix("b")[len(number) :]
        if size != "-1" and (not number.replace(".", "", 1).isdecimal() or len(unit) > 1):
            raise ValueError(f"invalid size: '{size}'")
        most = 0 if size == "-1" else int(float(number) * 1000 ** " kmgtp".index(unit or " "))
        if size != "-1" and most <= 0:
            raise ValueError("max-size must be a positive number")
        if not files.isdecimal() or int(files) < 1:
            raise ValueError("max-file cannot be less than 1")
        return self.log_driver or "json-file", most, int(files)
