"""The sides of every comparison, on one loop-mounted ext4: our engine and its command, podman, runc with a bundle."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from app.demo import hostfiles
from engine import Engine
from tests.peers.dockerd import Dockerd
from tests.peers.podman import Podman

IMAGE = "bench"
PATH = "PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
DISK = 14 << 30  # bytes, sparse


class Sides:
    """Owns a loop-mounted filesystem with both engines' storage on it; leaving it takes everything away."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        try:
            self._prepare()
        except BaseException:
            self._stack.close()
            raise

    def __enter__(self) -> Sides:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _prepare(self) -> None:
        self.disk = self._disk()
        archive = io.BytesIO()
        hostfiles.write_tar(hostfiles.collect(), archive)
        self.rootfs = archive.getvalue()
        self.peer = Podman(str(self.disk))
        self._stack.callback(self.peer.close)
        self.peer.podman("import", "--quiet", "-", IMAGE, stdin=self.rootfs)
        self._dockerd: Dockerd | None = None
        saved = self.peer.base / "image.tar"
        self.peer.podman("save", "--quiet", "--output", str(saved), IMAGE)
        self.root = str(self.disk / "strata")
        self.engine = Engine(self.root)
        self._stack.callback(self.engine.close)
        with open(saved, "rb") as file:
            self.engine.load(file)
        self.engine.tag(f"localhost/{IMAGE}", IMAGE)
        saved.unlink()
        self._stack.callback(self._remove_containers)
        self.bundle = self._bundle()

    def _disk(self) -> Path:
        """A fresh ext4 in a sparse file, so that neither side meets the other's or the machine's old files."""
        place = Path(tempfile.mkdtemp(prefix="strata-bench-", dir="/var/tmp"))
        self._stack.callback(shutil.rmtree, place)
        image, mount_point = place / "disk", place / "m"
        mount_point.mkdir()
        with open(image, "wb") as file:
            file.truncate(DISK)
        subprocess.run(["mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", image], check=True)
        subprocess.run(["mount", "-o", "loop", image, mount_point], check=True)
        self._stack.callback(lambda: subprocess.run(["umount", "--lazy", mount_point], check=True))
        return mount_point

    def _bundle(self) -> Path:
        """A bundle for runc: the same files and namespaces as ours, the rest as `runc spec` has it."""
        bundle = self.disk / "bundle"
        (bundle / "rootfs").mkdir(parents=True)
        subprocess.run(["tar", "-C", bundle / "rootfs", "-xf", "-"], input=self.rootfs, check=True)
        subprocess.run(["runc", "spec"], cwd=bundle, check=True)
        spec = json.loads((bundle / "config.json").read_text())
        spec["process"] |= {"terminal": False, "args": ["true"], "env": [PATH]}
        spec["root"] = {"path": "rootfs", "readonly": False}
        spec["linux"]["namespaces"] = [{"type": kind} for kind in ("pid", "network", "ipc", "uts", "mount", "cgroup")]
        # The tests' machine has no CAP_SYS_RESOURCE and keeps the limits that it has.
        spec["process"].pop("rlimits", None)
        (bundle / "config.json").write_text(json.dumps(spec))
        return bundle

    def _remove_containers(self) -> None:
        for container in self.engine.containers(all=True):
            self.engine.remove(container.id, force=True)

    def strata(self, *args: str) -> Callable[[], None]:
        """The installed command with these arguments, ready to be called."""
        return command([*installed(), "--root", self.root, *args], dict(os.environ))

    def podman(self, *args: str) -> Callable[[], None]:
        return command(["podman", *args], self.peer.env)

    def docker(self, *args: str) -> Callable[[], None]:
        """docker's client, of a daemon that is started with the image when it is first wanted."""
        if self._dockerd is None:
            self._dockerd = self._stack.enter_context(Dockerd(str(self.disk)))
            self._dockerd.docker("import", "-", IMAGE, stdin=self.rootfs)
        # Debian's client, which belongs to the daemon, wherever another one may be in the PATH.
        return command(["/usr/bin/docker", *args], self._dockerd.env)


def installed() -> list[str]:
    """The command as pip installed it beside this interpreter (a version manager's shim would add its own start)."""
    script = os.path.join(sysconfig.get_path("scripts"), "strata")
    return [script] if os.path.exists(script) else [sys.executable, "-m", "app"]


def hooks() -> list[str]:
    """`.pth` files of this environment: each is run at every start of the command, and slows our side down."""
    return sorted(path.name for path in Path(sysconfig.get_path("purelib")).glob("*.pth"))


def command(argv: list[str], env: dict[str, str]) -> Callable[[], None]:
    """A call that runs the program to its end. Raises CalledProcessError if it fails."""

    def run() -> None:
        subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, capture_output=True, check=True)

    return run
