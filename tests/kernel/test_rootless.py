"""An ordinary user has the whole of Strata, with numbers in /etc/subuid and without: the story that root has.

The user is made for these tests; his commands are separate programs, as he would run them.
"""

from __future__ import annotations

import io
import json
import os
import pty
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.cgroups import detect
from engine.kernel.proc import is_same
from tests.support.archives import CharDevice, Dir, File, HardLink, ImageSpec, Opaque, Whiteout, docker_archive
from tests.support.command import Strata
from tests.support.needs import unmet
from tests.support.ordinary import BECOME, OrdinaryUser
from tests.support.rootfs import PATH, tiny_layer
from tests.support.waiting import until

WEB = 33  # www-data
UPPER = [
    File("owned", b"by the web\n", uid=WEB, gid=WEB),
    Dir("srv", uid=WEB, gid=WEB),
    File("srv/new", b"new\n"),
    Opaque("srv"),
    Whiteout("gone"),
    CharDevice("dev-null", 1, 3),
    HardLink("dev-null-too", "dev-null"),
]
LOWER = [File("gone", b""), Dir("srv"), File("srv/old", b"old\n"), Dir("merged"), File("merged/below", b"below\n")]
SCRIPT = "trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 0.05; done"

WRITE_THROUGH = """if True:
    import errno, os, sys
    from engine.rootless import enter
    enter(os.path.expanduser("~/.local/share/strata"))
    from engine.runtime import seal
    for make in (seal._over, seal._copied):
        program = make(os.path.realpath(sys.executable))
        try:
            os.write(os.open(f"/proc/self/fd/{program}", os.O_RDWR), b"x")
        except OSError as error:
            print(errno.errorcode[error.errno])
"""
"""What root inside tries with both forms of a sealed interpreter that is his."""


@pytest.fixture(scope="module", params=[True, False], ids=["subordinate", "alone"])
def user(request: pytest.FixtureRequest) -> Iterator[OrdinaryUser]:
    """A user with the image `tiny` in his store."""
    with OrdinaryUser(subordinate=request.param) as user:
        archive = user.home / "tiny.tar"
        spec = ImageSpec([tiny_layer(), LOWER, UPPER], ["tiny"], {"Env": [PATH], "Cmd": ["sh"]})
        archive.write_bytes(docker_archive(spec))
        archive.chmod(0o644)
        first = user.run(*user.argv("load", "-i", "tiny.tar"))
        assert (first.returncode, first.stdout) == (0, "Loaded image: tiny:latest\n"), first
        if request.param:
            assert first.stderr == ""
        else:  # said once, when the namespace is made
            assert "only your own user and group have a number in containers" in first.stderr
            assert f"usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {user.name}" in first.stderr
        yield user


def test_a_container_is_started_anew_checked_and_told_of(user: OrdinaryUser) -> None:
    strata = user.strata
    options = ("--restart", "on-failure:1", "--health-cmd", "exit 1", "--health-interval", "20ms")
    strata("run", "-d", "--name", "life", *options, "--health-retries", "1", "tiny", "sh", "-c", "sleep 1; exit 3")
    until(lambda: strata("ps", "-a", "--format", "{{.Status}}", "--filter", "name=life").startswith("Exited (3)"), 60)
    assert strata("inspect", "-f", "{{.RestartCount}} {{.State.Health.Status}}", "life") == "1 unhealthy"
    filters = ("--filter", "container=life", "--filter", "event=start", "--filter", "event=die")
    told = strata("events", "--since", "0", "--until", "0s", *filters, "--format", "{{.Action}}")
    assert told.split() == ["start", "die", "start", "die"]
    strata("rm", "life")


