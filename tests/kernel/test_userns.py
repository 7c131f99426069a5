"""--userns=auto: root inside is nobody outside, and neither image nor read-write layer shows anything of it."""

from __future__ import annotations

import io
import os
import signal
import stat
import tarfile
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from engine import Engine
from engine.commands.options import CreateOptions
from engine.commands.surroundings import choose_ids
from engine.errors import InvalidInput
from engine.kernel.namespaces import CLONE_NEWUSER, namespace_id
from engine.settings import Settings
from tests.support.command import Strata
from tests.support.isolated import isolated
from tests.support.mapping import IDS, needs_mapping
from tests.support.rootfs import tiny_image
from tests.support.runtime import Lab, collect, eventually, lab
from tests.support.waiting import until

__all__ = ["lab"]

AUTO = Settings(userns="auto")

SCRIPT = """
    if [ -e /ready ]; then exec sleep 1000; fi
    echo mine > /own; echo his > /his; chown 1000:1001 /his
    cp /bin/sh /setuid; chown 1000 /setuid; chmod 4755 /setuid
    chown 7:8 /etc/passwd; echo more >> /etc/group; rm /etc/hostname.d/one; mkdir -m 750 /deep; chown 65535 /deep
    mkfifo /deep/fifo; ln /own /deep/hard; ln -s /own /link
    touch /ready; exec sleep 1000
"""


@pytest.fixture(autouse=True)
def mapping() -> None:
    needs_mapping()


@pytest.fixture
def strata() -> Iterator[Strata]:
    with Strata() as command:
        tiny_image(Engine(command.root).store)
        yield command


