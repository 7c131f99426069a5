"""What a container sees, flag by flag, on real ones: namespaces shared and joined, mounts, devices, sysctls, limits."""

from __future__ import annotations

import os
import signal
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine import Engine
from engine.commands.options import CreateOptions
from engine.errors import Conflict, InvalidInput, StartFailed
from engine.kernel.namespaces import namespace_id
from engine.runtime.plan import NAMESPACES
from engine.settings import Settings
from tests.support.archives import docker_archive
from tests.support.command import Strata
from tests.support.needs import needs_root
from tests.support.ordinary import OrdinaryUser
from tests.support.rootfs import tiny_image, tiny_spec
from tests.support.runtime import Config, Ended, Lab, collect, eventually, gone, lab

__all__ = ["lab"]

HOSTS: dict[str, Any] = {"pid": "host", "ipc": "host", "uts": "host", "network": "host", "cgroupns": "host"}

NEVER = 'never() { if "$@" 2>/dev/null; then echo "did: $*"; exit 9; fi; };'
"""For scripts under -e, which pays no heed to a `!`."""


@pytest.fixture
def engine() -> Iterator[Engine]:
    needs_root()
    with Strata() as command, Engine(command.root) as engine:
        tiny_image(engine.store)
        yield engine


def seen(lab: Lab, script: str, **settings: Any) -> list[str]:
    """The lines of a script in a container of its own."""
    return lab.output("sh", "-ec", script, settings=Settings(**settings)).splitlines()


def both(lab: Lab, config: Config, script: str) -> tuple[Ended, Ended]:
    """A script in a running container's exec, and in another container with the same settings."""
    return (
        collect(lab.monitor(config).exec(("sh", "-ec", script))),
        lab.run(lab.create("sh", "-ec", script, settings=config.settings)),
    )


def kinds(pid: int) -> dict[str, int | None]:
    return {kind: namespace_id(pid, kind) for kind in NAMESPACES}


# Namespaces of the host.


def test_the_hosts_namespaces_are_shared_and_exec_is_at_home_in_them(lab: Lab) -> None:
    config = lab.running(settings=Settings(**HOSTS))
    pid, _ = lab.pids(config)
    host = kinds(os.getpid())
    assert {kind for kind, number in kinds(pid).items() if number == host[kind]} == {*NAMESPACES} - {"mnt"}
    monitor = lab.monitor(config)
    session = monitor.exec(("sleep", "1000"))
    assert kinds(session.pid) == kinds(pid)
    script = f"hostname; test -d /proc/{os.getpid()}; ls /sys/class/net; ls -d /dev/shm /dev/mqueue"
    said = collect(monitor.exec(("sh", "-ec", script))).stdout.decode().split()
    assert said[0] == os.uname().nodename
    assert set(said[1:-2]) == set(os.listdir("/sys/class/net"))
    shm = collect(monitor.exec(("stat", "-c", "%d", "/dev/shm"))).stdout
    assert int(shm) == os.stat("/dev/shm").st_dev


def test_without_a_pid_namespace_everything_still_ends_with_the_first_process(lab: Lab) -> None:
    """Children that left session and group, and an exec, are killed by the cgroup."""
    script = "(setsid sleep 1000 &); (setsid sleep 1000 &); echo ready; exec sleep 1000"
    config = lab.create("sh", "-c", script, settings=Settings(pid="host"))
    session = lab.session(config)
    assert session.read() == ("stdout", b"ready\n")
    joined = lab.monitor(config).exec(("sleep", "1000"))
    procs = Path(next(path for path in lab.groups() if path.endswith(config.id)), "cgroup.procs")
    pids = [int(line) for line in procs.read_text().split()]
    assert len(pids) == 4
    lab.monitor(config).signal(signal.SIGTERM)
    assert session.wait() == 143
    assert joined.wait() == 137
    eventually(lambda: all(gone(pid) for pid in pids))
    eventually(lambda: not [path for path in lab.groups() if path.endswith(config.id)])


def test_a_killed_monitor_takes_the_first_process_of_a_shared_pid_namespace_along(lab: Lab) -> None:
    config = lab.running(settings=Settings(pid="host"))
    pid, monitor = lab.pids(config)
    os.kill(monitor, signal.SIGKILL)
    eventually(lambda: gone(pid))


# Namespaces of another container.


