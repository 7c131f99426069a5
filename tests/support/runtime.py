"""A place to run containers with engine.runtime alone: a root directory of its own, a base layer, a launcher.

    def test_…(lab: Lab) -> None:
        container = lab.create("sh", "-c", "echo hello")
        assert lab.run(container) == Ended(0, b"hello\n", b"")

`lab` is a fixture of the tests that import it; at its end every container is ended, and it fails if a process, a mount
or a cgroup is left of any of them.
"""

from __future__ import annotations

import functools
import io
import os
import shutil
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from engine.cgroups.names import parent_name
from engine.errors import NotRunning
from engine.kernel import trees
from engine.runtime.client import Launcher, Monitor, Session, Started
from engine.runtime.orphans import bury_container
from engine.runtime.plan import Plan, make_plan
from engine.settings import Settings
from engine.values import Values
from tests.support.needs import needs_root
from tests.support.rootfs import tiny_layer


class Config(Values):
    """A container's configuration as a plan needs it; the store's has more."""

    id: str
    args: tuple[str, ...]
    name: str = "lab"
    layers: tuple[str, ...] = ("base",)
    env: tuple[str, ...] = ()
    cwd: str = ""
    user: str = ""
    hostname: str = ""
    tty: bool = False
    open_stdin: bool = False
    auto_remove: bool = False
    image_name: str = "base"
    labels: dict[str, str] = {}  # noqa: RUF012 (Values copies it)
    shell: tuple[str, ...] = ()
    settings: Settings = Settings()
    ids: tuple[int, ...] = ()


@dataclass(frozen=True)
class Ended:
    """What a process left: its exit status and what it wrote."""

    status: int
    stdout: bytes
    stderr: bytes


@functools.cache
def _base() -> Path:
    """The unpacked base layer, made once a test run: each lab has hard links to it."""
    path = Path(tempfile.mkdtemp(prefix="strata-base-", dir="/var/tmp"))
    with tarfile.open(fileobj=io.BytesIO(tiny_layer())) as tar:
        tar.extractall(path, filter="fully_trusted")
    import atexit

    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


