"""A second kernel for tests: Debian's user-mode Linux with pure cgroup v2, this machine's files as its root.

    answer = Guest(directory).run("tests.uml.story")

runs that module in the guest as `python -m MODULE STORE ANSWER` and gives back the JSON it wrote. What the guest writes
is in a tmpfs of its own and in `directory`. Its Python is about ten times slower than ours.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.support.command import HOUSE
from tests.support.needs import needs, needs_root, unmet

SHIM = Path(__file__).with_name("ptrace.c")
MODULES = "/usr/lib/uml/modules"
SECONDS = 600

INIT = """#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir -p /dev/pts
mount -t devpts devpts /dev/pts
for module in fs/overlayfs/overlay drivers/block/brd; do
    insmod {modules}/$(uname -r)/kernel/$module.ko
done
mount -t tmpfs tmpfs {directory}/store
cd {house}
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export HOME={directory} TMPDIR={directory}/store PYTHONPATH={house} PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
{python} -m {module} {directory}/store {directory}/answer.json
echo o > /proc/sysrq-trigger
sleep 60
"""


class Guest:
    """Owns a directory, and the guest's processes while one runs. It skips (in CI: fails) without such a kernel."""

    def __init__(self, directory: Path) -> None:
        needs_root()
        needs("linux.uml", "gcc", "insmod")
        if not os.path.isdir(MODULES):
            unmet(f"no modules in {MODULES}: Debian's user-mode-linux has them")
        self.directory = directory
        self.console = directory / "console"
        (directory / "store").mkdir()

    def run(self, module: str) -> Any:
        """What the module answered. AssertionError with the console's last lines when it did not."""
        init = self.directory / "init"
        init.write_text(
            INIT.format(modules=MODULES, directory=self.directory, house=HOUSE, python=sys.executable, module=module)
        )
        init.chmod(0o755)
        shim = self.directory / "ptrace.so"
        subprocess.run(["gcc", "-O2", "-Wall", "-shared", "-fPIC", "-o", shim, SHIM], check=True)
        program = shutil.which("linux.uml")
        assert program is not None
        argv = [program, "mem=768M", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "rw", f"init={init}"]
        argv += ["con=null", "con0=fd:0,fd:1", "quiet", "panic=-1", f"uml_dir={self.directory}/", "umid=guest"]
        env = {"PATH": os.environ["PATH"], "HOME": str(self.directory), "LD_PRELOAD": str(shim)}
        with open(self.console, "wb") as console:
            process = subprocess.Popen(
                argv, env=env, stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True
            )
        try:
            process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            pass
        finally:
            _end(process)
        answer = self.directory / "answer.json"
        assert answer.exists(), f"the guest gave no answer:\n{self.last_words()}"
        return json.loads(answer.read_text())

    def last_words(self) -> str:
        return "\n".join(self.console.read_text(errors="replace").splitlines()[-40:])


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill what is left of the guest, each of its processes by its number, and wait until all are dead."""
    while left := _members(process.pid):
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        process.poll()
        time.sleep(0.05)
    process.wait()


def _members(session: int) -> list[int]:
    """The living processes of a session. The guest's own are traced children of its kernel, all in one session."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            fields = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[3]) == session and fields[0] not in "ZX":
            found.append(int(name))
    return found
