"""A registry of one's own: Debian's docker-registry on 127.0.0.1, with TLS and basic authentication if wanted.

with RegistryServer(tls=True, user="me") as registry:
    registry.address  # "127.0.0.1:40123"
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType

CONFIG = """
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage:
  filesystem: {{rootdirectory: {base}/data}}
  delete: {{enabled: true}}
http:
  addr: 127.0.0.1:{port}
{tls}{auth}
"""


PASSWORD = "secret"
BCRYPT = "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW"  # of that: all it takes


class RegistryServer:
    """Owns a directory and a process, both gone when left. user: who must log in, with PASSWORD; "" = nobody must."""

    def __init__(self, *, tls: bool = False, user: str = "") -> None:
        self.base = Path(tempfile.mkdtemp(prefix="registry-", dir="/var/tmp"))
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.ca = str(self.base / "ca.pem") if tls else ""
        self._process: subprocess.Popen[bytes] | None = None
        tls_part = auth_part = ""
        if tls:
            self._certificates()
            tls_part = f"  tls: {{certificate: {self.base}/server.pem, key: {self.base}/server.key}}\n"
        if user:
            (self.base / "htpasswd").write_text(f"{user}:{BCRYPT}\n")
            auth_part = f"auth:\n  htpasswd: {{realm: test, path: {self.base}/htpasswd}}\n"
        config = CONFIG.format(base=self.base, port=self.port, tls=tls_part, auth=auth_part)
        (self.base / "config.yml").write_text(config)

    def _certificates(self) -> None:
        """A certificate authority, and a server's certificate for 127.0.0.1 by it."""

        def openssl(*args: str) -> None:
            subprocess.run(["openssl", *args], cwd=self.base, check=True, capture_output=True)

        new = ("req", "-newkey", "rsa:2048", "-nodes", "-keyout")
        openssl(*new, "ca.key", "-x509", "-out", "ca.pem", "-days", "2", "-subj", "/CN=test authority")
        openssl(*new, "server.key", "-out", "server.csr", "-subj", "/CN=127.0.0.1")
        (self.base / "ext").write_text("subjectAltName=IP:127.0.0.1\n")
        signing = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "ext")
        openssl("x509", "-req", "-in", "server.csr", *signing, "-out", "server.pem", "-days", "2")

    def __enter__(self) -> RegistryServer:
        with open(self.base / "log", "wb") as log:
            argv = ["docker-registry", "serve", str(self.base / "config.yml")]
            env = {**os.environ, "OTEL_TRACES_EXPORTER": "none"}
            self._process = subprocess.Popen(argv, stdout=log, stderr=log, env=env)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            if self._process.poll() is not None:
                break
            time.sleep(0.05)
        text = (self.base / "log").read_text()
        self.__exit__(None, None, None)
        raise AssertionError(f"docker-registry does not come up: {text}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self.base, ignore_errors=True)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