def test_the_story(user: OrdinaryUser) -> None:
    strata, several = user.strata, bool(user.ranges[0])
    assert user.root.is_dir() and stat.S_IMODE(user.root.stat().st_mode) == 0o700

    # run: root inside is the user outside, and what others own is theirs, or the user's where there is one number.
    assert strata("run", "--rm", "tiny", "sh", "-c", "id -u; id -g; cat /proc/self/uid_map").split()[:5] == [
        "0", "0", "0", str(user.uid), "1",
    ]  # fmt: skip
    owner = str(WEB if several else 0)
    assert strata("run", "--rm", "tiny", "stat", "-c", "%u:%g", "/owned") == f"{owner}:{owner}"
    top = strata("inspect", "-f", "{{.GraphDriver.Data.UpperDir}}", "tiny")
    assert Path(top, "owned").stat().st_uid == user.outside(WEB)
    if several:
        assert strata("run", "--rm", "-u", "nobody", "tiny", "id", "-u") == "65534"
    else:
        said = user.refused("run", "--rm", "-u", "nobody", "tiny", "id", status=125)
        assert "user 65534, or one of its groups, cannot be had here: 1 numbers are mapped" in said

    # Layers mean inside what they mean for root: whiteouts, opaque directories; devices are left out.
    seen = "ls / /srv /merged; test -e /gone || echo gone"
    listed = strata("run", "--rm", "tiny", "sh", "-c", seen).split()
    assert {"new", "below", "owned"} <= set(listed) and listed[-1] == "gone"
    assert not {"old", "dev-null", "dev-null-too"} & set(listed)

    # A container in the background: exec, what it writes, diff.
    web = strata("run", "-d", "--name", "web", "tiny", "sh", "-c", SCRIPT)
    until(lambda: strata("logs", "web") == "ready")
    assert strata("ps", "--format", "{{.Names}} {{.Status}}").startswith("web Up ")
    assert strata("exec", "web", "sh", "-c", "echo hello > /f; rm /merged/below; rm -r /srv; mkdir /srv; id -u") == "0"
    if several:
        strata("exec", "web", "sh", "-c", "echo > /theirs; chown 33:33 /theirs")
        assert (user.root / "layers" / web / "diff/theirs").stat().st_uid == user.outside(WEB)
        strata("exec", "web", "rm", "/theirs")
    assert (user.root / "layers" / web / "diff/f").stat().st_uid == user.uid
    assert strata("diff", "web").splitlines() == ["A /f", "C /merged", "D /merged/below", "C /srv", "D /srv/new"]

    # No group was delegated: pause is refused, and told with what to do; commit says that it goes without.
    said = user.refused("pause", "web")
    assert "the container has no control group of its own" in said and "systemd-run --user --scope" in said
    done = user.run(*user.argv("commit", "-m", "a moment", "web", "snap"))
    assert done.returncode == 0 and "not paused while its layer is packed" in done.stderr
    assert strata("history", "snap").splitlines()[1].split()[-2:] == ["a", "moment"]
    assert strata("run", "--rm", "snap", "sh", "-c", "cat /f; ls /srv /merged").split() == [
        "hello",
        "/merged:",
        "/srv:",
    ]

    # save and export: the image as it came, and what is seen.
    strata("save", "-o", "out.tar", "tiny")
    assert (user.home / "out.tar").stat().st_uid == user.uid
    with tarfile.open(user.home / "out.tar") as saved, tarfile.open(user.home / "tiny.tar") as came:
        had = {_digest(file) for file in _layers(came)}
        assert had <= {_digest(file) for file in _layers(saved)}
    flat = user.spawn(*user.argv("export", "web"), stdin=subprocess.DEVNULL)
    out, _ = flat.communicate(timeout=110)
    with tarfile.open(fileobj=io.BytesIO(out)) as tree:
        assert tree.getmember("owned").uid == WEB and "f" in tree.getnames() and "srv/new" not in tree.getnames()

    # stop, kill, rm, rmi; the store is whole, and no process is left but the one that keeps the namespace.
    assert strata("stop", "web") == "web"
    assert strata("logs", "web").splitlines() == ["ready", "bye"] and strata("wait", "web") == "7"
    strata("start", "web")
    assert strata("kill", "web") == "web" and strata("wait", "web") == "137"
    assert strata("rm", "web") == "web" and not (user.root / "layers" / web).exists()
    strata("rmi", "snap")
    assert strata("system", "check", "--deep") == "The store is whole."
    until(lambda: user.pids() == [_keeper(user)])


