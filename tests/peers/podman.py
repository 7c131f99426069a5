"""A podman and a buildah of one's own: storage, settings and run-time files in one directory, gone afterwards.

The settings make them work as root on every shape of cgroups, inside a machine without systemd and without
CAP_SYS_RESOURCE: runc as the runtime (crun 1.8 refuses hybrid hierarchies), cgroupfs, lowered default limits.
"""

from __future__ import annotations

import glob
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

CONTAINERS_CONF = """
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[network]
network_config_dir = "{base}/net"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
tmp_dir = "{base}/tmp"
lock_type = "file"
"""
STORAGE_CONF = """
[storage]
driver = "overlay"
runroot = "{base}/run"
graphroot = "{base}/graph"
"""


class Podman:
    """Owns the directory `base` (made in `parent`, whose filesystem must take overlay upper directories)."""

    def __init__(self, parent: str = "/var/tmp") -> None:
        # A short path: podman's sockets must fit into 108 bytes.
        self.base = Path(tempfile.mkdtemp(prefix="peer-", dir=parent))
        self._parents = set(glob.glob("/sys/fs/cgroup/*/libpod_parent"))
        for directory in ("net", "tmp", "run", "graph"):
            (self.base / directory).mkdir()
        (self.base / "containers.conf").write_text(CONTAINERS_CONF.format(base=self.base))
        (self.base / "storage.conf").write_text(STORAGE_CONF.format(base=self.base))
        self.env = {
            **os.environ,
            "CONTAINERS_CONF": str(self.base / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(self.base / "storage.conf"),
            "TMPDIR": str(self.base / "tmp"),
        }

    def podman(self, *args: str, stdin: bytes | None = None) -> str:
        """Run podman; its standard output, stripped. Raises RuntimeError with what it printed if it fails."""
        return self._run("podman", *args, stdin=stdin)

    def buildah(self, *args: str) -> str:
        """Run buildah; its standard output, stripped."""
        return self._run("buildah", *args)

    def _run(self, *argv: str, stdin: bytes | None = None) -> str:
        done = subprocess.run(argv, input=stdin, env=self.env, capture_output=True, timeout=300)
        if done.returncode:
            raise RuntimeError(
                f"{' '.join(argv)}: {done.returncode}\n{(done.stdout + done.stderr).decode(errors='replace')}"
            )
        return done.stdout.decode().strip()

    def mount_image(self, image: str) -> Path:
        """The merged tree of an image, read-only, until `close`."""
        return Path(self.podman("image", "mount", image))

    def close(self) -> None:
        """Remove containers, images, mounts, cgroups and files, whatever happened before."""
        for argv in (
            ["buildah", "rm", "--all"],
            ["podman", "rm", "--force", "--all", "--time", "0"],
            ["podman", "image", "umount", "--all", "--force"],
        ):
            subprocess.run(argv, env=self.env, capture_output=True, timeout=120)
        for mount_point in sorted(mounts_below(str(self.base)), key=len, reverse=True):
            subprocess.run(["umount", "--lazy", mount_point], check=True)
        shutil.rmtree(self.base)
        for parent in set(glob.glob("/sys/fs/cgroup/*/libpod_parent")) - self._parents:
            for directory, _, _ in os.walk(parent, topdown=False):
                os.rmdir(directory)


def mounts_below(path: str) -> list[str]:
    """Mount points at or below `path` in this mount namespace, from /proc/self/mountinfo (proc(5))."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        mount_point = line.split()[4].encode().decode("unicode_escape")
        if mount_point == path or mount_point.startswith(path + "/"):
            found.append(mount_point)
    return found