def test_another_containers_namespaces_are_joined(engine: Engine) -> None:
    def make(name: str, *command: str, **settings: Any) -> str:
        return engine.create("tiny", CreateOptions(name=name, command=command, settings=Settings(**settings)))

    donor = make("donor", "sh", "-c", "echo shared > /dev/shm/note; exec sleep 1000", ipc="shareable")
    private = make("private", "sleep", "1000")
    joined = "container:donor"
    guest = make("guest", "sleep", "1000", pid=joined, ipc=joined, uts=joined, network=joined)
    shown = engine.inspect(guest)["HostConfig"]
    assert shown["PidMode"] == shown["IpcMode"] == shown["NetworkMode"] == f"container:{donor}"
    assert engine.inspect(guest)["Config"]["Hostname"] == donor[:12]

    with pytest.raises(StartFailed, match=f"^cannot join .* of a non running container: {donor}$"):
        engine.start(guest)
    with pytest.raises(Conflict, match="non-shareable IPC"):
        make("wrong", "true", ipc="container:private")
    with pytest.raises(InvalidInput, match="conflicting options: hostname and the network mode"):
        engine.create("tiny", CreateOptions(hostname="x", settings=Settings(network="container:donor")))

    for name in (donor, private, guest):
        engine.start(name)
    spaces = {name: engine.namespaces(name) for name in (donor, private, guest)}
    for kind in ("pid", "ipc", "uts", "net"):
        assert spaces[guest][kind] == spaces[donor][kind] != spaces[private][kind], kind
    for kind in ("mnt", "cgroup"):
        assert spaces[guest][kind] != spaces[donor][kind], kind
    shm = [Path(f"/proc/{engine.container(name).state.pid}/root/dev/shm/note") for name in (donor, guest, private)]
    eventually(shm[0].exists)
    assert shm[1].read_text() == "shared\n"
    assert not shm[2].exists()
    # Its first process is no number 1: the guest's end is its own, the donor's end is the end of both.
    engine.stop(guest, timeout=0)
    assert engine.container(donor).state.running
    engine.start(guest)
    engine.kill(donor)
    assert engine.wait(guest) == 137
    for name in (donor, private, guest):
        engine.remove(name, force=True)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"pid": "x"}, "--pid: invalid PID mode"),
        ({"pid": "container:"}, "--pid: invalid PID mode"),
        ({"uts": "private"}, "--uts: invalid UTS mode"),
        ({"ipc": "x"}, "invalid IPC mode: x"),
        ({"userns": "keep-id"}, "--userns: invalid USER mode"),
        ({"cgroupns": "x"}, "--cgroupns: invalid CGROUP mode"),
        ({"network": "bridge"}, "network bridge not found: networks come with a later release"),
        ({"pid": "container:nobody"}, "No such container: nobody"),
        ({"oom_score_adj": 1001}, "Invalid value 1001, range for oom score adj is [-1000, 1000]"),
        ({"tmpfs": {"x": ""}}, "invalid mount path: 'x' mount path must be absolute"),
        ({"network": "host", "sysctls": {"net.x": "1"}}, 'sysctl "net.x" not allowed in host network namespace'),
        ({"ipc": "host", "sysctls": {"kernel.sem": "1"}}, 'sysctl "kernel.sem" is not allowed in the hosts ipc'),
        ({"userns": "auto", "pid": "host"}, "cannot share the host PID namespace when user namespaces are enabled"),
        ({"userns": "auto", "network": "host"}, "cannot share the host's network namespace when user namespaces are"),
        ({"userns": "auto", "privileged": True}, "privileged mode is incompatible with user namespaces."),
    ],
)
def test_what_cannot_be_is_refused_when_it_is_created(engine: Engine, settings: dict[str, Any], why: str) -> None:
    from engine.errors import StrataError

    with pytest.raises(StrataError) as refused:
        engine.create("tiny", CreateOptions(command=("true",), settings=Settings(**settings)))
    assert str(refused.value).startswith(why)
    assert engine.containers(all=True) == []


# Mounts.


def test_a_read_only_root_lets_nothing_be_written_but_in_what_is_mounted(lab: Lab) -> None:
    settings = Settings(read_only=True, tmpfs={"/scratch": ""})
    config = lab.running(settings=settings, cwd="/made/here")
    script = f"""{NEVER}
        for path in /x /etc/x /tmp/x; do never touch $path; done
        touch /scratch/x /dev/x /dev/shm/x; echo x > /dev/null; echo 127.0.0.1 x >> /etc/hosts; pwd
    """
    entered, started = both(lab, config, script)
    for ended in (entered, started):
        assert ended.status == 0, ended
    assert (lab.upper(config) / "made/here").is_dir()
    assert (entered.stdout, started.stdout) == (b"/made/here\n", b"/\n")