def test_the_explorer_opens(user: OrdinaryUser) -> None:
    master, slave = pty.openpty()
    user.env["TERM"] = "xterm-256color"
    os.set_blocking(master, False)
    process = user.spawn(*user.argv(), stdin=slave, output=slave)
    os.close(slave)
    shown = bytearray()

    def looked_at() -> bool:
        try:
            shown.extend(os.read(master, 1 << 16))
        except (BlockingIOError, OSError):
            pass
        return b"tiny" in shown or process.poll() is not None

    try:
        until(looked_at, 60)
        assert process.poll() is None, shown.decode(errors="replace")[-2000:]
    finally:
        process.kill()
        process.wait()
        os.close(master)
    until(lambda: user.pids() == [_keeper(user)])


def test_one_number_more_than_there_are_is_told(user: OrdinaryUser) -> None:
    far = ImageSpec([[*LOWER, File("far", b"", uid=3_000_000, gid=3_000_000)]], ["far"])
    (user.home / "far.tar").write_bytes(docker_archive(far))
    (user.home / "far.tar").chmod(0o644)
    if user.ranges[0]:
        said = user.refused("load", "-i", "far.tar")
        assert "unpack far: Invalid argument (it belongs to 3000000:3000000, and 65537 numbers are mapped" in said
        assert "far" not in user.strata("images")
    else:
        user.strata("load", "-i", "far.tar")
        user.strata("rmi", "far")
    assert user.strata("system", "check") == "The store is whole."


def test_the_store_of_root_is_closed_to_others(user: OrdinaryUser) -> None:
    with Strata() as root:
        root("images")
        before = sorted(os.listdir(root.root))
        for words in (["images"], ["load", "-i", "tiny.tar"], ["run", "tiny"]):
            done = user.run(*user.argv("--root", root.root, *words))
            assert done.returncode and "Permission denied" in done.stderr, done
        assert sorted(os.listdir(root.root)) == before
        os.chmod(root.root, 0o777)  # even a careless one lets nobody into what lies in it
        done = user.run(*user.argv("--root", root.root, "images"))
        assert done.returncode and "Permission denied" in done.stderr, done


def test_every_command_is_in_the_namespace_of_the_same_keeper(user: OrdinaryUser) -> None:
    user.strata("run", "-d", "--name", "long", "tiny", "sleep", "1000")
    pid = int(user.strata("inspect", "-f", "{{.State.Pid}}", "long"))
    keeper, own = _keeper(user), os.stat(f"/proc/{pid}/ns/user").st_ino
    assert os.stat(f"/proc/{keeper}/ns/user").st_ino == own
    holds = {os.readlink(f"/proc/{keeper}/fd/{number}") for number in os.listdir(f"/proc/{keeper}/fd")}
    assert holds == {"/dev/null"}, "a keeper must hold nobody's terminal or pipe open"

    # A dead keeper is replaced, in the namespace that containers run in.
    os.kill(keeper, signal.SIGKILL)
    until(lambda: not Path(f"/proc/{keeper}").exists() or "State:\tZ" in Path(f"/proc/{keeper}/status").read_text())
    assert user.strata("exec", "long", "echo", "there") == "there"
    other = _keeper(user)
    assert other != keeper and os.stat(f"/proc/{other}/ns/user").st_ino == own
    user.strata("kill", "long")
    user.strata("rm", "long")

    # Without containers a new namespace is made, once however many ask for it at the same moment.
    os.kill(other, signal.SIGKILL)
    until(lambda: user.pids() == [])
    asking = [user.spawn(*user.argv("images"), stdin=subprocess.DEVNULL) for _ in range(4)]
    for one in asking:
        out, err = one.communicate(timeout=110)
        assert one.returncode == 0 and b"tiny" in out, err
    assert user.pids() == [_keeper(user)]


def test_what_a_container_has_of_the_host_is_not_its_own(user: OrdinaryUser) -> None:
    """The host's devices are bound into it: its root may use them, and change nothing about them."""
    before = os.stat("/dev/null")
    tried = "chmod 600 /dev/null; chown 5 /dev/null; mknod /n c 1 3; mknod /sda b 8 0"
    said = user.strata("run", "--rm", "tiny", "sh", "-c", f"{tried}; test -e /n || test -e /sda || echo none")
    assert said == "none"
    after = os.stat("/dev/null")
    assert (before.st_mode, before.st_uid, before.st_rdev) == (after.st_mode, after.st_uid, after.st_rdev)
    status = user.strata("run", "--rm", "tiny", "cat", "/proc/self/status")
    assert "CapEff:\t00000000a80425fb" in status and "Seccomp:\t2" in status


