"""An ordinary user of this machine, made for a test and removed after it, who can run `strata`.

    with OrdinaryUser() as user:                 # subordinate=False: without lines in /etc/subuid and /etc/subgid
        user.strata("run", "--rm", "tiny", "id", "-u")

The tests' own interpreter and sources may lie where nobody else may look (a virtual environment in a directory of
root's): the user runs an interpreter that everybody may, with a copy of what `strata` needs.
"""

from __future__ import annotations

import atexit
import functools
import importlib.metadata
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import app
import engine
from tests.support.needs import needs, needs_root, unmet
from tests.support.waiting import until

RUNTIME = ("textual", "pyroute2", "humanize", "watchfiles", "isal", "zstandard")
BECOME = """import os, sys, warnings
uid, gid, group, *argv = sys.argv[1:]
if group:
    with open(group + "/cgroup.procs", "w") as file:
        file.write("0")
os.setgroups([])
os.setresgid(int(gid), int(gid), int(gid))
os.setresuid(int(uid), int(uid), int(uid))
os.execvp(argv[0], argv)
"""
"""What becomes the user: no setpriv(1), which looks for the program with root's capabilities still."""

TRIES = 200  # of a tool that finds /etc/passwd locked by another


@functools.cache
def house() -> str:
    """A directory that everybody may read with `app`, `engine` and what they import; made once a test run."""
    made = Path(tempfile.mkdtemp(prefix="strata-house-", dir="/var/tmp"))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    made.chmod(0o755)
    for package in (app, engine):
        assert package.__file__ is not None
        source = Path(package.__file__).parent
        shutil.copytree(source, made / source.name)
    for distribution in _needed(RUNTIME):
        for file in distribution.files or ():
            if file.parts[0] == ".." or file.parts[0].endswith(".dist-info"):
                continue
            target = made / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(str(file.locate()), target)  # with its time, which its compiled form must agree with
    for where, directories, files in os.walk(made):
        for name in directories:
            os.chmod(os.path.join(where, name), 0o755)
        for name in files:
            os.chmod(os.path.join(where, name), 0o644)
    return str(made)


