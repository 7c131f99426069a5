"""One story through the command, from an image to an empty store; each step is checked in the kernel and on disk."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.cgroups import open_group
from engine.cgroups.names import parent_name
from engine.kernel.proc import is_same
from engine.store.root import Store
from tests.support.command import Strata
from tests.support.leftovers import settle, take
from tests.support.needs import needs_root
from tests.support.rootfs import tiny_image
from tests.support.waiting import until

# Counts the signals it gets, ticks ten times a second, and says goodbye when it is asked to stop.
SCRIPT = """
trap 'echo goodbye; exit 7' TERM
for signal in HUP INT QUIT USR1 USR2 CONT TSTP; do trap "echo $signal >> /signals" $signal; done
i=0
while :; do i=$((i+1)); echo $i > /counter; sleep 0.1; done
"""


@pytest.fixture
def strata() -> Iterator[Strata]:
    needs_root()
    with Strata() as command:
        yield command


class Watch:
    """A container looked at from outside: its layer, its state on disk, its processes."""

    def __init__(self, strata: Strata, container: str) -> None:
        self.root, self.id = Path(strata.root), container
        self.diff = self.root / "layers" / container / "diff"

    @property
    def state(self) -> dict[str, object]:
        found: dict[str, object] = json.loads((self.root / "containers" / self.id / "state.json").read_bytes())
        return found

    def counter(self) -> int:
        try:
            return int((self.diff / "counter").read_text() or 0)
        except FileNotFoundError:
            return 0

    def alive(self) -> bool:
        pid, start = self.state["pid"], self.state["pid_start"]
        assert isinstance(pid, int)
        assert isinstance(start, int)
        return pid > 0 and is_same(pid, start)

    def frozen(self) -> bool:
        return open_group(parent_name(str(self.root)), self.id).frozen()


def status(strata: Strata, *flags: str) -> str:
    return strata("ps", *flags, "--format", "{{.Names}}: {{.Status}}")


def test_the_life_of_a_container_and_of_its_images(strata: Strata) -> None:
    base = tiny_image(Store(strata.root))
    strata("run", "--rm", "tiny", "true")  # makes what a store makes once: locks, mount points
    before = take(strata.root)

    # create: a read-write layer on the image's top layer, and nothing runs.
    web = strata("create", "--name", "web", "tiny", "sh", "-c", SCRIPT)
    watch = Watch(strata, web)
    record = json.loads((watch.root / "layers" / web / "json").read_bytes())
    assert record["parent"] == Store(strata.root).images.get(base).layers[-1]
    assert list(watch.diff.iterdir()) == []
    assert not (watch.root / "containers" / web / "state.json").exists()
    assert strata("ps", "-q") == ""
    assert status(strata, "-a") == "web: Created"

    # start: an isolated process space.
    assert strata("start", "web") == "web"
    until(lambda: watch.counter() > 2)
    assert strata("ps", "-q", "--no-trunc") == web
    assert status(strata).startswith("web: Up ")
    assert watch.state["status"] == "running"
    pid = strata.pid("web")
    inside, outside = os.stat(f"/proc/{pid}/ns/pid").st_ino, os.stat("/proc/self/ns/pid").st_ino
    assert inside != outside
    assert strata("start", "web") == "web"
    assert strata.pid("web") == pid

    # pause: no signal, the counter stands still; nothing but unpause and stop gets through.
    assert strata("pause", "web") == "web"
    assert watch.frozen()
    still = watch.counter()
    assert status(strata).endswith(" (Paused)")
    for refused_words, problem in (
        (["pause", "web"], f"Error: container {web} is already paused\n"),
        (
            ["start", "web"],
            "Error: cannot start a paused container, try unpause instead\nfailed to start containers: web\n",
        ),
        (["exec", "web", "true"], f"Error: container {web} is paused, unpause the container before exec\n"),
        (["rm", "web"], 'Error: cannot remove container "/web": container is paused and must be unpaused first\n'),
    ):
        refused = strata.run(*refused_words)
        assert (refused.returncode, refused.stdout, refused.stderr) == (1, "", problem)
    assert watch.counter() == still
    assert strata("unpause", "web") == "web"
    assert not watch.frozen()
    until(lambda: watch.counter() > still)
    assert not (watch.diff / "signals").exists(), "a process must not notice that it was frozen"
    refused = strata.run("unpause", "web")
    assert (refused.returncode, refused.stderr) == (1, f"Error: container {web} is not paused\n")

    # A running container is not removed.
    refused = strata.run("rm", "web")
    words = "container is running: stop the container before removing or force remove"
    assert (refused.returncode, refused.stderr) == (1, f'Error: cannot remove container "/web": {words}\n')
    assert watch.alive()

    # commit while it runs: its layer becomes a read-only one; it goes on.
    at = watch.counter()
    snap = strata("commit", "-m", "a moment", "-a", "somebody", "-c", 'CMD ["cat", "/counter"]', "web", "snap:v1")
    until(lambda: watch.counter() > at)
    assert not watch.frozen()
    assert watch.state["status"] == "running"
    assert not (watch.diff / "signals").exists()
    made = Store(strata.root).images.get(snap)
    assert made.parent == base
    assert made.layers[:-1] == Store(strata.root).images.get(base).layers
    frozen = Path(Store(strata.root).layers.diff_path(made.layers[-1]), "counter").read_text()
    assert at <= int(frozen)
    assert strata("run", "--rm", "snap:v1") == frozen.strip()

    # images, images -a, history: every read-only layer is there.
    assert strata("images", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}").splitlines() == [
        f"snap:v1 {snap[7:19]}",
        f"tiny:latest {base[7:19]}",
    ]
    rows = [line.split() for line in strata("history", "snap:v1").splitlines()]
    assert rows[0] == ["IMAGE", "CREATED", "CREATED", "BY", "SIZE", "COMMENT"]
    assert [row[0] for row in rows[1:]] == [snap[7:19], base[7:19]]
    assert rows[1][-2:] == ["a", "moment"]
    assert strata("inspect", "-f", "{{.Author}}/{{.Parent}}/{{.Config.Cmd}}", snap) == f"somebody/{base}/[cat /counter]"
    third = strata("commit", "web", "third")
    strata("rmi", "snap:v1")
    strata("tag", third, "again")

    # rmi refused: in use, dependent, named twice; and untagged while a name remains.
    for ref, flags, problem in (
        ("tiny", (), "(cannot be forced) - image has dependent child images"),
        ("tiny", ("-f",), "(cannot be forced) - image has dependent child images"),
        (third, (), "(must be forced) - image is referenced in multiple repositories"),
    ):
        refused = strata.run("rmi", *flags, ref)
        assert refused.returncode == 1
        assert refused.stderr.rstrip().endswith(problem)
    assert strata("rmi", "again") == "Untagged: again:latest"
    top = Store(strata.root).images.get(third).layers[-1]
    assert strata("rmi", "third").splitlines() == [
        "Untagged: third:latest", f"Deleted: {third}", f"Deleted: sha256:{top}",
    ]  # fmt: skip
    assert not (watch.root / "layers" / top).exists()
    refused = strata.run("rmi", "tiny")
    assert "(must force) - container " + web[:12] in refused.stderr
    refused = strata.run("rmi", "-f", "tiny")
    assert refused.stderr.rstrip().endswith(f"(cannot be forced) - image is being used by running container {web[:12]}")

    # stop: the stop signal, and its trap runs.
    began = time.monotonic()
    assert strata("stop", "web") == "web"
    assert time.monotonic() - began < 9, "it ended by itself: no SIGKILL after the grace"
    assert not watch.alive()
    assert strata("logs", "web").endswith("goodbye")
    assert status(strata, "-a").startswith("web: Exited (7) ")
    assert strata("wait", "web") == "7"
    assert watch.counter() > at, "the read-write layer outlives its processes"
    assert strata("stop", "web") == "web"

    # kill: at once, paused or not, and no trap.
    strata("start", "web")
    strata("pause", "web")
    assert strata("kill", "web") == "web"
    assert not watch.alive()
    assert status(strata, "-a").startswith("web: Exited (137) ")
    assert strata("logs", "web").count("goodbye") == 1
    refused = strata.run("kill", "web")
    assert (refused.returncode, refused.stderr) == (
        1, f"Error: cannot kill container: web: container {web} is not running\n",
    )  # fmt: skip

    # rm: the read-write layer goes, the image stays; then the image goes, and nothing is left.
    assert strata("diff", "web") == "A /counter"
    assert strata("rm", "web") == "web"
    assert not watch.diff.exists()
    assert settle(strata.root, before) == []
    assert strata("rmi", "tiny").splitlines()[:2] == ["Untagged: tiny:latest", f"Deleted: {base}"]
    assert strata("images", "-aq") == ""
    assert os.listdir(watch.root / "layers") == []
    assert os.listdir(watch.root / "blobs" / "sha256") == []
    assert settle(strata.root, before) == []