def test_a_delegated_group_holds_its_containers(user: OrdinaryUser) -> None:
    """As a service manager delegates one: the user's own, and his processes begin below it."""
    tree = detect().unified
    if not tree:
        unmet("no cgroup v2 tree is mounted")
    delegated = Path(tree, f"strata-test-{os.urandom(4).hex()}")
    session = delegated / "session"
    session.mkdir(parents=True)
    try:
        for directory in (delegated, session):
            for path in (
                directory,
                *(directory / f"cgroup.{name}" for name in ("procs", "threads", "subtree_control")),
            ):
                os.chown(path, user.uid, user.gid)
        user.strata("run", "-d", "--name", "held", "tiny", "sh", "-c", SCRIPT, group=str(session))
        pid = int(user.strata("inspect", "-f", "{{.State.Pid}}", "held"))
        group = Path(tree + Path(f"/proc/{pid}/cgroup").read_text().partition("0::")[2].strip())
        assert group.parent.parent == delegated
        assert user.strata("exec", "held", "cat", "/proc/self/cgroup").endswith("0::/"), "it is its own groups' root"

        # With a group to end it by, a container may have the machine's pid namespace, and sees the keeper there.
        script = f"cat /proc/{_keeper(user)}/cmdline; touch /proc/sys/kernel/hostname || echo read-only"
        said = user.strata("run", "--rm", "--pid=host", "tiny", "sh", "-c", script, group=str(session))
        assert said.startswith("sleep\0") and said.endswith("read-only")

        # Whoever asks, from wherever: these come from no delegated group.
        user.strata("pause", "held")
        assert (group / "cgroup.freeze").read_text() == "1\n"
        assert user.strata("ps", "--format", "{{.Status}}").endswith("(Paused)")
        user.strata("unpause", "held")
        done = user.run(*user.argv("commit", "held", "moment"))
        assert (done.returncode, done.stderr) == (0, "")
        user.strata("rmi", "moment")
        user.strata("kill", "held")
        user.strata("rm", "held")
        assert [path for path in delegated.iterdir() if path.is_dir()] == [session]
    finally:
        user.run(*user.argv("rm", "-f", "held"))
        for directory in (session, *delegated.glob("strata*/*"), *delegated.glob("strata*"), delegated):
            if directory.exists():
                until(lambda: _removed(directory))  # noqa: B023 (called before the next one)


def test_what_the_machine_shares_with_a_container(user: OrdinaryUser) -> None:
    net = ("--network=host", "--ipc=host", "--uts=host")
    script = "ls /sys/class/net; hostname; touch /sys/class/net/x /sys/fs/cgroup/x || echo read-only"
    said = user.strata("run", "--rm", *net, "tiny", "sh", "-c", script)
    assert set(os.listdir("/sys/class/net")) <= set(said.split())
    assert os.uname().nodename in said and said.endswith("read-only")
    # The machine's cgroups come along with its sysfs, even a privileged container's to look at only.
    table = user.strata("run", "--rm", "--privileged", "--network=host", "tiny", "cat", "/proc/self/mounts")
    groups = [line.split()[3].split(",")[0] for line in table.splitlines() if line.split()[2].startswith("cgroup")]
    assert groups and set(groups) == {"ro"}, table
    # Limits without a group to hold them: docker's words, and the container runs.
    done = user.run(*user.argv("run", "--rm", "-m", "50m", "tiny", "echo", "runs"))
    assert (done.returncode, done.stdout) == (0, "runs\n"), done
    assert done.stderr.startswith("WARNING: Your kernel does not support memory limit capabilities")
    told = user.strata("info", "--format", "{{.CgroupDriver}} {{.SecurityOptions}}")
    assert told.startswith("none ") and "name=rootless" in told