def status(pid: int | str, key: str) -> list[str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(line.split()[1:] for line in lines if line.startswith(key + ":"))


def owners(directory: Path) -> dict[str, tuple[int, int, int]]:
    """(uid, gid, mode) of everything below a directory, by path."""
    return {
        str(path.relative_to(directory)): (found.st_uid, found.st_gid, found.st_mode)
        for path in directory.rglob("*")
        for found in (path.lstat(),)
    }


def test_the_scripted_story(strata: Strata) -> None:
    """run, exec, pause, diff, commit, export, stop, start, rm: ids are mapped outside, files on disk are not."""
    strata("run", "--name", "base", "tiny", "sh", "-c", "mkdir /etc/hostname.d; touch /etc/hostname.d/one")
    strata("commit", "base", "based")
    before = {path: owners(path) for path in Path(strata.root, "layers").glob("*/diff")}

    container = strata("run", "-d", "--name", "box", "--userns=auto", "based", "sh", "-ec", SCRIPT)
    diff = Path(strata.root, "layers", container, "diff")
    until((diff / "ready").exists)
    pid = strata.pid("box")
    (mapping,) = (line.split() for line in Path(f"/proc/{pid}/uid_map").read_text().splitlines())
    first = int(mapping[1])
    assert mapping == ["0", str(first), "65536"]
    assert Path(f"/proc/{pid}/gid_map").read_text() == Path(f"/proc/{pid}/uid_map").read_text()
    assert status(pid, "Uid") == status(pid, "Gid") == [str(first)] * 4
    shown = strata("inspect", "-f", "{{.HostConfig.UsernsMode}} {{json .HostConfig.IDMappings.UidMap}}", "box")
    assert shown == f'auto ["0:{first}:65536"]'

    # Inside, everything is as ever.
    said = strata(
        "exec", "box", "sh", "-c", "id -u; stat -c '%u:%g' /own /his /etc/passwd /bin; cat /proc/self/uid_map"
    )
    assert said.split() == ["0", "0:0", "1000:1001", "7:8", "0:0", *mapping]
    user = strata("exec", "--user", "1000:1001", "box", "sh", "-c", "id -u; id -g; echo out > /dev/stdout; cat /his")
    assert user.split() == ["1000", "1001", "out", "his"]
    assert "stat: can't" not in strata("exec", "box", "ls", "-ln", "/dev")
    assert strata("exec", "box", "sh", "-c", "echo x > /dev/null; head -c 3 /dev/zero | wc -c") == "3"

    # On disk, too, for who reads it there.
    found = owners(diff)
    assert {
        name: found[name][:2] for name in ("own", "his", "etc/passwd", "etc/group", "deep", "deep/hard", "link")
    } == {
        "own": (0, 0),
        "his": (1000, 1001),
        "etc/passwd": (7, 8),
        "etc/group": (0, 0),
        "deep": (65535, 0),
        "deep/hard": (0, 0),
        "link": (0, 0),
    }
    assert stat.S_IMODE(found["setuid"][2]) == 0o4755
    whiteout = (diff / "etc/hostname.d/one").lstat()
    assert stat.S_ISCHR(whiteout.st_mode) and (whiteout.st_uid, whiteout.st_rdev) == (0, 0)
    assert {path: owners(path) for path in before} == before

    assert {"A /own", "C /etc/passwd", "D /etc/hostname.d/one", "A /deep/fifo"} <= set(
        strata("diff", "box").splitlines()
    )
    strata("pause", "box")
    strata("unpause", "box")

    # An image made of it, and its archive, hold what the layer holds.
    strata("commit", "box", "made")
    plain = strata("run", "--rm", "made", "sh", "-c", "stat -c '%u:%g %a' /own /his /setuid /deep; ls /etc/hostname.d")
    assert plain.splitlines() == ["0:0 644", "1000:1001 644", "1000:0 4755", "65535:0 750"]
    again = strata("run", "--rm", "--userns=auto", "made", "sh", "-c", "stat -c '%u:%g' /his; cat /proc/self/uid_map")
    his, _, other, _ = again.split()
    assert his == "1000:1001"
    assert int(other) >= first + 65536 or int(other) + 65536 <= first
    archive = Path(strata.root, "tmp", "box.tar")
    strata("export", "-o", str(archive), "box")
    with tarfile.open(fileobj=io.BytesIO(archive.read_bytes())) as tar:
        assert (tar.getmember("his").uid, tar.getmember("own").uid, tar.getmember("deep").uid) == (1000, 0, 65535)
    archive.unlink()

    strata("stop", "-t", "0", "box")
    strata("start", "box")
    until((diff / "ready").exists)
    assert status(strata.pid("box"), "Uid")[0] == str(first)
    strata("rm", "-f", "box")
    assert not diff.exists()


def test_no_two_containers_share_an_id_however_many_are_made_at_once(strata: Strata) -> None:
    with Engine(strata.root) as engine:
        made: list[str] = []
        options = CreateOptions(command=("true",), settings=AUTO)
        threads = [threading.Thread(target=lambda: made.append(engine.create("tiny", options))) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        ranges = sorted(engine.container(name).config.ids for name in made)
        assert len(ranges) == 12
        assert all(low + count <= following for (low, count), (following, _) in pairwise(ranges))
        freed = engine.container(made[0]).config.ids
        engine.remove(made[0])
        assert choose_ids(engine.store) == freed


def test_every_namespace_is_the_containers_own_and_exec_joins_all(lab: Lab) -> None:
    config = lab.running(ids=IDS)
    pid, _ = lab.pids(config)
    session = lab.monitor(config).exec(("sleep", "1000"))
    for kind in ("mnt", "pid", "uts", "ipc", "net", "cgroup", "user"):
        assert namespace_id(pid, kind) == namespace_id(session.pid, kind) != namespace_id("self", kind), kind
    for name in ("CapPrm", "CapEff", "CapBnd", "CapInh", "CapAmb", "Uid", "Gid", "Groups"):
        assert status(pid, name) == status(session.pid, name), name
    assert int(status(pid, "CapEff")[0], 16) == 0xA80425FB


def test_a_terminal_belongs_to_the_user_inside(lab: Lab) -> None:
    config = lab.running(ids=IDS)
    script = "tty; stat -c '%u:%g' $(tty); echo size $(stty size)"
    for user, number in (("", "0"), ("1000", "1000")):
        session = lab.monitor(config).exec(("sh", "-c", script), tty=True, size=(30, 90), user=user)
        assert collect(session).stdout.decode().split() == ["/dev/pts/0", f"{number}:5", "size", "30", "90"]
    first = lab.create("sh", "-c", "stat -c %u /dev/console; tty", ids=IDS, tty=True, user="1000")
    assert lab.run(first).stdout.decode().split() == ["1000", "/dev/pts/0"]


def test_its_capabilities_count_inside_and_nowhere_else(lab: Lab) -> None:
    """It may do to its own namespaces what root may; to what belongs to the host it is anybody."""
    settings = Settings(cap_add=("ALL",), security_opt=("seccomp=unconfined",))
    script = """
        never() { if "$@" 2>/dev/null; then echo "did: $*"; exit 9; fi; }
        hostname changed; chroot / true; nc -l -p 80 & sleep 0; kill $!
        mount -t tmpfs none /tmp; umount /tmp
        never mknod /disk b 8 0; never mknod /null c 1 3; never sh -c 'cat /proc/kallsyms | grep -v "^0000000000000000"'
        never sh -c 'echo 0 > /proc/sys/kernel/panic'; never sh -c 'echo 4096 > /proc/sys/fs/pipe-max-size'
        echo done
    """
    ended = lab.run(lab.create("sh", "-ec", script, ids=IDS, settings=settings))
    assert ended.stdout.decode().split() == ["done"], ended


def test_a_killed_monitor_takes_it_along(lab: Lab) -> None:
    from tests.support.runtime import gone

    config = lab.running("sh", "-c", "sleep 1000 & exec sleep 1000", ids=IDS)
    pid, monitor = lab.pids(config)
    os.kill(monitor, signal.SIGKILL)
    eventually(lambda: gone(pid))


def test_what_is_mounted_and_given_is_its_roots(lab: Lab) -> None:
    settings = Settings(
        tmpfs={"/scratch": "mode=700"},
        devices=("/dev/zero:/dev/mine:rw", "/dev/zero:/srv/zero:r"),
        sysctls={"net.ipv4.ip_default_ttl": "77", "kernel.msgmax": "4321"},
        ulimits=("nofile=64:128",),
        group_add=("29",),
        read_only=True,
        shm_size=65536,
        oom_score_adj=100,
    )
    config = lab.running(ids=IDS, settings=settings)
    script = """
        stat -c '%u:%g %a' /scratch /dev/shm; head -c 2 /dev/mine | wc -c; head -c 2 /srv/zero | wc -c
        cat /proc/sys/net/ipv4/ip_default_ttl /proc/sys/kernel/msgmax /proc/self/oom_score_adj; ulimit -n; id -G
        touch /scratch/x /dev/shm/x; echo x >> /etc/hosts
        if touch /x 2>/dev/null; then echo written; fi
    """
    for ended in (
        collect(lab.monitor(config).exec(("sh", "-ec", script))),
        lab.run(lab.create("sh", "-ec", script, ids=IDS, settings=settings)),
    ):
        assert ended.status == 0, ended
        assert ended.stdout.decode().split() == [
            *("0:0", "700", "0:0", "1777", "2", "2", "77", "4321", "100", "64", "0", "29")
        ], ended


def test_the_ranges_of_people_are_left_alone(strata: Strata, monkeypatch: pytest.MonkeyPatch) -> None:
    from engine.commands import surroundings

    lines = {"/etc/subuid": [("ann", 1 << 20, 65536 * 2)], "/etc/subgid": [("ann", (1 << 20) + 65536 * 2, 1)]}

    def read(path: str, owner: str = "") -> list[tuple[int, int]]:
        return [(first, first + count) for name, first, count in lines[path] if not owner or name == owner]

    monkeypatch.setattr(surroundings, "_lines", read)
    with Engine(strata.root) as engine:
        assert choose_ids(engine.store) == ((1 << 20) + 65536 * 3, 65536)
        for rows in lines.values():
            rows.append(("strata", 500_000, 65536 + 70_000))
        assert choose_ids(engine.store) == (500_000, 65536)
        options = CreateOptions(command=("true",), settings=AUTO)
        for first in (500_000, 565_536):
            assert engine.container(engine.create("tiny", options)).config.ids == (first, 65536)
        with pytest.raises(InvalidInput, match="no range of 65536 ids is free here"):
            engine.create("tiny", options)


def test_kernels_that_take_layers_by_name_only_map_them_too(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before Linux 6.8 there is no `lowerdir+`: one mount(2), as Debian 12 has it."""
    from engine.kernel import overlays, processes
    from engine.runtime import materials
    from engine.runtime.spaces import map_ids

    monkeypatch.setattr(overlays, "_takes_layers", lambda context, top: False)
    plan = lab.plan(lab.create("true", ids=IDS)).wire()

    def look() -> tuple[int, int, int]:
        pid, pidfd = processes.clone3(CLONE_NEWUSER)
        if pid == 0:
            signal.pause()
        try:
            root = materials.make({**plan, "nodes": ()}, map_ids(pid, IDS)).overlay
            found = os.stat("etc/passwd", dir_fd=root)
            return found.st_uid, found.st_gid, os.fstatvfs(root).f_flag & os.ST_RDONLY
        finally:
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            os.waitpid(pid, 0)

    assert isolated(look) == (IDS[0], IDS[0], 0)  # a work directory that cannot be made makes it read-only