def _interpreters() -> list[str]:
    """The one that the tests' stands on, then the system's of the same version, which takes the same modules in C."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    base = os.path.realpath(getattr(sys, "_base_executable", "") or sys.executable)
    return [base, f"/usr/local/bin/{version}", f"/usr/bin/{version}"]


def _needed(names: tuple[str, ...]) -> Iterator[importlib.metadata.Distribution]:
    """These distributions and all that they require."""
    queue, seen = list(names), set()
    while queue:
        name = queue.pop().lower().replace("_", "-")
        if name in seen:
            continue
        seen.add(name)
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # of another Python or system
        yield distribution
        for requirement in distribution.requires or ():
            match = re.match(r"[A-Za-z0-9_.-]+", requirement)
            if match and "extra ==" not in requirement:
                queue.append(match.group())


class OrdinaryUser:
    """Owns a user with a home in /var/tmp. A context manager: leaving it ends what runs under his numbers, and removes
    him and his home. home, uid, gid; ranges: his (first, count) in /etc/subuid and in /etc/subgid."""

    def __init__(self, subordinate: bool = True) -> None:
        needs_root()
        needs("useradd", "userdel", *(("newuidmap", "newgidmap") if subordinate else ()))
        self.name = f"strata-{os.urandom(5).hex()}"
        self.home = Path("/var/tmp", self.name)
        for file in ("/etc/subuid", "/etc/subgid"):
            Path(file).touch(0o644)  # useradd gives nothing where they are not there
        count = 65536 if subordinate else 0
        try:
            _locked(
                *("useradd", "--create-home", "--home-dir", str(self.home), "--shell", "/bin/sh"),
                *("-K", f"SUB_UID_COUNT={count}", "-K", f"SUB_GID_COUNT={count}", self.name),
            )
            self.uid, self.gid = (int(_said("id", word, self.name)) for word in ("-u", "-g"))
            self.ranges = [_range(file, self.name) for file in ("/etc/subuid", "/etc/subgid")]
            assert all(bool(one) == subordinate for one in self.ranges), self.ranges
            self.home.chmod(0o700)
            self.env = {
                "HOME": str(self.home),
                "USER": self.name,
                "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
                "LANG": "C.UTF-8",
                "PYTHONPATH": house(),
                "PYTHONDONTWRITEBYTECODE": "1",
            }
            self.python = next(filter(self._runs, _interpreters()), "")
            if not self.python:
                unmet(f"an ordinary user can run none of {', '.join(_interpreters())}")
        except BaseException:
            self.close()
            raise

    def _runs(self, python: str) -> bool:
        return self.run(python, "-c", "import app, textual, zstandard").returncode == 0

    def argv(self, *words: str) -> list[str]:
        """The command line of `strata …`."""
        return [self.python, "-m", "app", *words]

    def run(self, *argv: str, stdin: str = "", group: str = "") -> subprocess.CompletedProcess[str]:
        """Run a program as the user, however it ends. group: a control group's directory, which root puts it into."""
        with self.spawn(*argv, group=group, stdin=subprocess.PIPE) as process:
            try:
                out, err = process.communicate(stdin.encode(), timeout=110)
            except BaseException:
                process.kill()
                raise
        return subprocess.CompletedProcess(argv, process.returncode, out.decode(errors="replace"), err.decode())

    def spawn(self, *argv: str, group: str = "", stdin: int, output: int = subprocess.PIPE) -> subprocess.Popen[bytes]:
        """Begin a program as the user, in a session of its own. stdin, output: descriptors, or subprocess.PIPE."""
        return subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", BECOME, str(self.uid), str(self.gid), group, *argv],
            env=self.env,
            cwd=self.home,
            stdin=stdin,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )

    def strata(self, *words: str, stdin: str = "", group: str = "") -> str:
        """Run `strata …`, which must succeed; its standard output without the last newline."""
        done = self.run(*self.argv(*words), stdin=stdin, group=group)
        if done.returncode:
            raise AssertionError(f"strata {' '.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout.rstrip("\n")

    def refused(self, *words: str, status: int = 1) -> str:
        """Run `strata …`, which must fail with this status; what it says."""
        done = self.run(*self.argv(*words))
        assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
        return done.stderr.rstrip("\n")

    def outside(self, number: int) -> int:
        """The number that an owner inside has outside."""
        if number == 0 or not self.ranges[0]:
            return self.uid
        first, count = self.ranges[0][0]
        assert number <= count
        return first + number - 1

    def give_numbers(self, first: int) -> None:
        """65536 numbers from this one on in /etc/subuid and /etc/subgid, as an administrator would give them."""
        numbers = f"{first}-{first + 65535}"
        _locked("usermod", "--add-subuids", numbers, "--add-subgids", numbers, self.name)
        self.ranges = [_range(file, self.name) for file in ("/etc/subuid", "/etc/subgid")]

    @property
    def root(self) -> Path:
        """His store."""
        return self.home / ".local/share/strata"

    def pids(self) -> list[int]:
        """What runs under his own number and those given to him, on this machine or in a container."""
        mine = [(self.uid, 1), *self.ranges[0]]
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                status = Path(f"/proc/{pid}/status").read_text(errors="replace")
            except (FileNotFoundError, ProcessLookupError):
                continue
            if "State:\tZ" in status:
                continue
            uids = [int(word) for word in status.partition("\nUid:")[2].split("\n")[0].split()]
            if any(first <= uid < first + count for uid in uids for first, count in mine):
                found.append(int(pid))
        return found

    def close(self) -> None:
        """End his processes; remove his home and him. He may not have been made in whole."""
        if hasattr(self, "ranges"):
            until(self._ended)
        subprocess.run(["rm", "-rf", "--one-file-system", str(self.home)], check=True)
        if subprocess.run(["id", "-u", self.name], capture_output=True).returncode == 0:
            _locked("userdel", "--force", self.name)  # whatever has ended but was not waited for

    def _ended(self) -> bool:
        pids = self.pids()
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        return not pids

    def __enter__(self) -> OrdinaryUser:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _locked(*argv: str) -> None:
    """Run a tool that changes /etc/passwd; when another one has it locked, again."""
    for tries_left in range(TRIES, -1, -1):
        done = subprocess.run(argv, capture_output=True, text=True)
        if done.returncode == 0:
            return
        if "lock" not in done.stderr or not tries_left:
            raise AssertionError(f"{argv}: {done.stderr}")
        time.sleep(0.1)


def _said(*argv: str) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def _range(file: str, name: str) -> list[tuple[int, int]]:
    rows = [line.split(":") for line in Path(file).read_text().splitlines()]
    return [(int(row[1]), int(row[2])) for row in rows if row[0] == name]