def test_an_interpreter_of_the_users_own_is_out_of_its_containers_reach(user: OrdinaryUser) -> None:
    """CVE-2019-5736 where it would hurt: the container's root is the owner of the file that its monitor runs from."""
    own, before = user.home / "python3", user.python
    shutil.copyfile(user.python, own)
    own.chmod(0o755)
    os.chown(own, user.uid, user.gid)
    was = own.read_bytes()
    user.python = str(own)
    try:
        trap = "printf '#!/proc/self/exe\\n' > /trap && chmod 755 /trap && echo made && exec sleep 1000"
        user.strata("run", "-d", "--name", "trap", "tiny", "sh", "-c", trap)
        until(lambda: user.strata("logs", "trap") == "made")
        monitor = json.loads(next(user.root.glob("containers/*/state.json")).read_text())["monitor_pid"]
        assert os.stat(f"/proc/{monitor}/exe").st_dev != own.stat().st_dev, "not through its file system: sealed"
        assert user.run(*user.argv("exec", "trap", "/trap")).returncode in (126, 127)
        sealed = user.run(user.python, "-c", WRITE_THROUGH)
        assert sealed.stdout.split() == ["EROFS", "EPERM"], sealed
        user.strata("rm", "-f", "trap")
    finally:
        user.python = before
    assert own.read_bytes() == was