def test_a_tmpfs_covers_a_directory_and_has_its_mode(lab: Lab) -> None:
    opt = lab.layer("opt") / "opt"
    opt.mkdir(mode=0o710)
    opt.chmod(0o710)
    (opt / "hidden").write_text("x")
    (lab.root / "layers/opt/diff/link").symlink_to("opt/../opt")
    tmpfs = {"/link": "size=64k", "/new/deep": "mode=701,exec", "/new": ""}
    config = lab.running(layers=("base", "opt"), settings=Settings(tmpfs=tmpfs))
    script = "stat -c '%a %n' /opt /new /new/deep; ls -A /opt; grep -E ' (/opt|/new|/new/deep) ' /proc/mounts"
    lines = collect(lab.monitor(config).exec(("sh", "-c", script))).stdout.decode().splitlines()
    assert lines[:3] == ["710 /opt", "1777 /new", "701 /new/deep"]
    options = {line.split()[1]: set(line.split()[3].split(",")) for line in lines[3:]}
    assert {"nosuid", "nodev", "noexec", "size=64k"} <= options["/opt"]
    assert "noexec" not in options["/new/deep"]
    assert set(os.listdir(lab.upper(config))) == {"new"}  # the mount point that the image lacked


def test_the_size_of_shared_memory(lab: Lab) -> None:
    fill = "! dd if=/dev/zero of=/dev/shm/x bs=4096 count=100 2>/dev/null; stat -c %s /dev/shm/x"
    script = f"stat -f -c '%b %S' /dev/shm; {fill}; rm /dev/shm/x"
    (blocks, each), (written,) = (line.split() for line in seen(lab, script, shm_size=1 << 16))
    assert int(blocks) * int(each) == 1 << 16
    assert int(written) == 1 << 16
    script = "grep -c /dev/shm /proc/mounts || true"
    assert seen(lab, script, ipc="none") == ["0"]


# Devices.


def test_a_device_can_be_used_as_far_as_its_rule_allows(lab: Lab) -> None:
    number = os.stat("/dev/loop-control").st_rdev
    settings = Settings(
        devices=(
            "/dev/loop-control:/dev/a/loop:r",
            "/dev/loop-control:/srv/loop:r",
            "/dev/zero:/dev/mine:rw",
        )
    )
    config = lab.running(settings=settings)
    script = f"""{NEVER}
        stat -c '%t:%T %a' /dev/a/loop /srv/loop; head -c 2 /dev/mine | wc -c
        : < /dev/a/loop; : < /srv/loop; chmod 777 /srv/loop
        never sh -c ': > /dev/a/loop'; never sh -c ': > /srv/loop'
    """
    before = os.stat("/dev/loop-control").st_mode
    for ended in both(lab, config, script):
        assert ended.status == 0, ended
        lines = ended.stdout.decode().splitlines()
        shown = f"{os.major(number):x}:{os.minor(number):x}"
        assert [line.split()[0] for line in lines[:2]] == [shown, shown]
        assert lines[2] == "2"
    assert os.stat("/dev/loop-control").st_mode == before
    assert stat.S_ISREG((lab.upper(config) / "srv/loop").lstat().st_mode)  # no device comes into a layer


def test_a_directory_of_devices_and_a_rule_for_nodes_made_inside(lab: Lab, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "deep").mkdir(parents=True)
    for path, minor in (("a", 5), ("deep/b", 7)):
        os.mknod(tree / path, stat.S_IFCHR | 0o640, os.makedev(1, minor))
    (tree / "text").write_text("no device")
    (tree / "link").symlink_to("a")
    own = os.stat("/dev/loop-control").st_rdev
    rule = f"c {os.major(own)}:{os.minor(own)} r"
    settings = Settings(devices=(f"{tree}:/dev/all:r",), device_cgroup_rules=(rule,))
    script = f"""{NEVER}
        cd /dev/all; find . | sort; stat -c %a deep/b; head -c 1 a | wc -c
        mknod /n c {os.major(own)} {os.minor(own)}; : < /n; never sh -c ': > /n'
    """
    lines = lab.output("sh", "-ec", script, settings=settings).splitlines()
    assert lines == [".", "./a", "./deep", "./deep/b", "640", "1"]


@pytest.mark.parametrize(
    ("device", "why"),
    [
        ("/dev/none", "no such file or directory"),
        ("/etc/passwd", "not a device node"),
    ],
)
def test_what_is_no_device_is_told_in_dockers_words(lab: Lab, device: str, why: str) -> None:
    with pytest.raises(StartFailed) as refused:
        lab.start(lab.create("true", settings=Settings(devices=(f"{device}:/dev/x:rwm",))))
    words = f'error gathering device information while adding custom device "{device}": {why}'
    assert (str(refused.value), refused.value.exit_status) == (words, 125)


# Groups, sysctls, limits.


