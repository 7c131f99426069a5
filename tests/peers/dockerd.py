"""A docker daemon of one's own: everything it keeps in one directory, its socket there too, gone afterwards.

It has no network (no bridge, no firewall rules): images are all that tests ask of it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType

from tests.peers.podman import mounts_below


class Dockerd:
    """Owns the directory `base` and the daemon's process; `env` leads any docker client to it. A context manager."""

    def __init__(self, parent: str = "/var/tmp") -> None:
        # A short path: sockets must fit into 108 bytes.
        self.base = Path(tempfile.mkdtemp(prefix="dockerd-", dir=parent))
        self.socket = str(self.base / "docker.sock")
        self.env = {**os.environ, "DOCKER_HOST": f"unix://{self.socket}", "DOCKER_CONFIG": str(self.base / "config")}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Dockerd:
        (self.base / "config").mkdir()
        (self.base / "daemon.json").write_text("{}")  # not the machine's own
        argv = ["dockerd", "--config-file", str(self.base / "daemon.json"), "--host", f"unix://{self.socket}"]
        argv += ["--data-root", str(self.base / "data"), "--exec-root", str(self.base / "exec")]
        argv += ["--pidfile", str(self.base / "pid"), "--iptables=false", "--ip6tables=false", "--ip-forward=false"]
        argv += ["--ip-masq=false", "--bridge=none"]
        try:
            with open(self.base / "log", "wb") as log:
                self._process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            self._await()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def docker(self, *args: str, stdin: bytes | None = None) -> str:
        """Run the docker client; its standard output, stripped. RuntimeError with what it printed if it fails."""
        done = subprocess.run(["docker", *args], input=stdin, env=self.env, capture_output=True, timeout=300)
        if done.returncode:
            said = (done.stdout + done.stderr).decode(errors="replace")
            raise RuntimeError(f"docker {' '.join(args)}: {done.returncode}\n{said}")
        return done.stdout.decode().strip()

    def close(self) -> None:
        """End the daemon, which ends its containerd, then remove what they mounted and wrote."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(60)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        for mount_point in sorted(mounts_below(str(self.base)), key=len, reverse=True):
            subprocess.run(["umount", "--lazy", mount_point], check=True)
        shutil.rmtree(self.base)

    def _await(self) -> None:
        """Wait until it answers. RuntimeError with its log when it does not come up."""
        assert self._process is not None
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline and self._process.poll() is None:
            if subprocess.run(["docker", "version"], env=self.env, capture_output=True, timeout=60).returncode == 0:
                return
            time.sleep(0.1)
        raise RuntimeError("dockerd does not come up:\n" + (self.base / "log").read_text()[-3000:])
