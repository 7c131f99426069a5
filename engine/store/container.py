"""What a container is, as values: its config, fixed at create, and its state; and how both are written as JSON."""

from __future__ import annotations

from engine import jsons
from engine.settings import Settings
from engine.values import Values

CREATED, RUNNING, PAUSED, RESTARTING, EXITED = "created", "running", "paused", "restarting", "exited"
LOST = 255  # exit code of a container whose end nobody saw, as docker's


class ContainerConfig(Values):
    """What `create` decided.

    layers: the read-only layers' ids, bottom first (the read-write layer on top has the container's own id); args: the
    argv that runs; env: `KEY=value`; stop_timeout: seconds, None for the default; exposed_ports: `80/tcp`;
    attached: of "stdin", "stdout", "stderr" what its creator stayed with; settings: how it is held; ids: (first id
    outside, how many) of its own user namespace, or (); texts that are not UTF-8 hold surrogate escapes.
    """

    id: str
    name: str
    created: str = ""
    image: str = ""
    image_name: str = ""
    layers: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    cwd: str = ""
    user: str = ""
    hostname: str = ""
    tty: bool = False
    open_stdin: bool = False
    attached: tuple[str, ...] = ()
    stop_signal: str = ""
    stop_timeout: int | None = None
    auto_remove: bool = False
    labels: dict[str, str] = {}  # noqa: RUF012 (Values copies it)
    exposed_ports: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    shell: tuple[str, ...] = ()
    settings: Settings = Settings()
    ids: tuple[int, ...] = ()


class ContainerState(Values):
    """What became of a container. pid and monitor_pid mean something only together with their start times (clock
    ticks since boot, field 22 of /proc/<pid>/stat), and all four only in the run of the machine that `boot` names
    (/proc/sys/kernel/random/boot_id; "" = not known). started, finished: RFC 3339 or ""; restarts: how often its policy
    has started it anew; health: starting, healthy, unhealthy, or "" without a check (more is in health.json)."""

    status: str = CREATED
    pid: int = 0
    pid_start: int = 0
    monitor_pid: int = 0
    monitor_start: int = 0
    exit_code: int = 0
    error: str = ""
    oom_killed: bool = False
    started: str = ""
    finished: str = ""
    stopped_by_user: bool = False
    restarts: int = 0
    boot: str = ""
    health: str = ""

    @property
    def running(self) -> bool:
        """Whether its monitor lives: running, paused, or (then without a process) about to be started anew."""
        return self.status in (RUNNING, PAUSED, RESTARTING)


class Container(Values):
    """One container at one moment."""

    config: ContainerConfig
    state: ContainerState

    @property
    def id(self) -> str:
        return self.config.id

    @property
    def name(self) -> str:
        return self.config.name


def dump_config(config: ContainerConfig) -> bytes:
    """`config.json`; id and name come first (`Containers.names` reads no further)."""
    return jsons.dumps(config.plain()).encode()


def load_config(data: bytes) -> ContainerConfig:
    """Read `config.json`; keys of a newer Strata are passed over. ValueError, KeyError or TypeError if it is none."""
    return ContainerConfig.from_plain(jsons.loads(data))


def dump_state(state: ContainerState) -> bytes:
    """`state.json`."""
    return jsons.dumps(state.plain()).encode()


def load_state(data: bytes) -> ContainerState:
    """Read `state.json`. An empty or torn one is what a power cut leaves: then the container has stopped with it."""
    try:
        document = jsons.loads(data)
        return ContainerState.from_plain({"status": document["status"], **document})
    except (ValueError, TypeError, KeyError):
        return ContainerState(EXITED, exit_code=LOST, error="the machine stopped before the state was on disk")
