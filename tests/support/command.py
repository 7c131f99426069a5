"""The `strata` command as a person has it: a program run on a root of its own, which is gone afterwards."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from types import TracebackType

HOUSE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Strata:
    """Runs `strata --root ROOT …`. A context manager: leaving it removes every container and the root.

    parent: where the root is made; /var/tmp is on a disk that takes overlay upper directories and user xattrs.
    """

    def __init__(self, parent: str = "/var/tmp") -> None:
        self.root = tempfile.mkdtemp(prefix="strata-test-", dir=parent)
        self.env = {key: value for key, value in os.environ.items() if key not in ("STRATA_ROOT", "NO_COLOR")}
        self.env["PYTHONPATH"] = HOUSE

    def argv(self, *args: str) -> list[str]:
        return [sys.executable, "-m", "app", "--root", self.root, *args]

    def __call__(self, *args: str, stdin: str | None = None, timeout: float = 120) -> str:
        """Run a command that must succeed; its standard output without the last newline."""
        done = self.run(*args, stdin=stdin, timeout=timeout)
        if done.returncode:
            raise AssertionError(f"strata {' '.join(args)}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout.rstrip("\n")

    def run(self, *args: str, stdin: str | None = None, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """Run a command, however it ends."""
        # Without something to say the command gets an empty standard input, never the test runner's own.
        return subprocess.run(
            self.argv(*args),
            input=stdin or "",
            env=self.env,
            capture_output=True,
            text=True,
            timeout=timeout,
            errors="surrogateescape",
        )

    def pid(self, container: str) -> int:
        """The host's pid of a running container's pid 1."""
        return int(self("inspect", "--format", "{{.State.Pid}}", container))

    def __enter__(self) -> Strata:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove all containers, then the root."""
        try:
            containers = self("ps", "--all", "--quiet", "--no-trunc").split()
            if containers:
                self("rm", "--force", *containers)
        finally:
            shutil.rmtree(self.root)