def test_groups_are_added_for_the_first_process_and_for_exec(lab: Lab) -> None:
    etc = lab.layer("groups") / "etc"
    etc.mkdir()
    (etc / "passwd").write_text("root:x:0:0::/root:\nbob:x:1000:1001::/home/bob:\n")
    (etc / "group").write_text("root:x:0:\nwheel:x:10:bob\naudio:x:29:\n")
    settings = Settings(group_add=("audio", "4242", "wheel"))
    config = lab.running(layers=("base", "groups"), user="bob", settings=settings)
    for pid in (lab.pids(config)[0], lab.monitor(config).exec(("sleep", "1000")).pid):
        status = Path(f"/proc/{pid}/status").read_text()
        (groups,) = [line.split()[1:] for line in status.splitlines() if line.startswith("Groups:")]
        assert groups == ["10", "29", "1001", "4242"]
    with pytest.raises(StartFailed, match=r"^Unable to find group nosuch$"):
        lab.start(lab.create("true", settings=Settings(group_add=("nosuch",))))


def test_sysctls_are_set_in_its_own_namespaces_only(lab: Lab) -> None:
    names = ("net/ipv4/ip_default_ttl", "kernel/msgmax", "net/core/somaxconn")
    before = [Path("/proc/sys", name).read_text() for name in names]
    settings = Settings(sysctls={"net.ipv4.ip_default_ttl": "77", "kernel.msgmax": "4321", "net.core.somaxconn": "99"})
    config = lab.running(settings=settings)
    script = f"cd /proc/sys; cat {' '.join(names)}; {NEVER} never sh -c 'echo 1 > net/ipv4/ip_forward'"
    for ended in both(lab, config, script):
        assert (ended.status, ended.stdout) == (0, b"77\n4321\n99\n")
    assert [Path("/proc/sys", name).read_text() for name in names] == before
    for sysctls, why in (
        ({"net.ipv4.none": "1"}, "sysctl net.ipv4.none=1: No such file or directory"),
        ({"kernel.msgmax": "x"}, "sysctl kernel.msgmax=x: Invalid argument"),
    ):
        with pytest.raises(StartFailed) as refused:
            lab.start(lab.create("true", settings=Settings(sysctls=sysctls)))
        assert str(refused.value) == why


def test_limits_and_score_hold_for_the_first_process_and_for_exec(lab: Lab) -> None:
    settings = Settings(ulimits=("nofile=64:128", "core=0:0", "nproc=500:1000"), oom_score_adj=321)
    config = lab.running(settings=settings)
    for pid in (lab.pids(config)[0], lab.monitor(config).exec(("sleep", "1000")).pid):
        lines = Path(f"/proc/{pid}/limits").read_text().splitlines()
        found = {line[:26].strip(): tuple(line[26:].split()[:2]) for line in lines}
        assert found["Max open files"] == ("64", "128")
        assert found["Max core file size"] == ("0", "0")
        assert found["Max processes"] == ("500", "1000")
        assert Path(f"/proc/{pid}/oom_score_adj").read_text() == "321\n"


def test_what_this_process_may_not_raise_is_told(lab: Lab) -> None:
    """Where it may, it is done."""
    import resource

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    config = lab.create("sh", "-c", "ulimit -Hn", settings=Settings(ulimits=(f"nofile=64:{hard + 1}",)))
    score = lab.create("cat", "/proc/self/oom_score_adj", settings=Settings(oom_score_adj=-999))
    status = Path("/proc/self/status").read_text()
    (effective,) = [int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapEff")]
    if effective >> 24 & 1:  # CAP_SYS_RESOURCE
        assert lab.run(config).stdout == f"{hard + 1}\n".encode()
        assert lab.run(score).stdout == b"-999\n"
        return
    with pytest.raises(StartFailed, match=rf"^ulimit nofile: {hard + 1} is above this machine's hard limit of {hard}"):
        lab.start(config)
    with pytest.raises(StartFailed, match=r"^oom_score_adj -999: permission denied"):
        lab.start(score)


def test_an_ordinary_users_container_is_given_devices_too() -> None:
    """In a user namespace nobody makes a node: the host's own is bound, inside /dev and elsewhere."""
    with OrdinaryUser() as user:
        archive = user.home / "tiny.tar"
        archive.write_bytes(docker_archive(tiny_spec("tiny")))
        archive.chmod(0o644)
        user.strata("load", "-i", str(archive))
        flags = ("--read-only", "--tmpfs=/run", "--device=/dev/zero:/srv/zero", "--device=/dev/zero:/dev/deep/zero")
        script = "head -c 2 /srv/zero | wc -c; head -c 3 /dev/deep/zero | wc -c; touch /run/x; echo x > /dev/null"
        assert user.strata("run", "--rm", *flags, "tiny", "sh", "-ec", script).split() == ["2", "3"]