@pytest.mark.parametrize("user", [True], ids=["subordinate"], indirect=True)
def test_what_a_killed_monitor_left_is_ended_without_a_group_too(user: OrdinaryUser) -> None:
    """An exec of a set-user-id program clears the parent-death signal (prctl(2)); nothing but its pid tells of it."""
    suid = "cp $(readlink -f /bin/sleep) /sleep && chmod 4755 /sleep"
    user.strata("run", "--name", "made", "tiny", "sh", "-c", suid)
    user.strata("commit", "made", "suid")
    user.strata("run", "-d", "--name", "left", "-u", "nobody", "suid", "sh", "-c", "exec /sleep 1000")
    for word in ("start", "rm"):
        state = json.loads(
            (user.root / "containers" / user.strata("ps", "-q", "--no-trunc") / "state.json").read_text()
        )
        pid = state["pid"]
        until(lambda: b"/sleep" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"))  # noqa: B023
        os.kill(state["monitor_pid"], signal.SIGKILL)
        until(lambda: user.strata("ps", "-q") == "")
        assert is_same(pid, state["pid_start"]), "it died: the kernel has changed, and this test proves nothing"
        user.strata(word, "left")
        assert not is_same(pid, state["pid_start"])
    user.strata("rm", "made")
    user.strata("rmi", "suid")
    until(lambda: user.pids() == [_keeper(user)])


@pytest.mark.parametrize("user", [True], ids=["subordinate"], indirect=True)
def test_without_user_namespaces_it_says_what_forbids_them(user: OrdinaryUser) -> None:
    # A namespace whose limit is its own, so that nobody else meets it. After the map comes another exec, as its root.
    wait = ["unshare", "--user", "sh", "-c", 'read word && exec "$@"', "sh"]
    none = ["sh", "-c", 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"', "sh"]
    become = [sys.executable, "-I", "-S", "-c", BECOME, str(user.uid), str(user.gid), ""]
    argv = [*wait, *none, *become, *user.argv("--root", str(user.home / "other"), "images")]
    with subprocess.Popen(
        argv, env=user.env, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        until(lambda: os.stat(f"/proc/{process.pid}/ns/user").st_ino != os.stat("/proc/self/ns/user").st_ino)
        for kind in ("uid", "gid"):
            Path(f"/proc/{process.pid}/{kind}_map").write_text("0 0 65536")
        _, said = process.communicate("go\n", timeout=110)
    assert process.returncode == 1, said
    assert f"this machine lets {user.name} have no user namespace (No space left on device)" in said
    assert "/proc/sys/user/max_user_namespaces" in said


@pytest.mark.parametrize("user", [True], ids=["subordinate"], indirect=True)
def test_where_proc_is_covered_it_says_so(user: OrdinaryUser) -> None:
    """As in a container of another engine: a user namespace may mount no procfs that shows what is hidden there."""
    covered = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs none /proc/tty && exec "$@"', "sh"]
    become = [sys.executable, "-I", "-S", "-c", BECOME, str(user.uid), str(user.gid), ""]
    argv = [*covered, *become, *user.argv("run", "--rm", "tiny", "true")]
    done = subprocess.run(argv, env=user.env, capture_output=True, text=True, timeout=110)
    assert done.returncode == 125, done
    assert "in a user namespace a new one may be mounted only while nothing covers a part" in done.stderr
    assert user.strata("ps", "-aq") == ""


def test_changed_numbers_are_taken_when_nothing_runs() -> None:
    with OrdinaryUser(subordinate=False) as user:
        assert "only your own user and group" in user.run(*user.argv("images")).stderr
        assert user.run(*user.argv("images")).stderr == "", "said once"
        alone = _keeper(user)
        user.give_numbers(2_000_000)
        assert user.run(*user.argv("images")).stderr == ""
        assert _numbers(user) == [("0", str(user.uid), "1"), ("1", "2000000", "65536")]
        assert _keeper(user) != alone and user.pids() == [_keeper(user)]

        # While something is in the namespace its numbers stay, and that is said.
        waiting = user.spawn(*user.argv("load"), stdin=subprocess.PIPE)
        until(lambda: len(user.pids()) == 2)
        inside = os.stat(f"/proc/{_keeper(user)}/ns/user").st_ino
        until(lambda: os.stat(f"/proc/{waiting.pid}/ns/user").st_ino == inside)
        user.give_numbers(3_000_000)
        assert "have changed, but containers run" in user.run(*user.argv("images")).stderr
        assert len(_numbers(user)) == 2
        waiting.communicate(timeout=110)
        assert user.run(*user.argv("images")).stderr == ""
        assert _numbers(user)[2:] == [("65537", "3000000", "65536")]


def test_helpers_that_refuse_are_named_and_one_number_does() -> None:
    with OrdinaryUser() as user:
        directory = user.home / "bin"
        directory.mkdir()
        for helper in ("newuidmap", "newgidmap"):
            (directory / helper).write_text("#!/bin/sh\necho no luck >&2\nexit 1\n")
            (directory / helper).chmod(0o755)
        user.env["PATH"] = f"{directory}:{user.env['PATH']}"
        done = user.run(*user.argv("images"))
        assert done.returncode == 0 and "newuidmap refused: no luck" in done.stderr
        assert user.pids() == [_keeper(user)], "nothing is left of the first try"


def _removed(group: Path) -> bool:
    """Remove a group, moving out what is in it; whether that is done."""
    for pid in (group / "cgroup.procs").read_text().split():
        try:
            (group.parent / "cgroup.procs").write_text(pid)
        except ProcessLookupError:
            continue
    try:
        group.rmdir()
    except OSError:
        return False
    return True


def _numbers(user: OrdinaryUser) -> list[tuple[str, ...]]:
    """The map of his namespace's users."""
    return [tuple(row.split()) for row in Path(f"/proc/{_keeper(user)}/uid_map").read_text().splitlines()]


def _keeper(user: OrdinaryUser) -> int:
    pid, start = map(int, (user.root / "keeper").read_text().split()[:2])
    assert is_same(pid, start)
    return pid


def _layers(archive: tarfile.TarFile) -> Iterator[bytes]:
    """Every member that could be a layer."""
    for member in archive.getmembers():
        if member.isfile() and not member.name.endswith(".json"):
            file = archive.extractfile(member)
            assert file is not None
            yield file.read()


def _digest(data: bytes) -> str:
    import hashlib

    return hashlib.sha256(data).hexdigest()


def test_cp_both_ways_running_and_stopped(user: OrdinaryUser) -> None:
    (user.home / "mine").mkdir(exist_ok=True)
    (user.home / "mine/file").write_text("mine")
    os.chown(user.home / "mine", user.uid, user.gid)
    user.strata("create", "--name", "copies", "tiny", "sleep", "1000")
    for state in ("stopped", "running"):
        if state == "running":
            user.strata("start", "copies")
        user.strata("cp", "mine", f"copies:/{state}")
        user.strata("cp", f"copies:/{state}", f"back-{state}")
        back = user.home / f"back-{state}" / "file"
        assert back.read_text() == "mine"
        assert back.stat().st_uid == user.uid
    assert user.strata("exec", "copies", "stat", "-c", "%u:%g", "/stopped/file", "/running/file") == "0:0\n0:0"
    user.strata("rm", "-f", "copies")
    assert user.strata("__complete", "run", "ti").startswith("tiny:latest")