class Lab:
    """Owns a root directory with containers in it, and a launcher."""

    def __init__(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="strata-lab-", dir="/var/tmp"))
        for name in ("containers", "layers", "tmp"):
            (self.root / name).mkdir()
        self.layer("base")
        subprocess.run(["cp", "-al", f"{_base()}/.", str(self.root / "layers/base/diff")], check=True)
        self.launcher = Launcher.spawn()

    def layer(self, name: str) -> Path:
        """A new empty read-only layer: its diff directory."""
        diff = self.root / "layers" / name / "diff"
        diff.mkdir(parents=True)
        return diff

    def create(self, *args: str, **choices: object) -> Config:
        """A new container's directories and files, as `create` makes them."""
        config = Config(os.urandom(32).hex(), args).replaced(**choices)
        (self.directory(config) / "rootfs").mkdir(parents=True)
        for name in ("hostname", "hosts", "resolv.conf"):
            (self.directory(config) / name).write_text(f"the container's own {name}\n")
        for name in ("diff", "work"):
            (self.root / "layers" / config.id / name).mkdir(parents=True)
        return config

    def directory(self, config: Config) -> Path:
        return self.root / "containers" / config.id

    def upper(self, config: Config) -> Path:
        """The read-write layer."""
        return self.root / "layers" / config.id / "diff"

    def plan(self, config: Config, **choices: object) -> Plan:
        return make_plan(config, str(self.root)).replaced(**choices)

    def start(self, config: Config, attach: bool = False) -> Started:
        return self.launcher.start(self.plan(config), attach=attach)

    def session(self, config: Config) -> Session:
        """Start attached."""
        session = self.start(config, attach=True).session
        assert session is not None
        return session

    def run(self, config: Config) -> Ended:
        """Start attached and wait for the end."""
        return collect(self.session(config))

    def output(self, *args: str, **choices: object) -> str:
        """What a command prints in a container of its own; it must succeed."""
        ended = self.run(self.create(*args, **choices))
        assert ended.status == 0, ended
        return ended.stdout.decode()

    def monitor(self, config: Config) -> Monitor:
        return Monitor(str(self.directory(config) / "control.sock"), config.name)

    def pids(self, config: Config) -> tuple[int, int]:
        """(first process, monitor) of a running container, by their numbers outside."""
        info = self.monitor(config).info()
        pid, monitor = info["pid"], info["monitor_pid"]
        assert isinstance(pid, int) and isinstance(monitor, int)
        return pid, monitor

    def running(self, *args: str, **choices: object) -> Config:
        """A container that runs in the background; without a command it sleeps."""
        config = self.create(*(args or ("sleep", "1000")), **choices)
        self.start(config)
        return config

    def groups(self) -> list[str]:
        """The cgroup directories of this root."""
        parent = parent_name(str(self.root))
        trees = ["/sys/fs/cgroup", *(f"/sys/fs/cgroup/{name}" for name in os.listdir("/sys/fs/cgroup"))]
        return [where for tree in trees for where, _, _ in os.walk(f"{tree}/{parent}")]

    def close(self) -> list[str]:
        """End everything; what is left behind in spite of that."""
        self.launcher.close()

        def left() -> list[str]:
            self._end()  # again: a start whose caller was killed may have come to something only now
            return [*self.groups(), *_processes(self.root), *_mounts(self.root)]

        found = eventually_empty(left, 30)
        parent = os.open(self.root.parent, os.O_RDONLY | os.O_DIRECTORY)
        trees.remove_tree(parent, self.root.name)
        os.close(parent)
        return found

    def _end(self) -> None:
        for directory in (self.root / "containers").iterdir():
            try:
                Monitor(str(directory / "control.sock")).signal(9)
                Monitor(str(directory / "control.sock")).wait()
            except NotRunning:
                bury_container(str(self.root), directory.name)


def collect(session: Session) -> Ended:
    """Read a session to its end."""
    streams = {"stdout": b"", "stderr": b""}
    while True:
        stream, data = session.read()
        if stream == "exit":
            assert session.exit_code is not None
            session.close()
            return Ended(session.exit_code, streams["stdout"], streams["stderr"])
        streams[stream] += data


def eventually_empty(look: Callable[[], list[str]], seconds: float = 5) -> list[str]:
    """What `look` still finds when this time is over, at once if it is nothing."""
    end = time.monotonic() + seconds
    while (found := look()) and time.monotonic() < end:
        time.sleep(0.02)
    return found


def eventually(look: Callable[[], object], seconds: float = 20) -> None:
    """Wait until `look` is true; fail when it is not within this time."""
    end = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.01)


def gone(pid: int) -> bool:
    """Whether a process has ended (a zombie has)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def _processes(root: Path) -> list[str]:
    """Processes that have a file of this root open: monitors and starters."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            held = [os.readlink(f"/proc/{pid}/fd/{number}") for number in os.listdir(f"/proc/{pid}/fd")]
        except OSError:  # it ended meanwhile, or even root may not look into it: none of ours
            continue
        found += [f"process {pid} has {path} open" for path in held if path.startswith(f"{root}/")]
    return [line for line in found if not line.startswith(f"process {os.getpid()} ")]


def _mounts(root: Path) -> list[str]:
    """Mounts on or of this root, in any process's mount namespace."""
    found = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            found |= {line for line in Path(f"/proc/{pid}/mountinfo").read_text().splitlines() if str(root) in line}
        except OSError:  # it ended meanwhile (ENOENT, ESRCH, EINVAL)
            continue
    return sorted(found)


@pytest.fixture
def lab() -> Iterator[Lab]:
    """A lab for one test, as root."""
    needs_root()
    lab = Lab()
    try:
        yield lab
    finally:
        left = lab.close()
    assert not left, left
