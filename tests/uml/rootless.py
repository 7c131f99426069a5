"""A delegated group of an ordinary user under pure cgroup v2: its limits hold, as where a service manager gave it.

    python -m tests.uml.rootless DIRECTORY ANSWER

Run in the guest, as its root, by test_rootless.py, which says in `HOUSE_FILE` beside DIRECTORY which interpreter and
house the user may read. The user is a number that no file names: one number is mapped.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

from tests.support.archives import docker_archive
from tests.support.ordinary import BECOME
from tests.support.rootfs import tiny_spec

HOUSE_FILE = "house.json"
UID = 4242
GROUPS = Path("/sys/fs/cgroup")
HOME = Path("/mnt")
INTERPRETER = os.path.realpath(sys.executable)  # not in a virtual environment below the /tmp that will be hidden
GREEDY = ("run", "--name", "greedy", "-m", "16m", "--memory-swap", "16m", "tiny", "sh", "-c", "tail /dev/zero")


def told(python: str, house: str) -> dict[str, Any]:
    """The facts."""
    # On the host's files nothing that this user makes becomes his: he gets file systems of the guest's own.
    for place in (HOME, "/tmp"):
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", place], check=True)
    os.chown(HOME, UID, UID)
    (HOME / "tiny.tar").write_bytes(docker_archive(tiny_spec("tiny:latest")))
    session = GROUPS / "user/session"
    session.mkdir(parents=True)
    (GROUPS / "cgroup.subtree_control").write_text("+memory +pids")
    for group in (session.parent, session):
        for name in (".", "cgroup.procs", "cgroup.threads", "cgroup.subtree_control"):
            os.chown(group / name, UID, UID)
    facts: dict[str, Any] = {}

    def strata(*words: str) -> str:
        become = [INTERPRETER, "-I", "-S", "-c", BECOME, str(UID), str(UID), str(session)]
        env = {"HOME": str(HOME), "PATH": os.environ["PATH"], "PYTHONPATH": house, "LANG": "C.UTF-8"}
        done = subprocess.run([*become, python, "-m", "app", *words], env=env, cwd=HOME, capture_output=True, text=True)
        if done.returncode and words[:3] != GREEDY[:3]:
            raise AssertionError(f"{words}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout.strip()

    strata("load", "-i", "tiny.tar")
    strata("run", "-d", "--name", "held", "-m", "32m", "--pids-limit", "12", "tiny", "sleep", "1000")
    (group,) = session.parent.glob("strata*/*/")
    facts["limits"] = [(group / name).read_text().strip() for name in ("memory.max", "pids.max")]
    strata("pause", "held")
    facts["frozen"] = (group / "cgroup.freeze").read_text().strip()
    strata("rm", "-f", "held")
    facts["left"] = [path.name for path in session.parent.iterdir() if path.is_dir()]
    strata(*GREEDY)
    facts["oom"] = strata("inspect", "-f", "{{.State.OOMKilled}} {{.State.ExitCode}}", "greedy")
    return facts


def main(directory: str, answer: str) -> None:
    try:
        facts = told(*json.loads(Path(directory).with_name(HOUSE_FILE).read_text()))
    except BaseException:
        out = io.StringIO()
        traceback.print_exc(file=out)
        facts = {"broke": out.getvalue()}
    Path(answer).write_text(json.dumps(facts))


if __name__ == "__main__":
    main(*sys.argv[1:])
