"""Images and processes that attack the way in: SECURITY.md's rows on entering and joining."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.errors import StartFailed
from engine.runtime import seal
from tests.support.mapping import IDS, needs_mapping
from tests.support.probes import SCRATCH, Call, verdict
from tests.support.runtime import Config, Ended, Lab, collect, eventually, lab

__all__ = ["lab"]

MAPPED = pytest.mark.parametrize("ids", [(), IDS], ids=["hosts-ids", "own-ids"])
"""With the host's user namespace, and with one of its own (--userns=auto)."""

PROGRAM = Path(os.path.realpath(seal.interpreter()))


def mapped(ids: tuple[int, ...]) -> tuple[int, ...]:
    """The same, where this machine can do it."""
    if ids:
        needs_mapping()
    return ids


def fingerprint() -> tuple[int, int, str]:
    found = PROGRAM.stat()
    return found.st_mode, found.st_mtime_ns, hashlib.sha256(PROGRAM.read_bytes()).hexdigest()


def executable(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


# The host's binary (CVE-2019-5736) and the joining process (2016-9962).


def test_an_entrypoint_that_is_the_entering_process_itself_changes_nothing(lab: Lab) -> None:
    before = fingerprint()
    executable(lab.layer("trap") / "trap", "#!/proc/self/exe\n")
    with pytest.raises(StartFailed):
        lab.start(lab.create("/trap", layers=("base", "trap")))
    config = lab.running(layers=("base", "trap"))
    with pytest.raises(StartFailed):
        lab.monitor(config).exec(("/trap",))
    assert fingerprint() == before


def write_through(program: int) -> None:
    descriptor = os.open(f"/proc/self/fd/{program}", os.O_RDWR)
    try:
        os.write(descriptor, b"x")
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("make", [seal._over, seal._copied])
def test_nobody_can_write_through_the_sealed_interpreter(make: Callable[[str], int]) -> None:
    before = fingerprint()
    program = make(str(PROGRAM))
    code = """if True:
        import os
        for flags in (os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_TRUNC):
            try:
                os.open("/proc/self/exe", flags)
            except OSError:
                continue
            raise SystemExit(f"opened with {flags}")
    """
    argv = [str(PROGRAM), "-I", "-S", "-c", code]
    pid = os.posix_spawn(f"/proc/self/fd/{program}", argv, {})
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    with pytest.raises(OSError, match=r"Read-only file system|Operation not permitted"):
        write_through(program)
    os.close(program)
    assert fingerprint() == before


@MAPPED
def test_a_process_that_joins_cannot_be_looked_into_or_written_to(lab: Lab, ids: tuple[int, ...]) -> None:
    """A hostile process inside tries /proc/<pid>/exe, fd, mem and environ of execs that are on their way for long.

    They look for their command in 20,000 directories, with no more rights than the container's own processes have.
    """
    before = fingerprint()
    script = """
        echo ready
        while [ ! -e /stop ]; do
            for p in /proc/[0-9]*; do
                case $(cat $p/cmdline | tr '\\0' ' ') in
                    *engine.runtime*)
                        readlink $p/exe; readlink $p/fd/3; readlink $p/cwd; cat $p/environ; cat $p/maps
                        ( echo x > $p/exe ) && echo wrote
                        ( echo x > $p/mem ) && echo wrote
                        echo seen >> /seen ;;
                esac
            done
        done 2>/dev/null >>/loot
    """
    config = lab.create("sh", "-c", script, ids=mapped(ids))
    session = lab.session(config)
    assert session.read() == ("stdout", b"ready\n")
    monitor = lab.monitor(config)
    seen = lab.upper(config) / "seen"
    eventually((lab.upper(config) / "loot").exists)
    far = "PATH=" + "/none:" * 20_000 + "/bin:/usr/bin"
    for _ in range(100):
        assert collect(monitor.exec(("true",), env=(far,))).status == 0
        if seen.exists() and len(seen.read_text().split()) >= 20:
            break
    assert seen.exists(), "no race was ever near: this test proves nothing"
    assert collect(monitor.exec(("touch", "/stop"))).status == 0
    session.wait()
    loot = (lab.upper(config) / "loot").read_text()  # of those that became the program between two looks
    for word in ("python", "wrote", "socket:", str(lab.root), "/cgroup"):
        assert word not in loot
    assert fingerprint() == before


# Descriptors and directories of the host (CVE-2024-21626).


@MAPPED
def test_a_process_gets_no_descriptor_but_its_streams(lab: Lab, ids: tuple[int, ...]) -> None:
    config = lab.running(ids=mapped(ids))
    with os.scandir(f"/proc/{lab.pids(config)[0]}/fd") as entries:
        assert {entry.name for entry in entries} == {"0", "1", "2"}
    joined = lab.monitor(config).exec(("sleep", "1000"))
    with os.scandir(f"/proc/{joined.pid}/fd") as entries:
        assert {entry.name for entry in entries} == {"0", "1", "2"}


@MAPPED
def test_a_descriptor_as_working_directory_leads_nowhere(lab: Lab, ids: tuple[int, ...]) -> None:
    config = lab.running(ids=mapped(ids))
    monitor = lab.monitor(config)

    def started(cwd: str) -> Ended:
        return lab.run(lab.create("sh", "-c", "pwd -P", cwd=cwd, ids=ids))

    def joined(cwd: str) -> Ended:
        return collect(monitor.exec(("sh", "-c", "pwd -P"), cwd=cwd))

    assert started("/etc").stdout == joined("/etc").stdout == b"/etc\n"
    refused = 0
    for number in range(40):
        for way_in in (started, joined):
            try:
                ended = way_in(f"/proc/self/fd/{number}")
            except StartFailed as error:
                refused += "outside of the container" in str(error)
                continue
            # It was a directory then, but one of the container: a file system of its own, or its root.
            where = ended.stdout.decode().strip()
            assert where.startswith(("/proc", "/dev", "/sys")) or where == "/", (number, where)
    assert refused, "no descriptor of the host was there to be tried: this test proves nothing"


# Streams and devices.


def test_changing_the_null_device_inside_leaves_the_hosts_alone(lab: Lab) -> None:
    before = os.stat("/dev/null")
    try:
        config = lab.running("sh", "-c", "chmod 0 /proc/self/fd/0; chown 5:5 /proc/self/fd/0; sleep 1000")
        script = "chmod 0 /proc/self/fd/1; chown 7:7 /proc/self/fd/1"
        session = lab.monitor(config).exec(("sh", "-c", script), detach=True)
        assert session.pid
        eventually(lambda: lab.monitor(config).execs() == [])
        after = os.stat("/dev/null")
        assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    finally:  # a failure must not cost the machine its null device
        os.chown("/dev/null", before.st_uid, before.st_gid)
        os.chmod("/dev/null", before.st_mode & 0o7777)


HOSTS_DEVICES = ("loop-control", "kmsg", "tty0", "autofs", "hwrng", "kvm", "loop0", "sda", "vda")


def test_a_node_of_a_host_device_can_be_made_but_not_opened(lab: Lab) -> None:
    config = lab.running()
    tried = []
    for name in HOSTS_DEVICES:
        path = f"/dev/{name}"
        try:
            os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
        except OSError:
            continue  # not on this machine, or even its root may not open it
        device = os.stat(path)
        kind = "b" if stat.S_ISBLK(device.st_mode) else "c"
        script = f"mknod /{name} {kind} {os.major(device.st_rdev)} {os.minor(device.st_rdev)} && : < /{name}"
        for ended in (
            lab.run(lab.create("sh", "-c", script)),
            collect(lab.monitor(config).exec(("sh", "-c", script))),
        ):
            assert ended.status != 0
            assert b"peration not permitted" in ended.stderr, (name, ended)
        tried.append(name)
    assert tried, "no device to try: this test proves nothing"


# Files of the image that are something else.


@pytest.mark.parametrize("name", ["passwd", "group"])
def test_a_fifo_or_gigabytes_as_user_files_are_refused_at_once(lab: Lab, name: str) -> None:
    etc = lab.layer("fifo") / "etc"
    etc.mkdir()
    os.mkfifo(etc / name)
    with pytest.raises(StartFailed, match=f"/etc/{name} in the container is no regular file"):
        lab.start(lab.create("true", layers=("base", "fifo")))
    etc = lab.layer("huge") / "etc"
    etc.mkdir()
    with (etc / name).open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(StartFailed, match=f"/etc/{name} in the container is larger than"):
        lab.start(lab.create("true", layers=("base", "huge")))


def test_a_device_as_user_file_is_refused(lab: Lab) -> None:
    etc = lab.layer("link") / "etc"
    etc.mkdir()
    (etc / "passwd").symlink_to("/dev/zero")
    with pytest.raises(StartFailed, match="no regular file"):
        lab.start(lab.create("true", layers=("base", "link")))


@MAPPED
@pytest.mark.parametrize("name", ["proc", "sys", "dev"])
def test_a_symlink_where_a_filesystem_belongs_is_refused(
    lab: Lab, name: str, ids: tuple[int, ...], tmp_path: Path
) -> None:
    base = lab.root / "layers/base/diff"
    (base / name).rmdir()
    (base / name).symlink_to(tmp_path)
    (base / tmp_path.relative_to("/")).mkdir(parents=True)
    with pytest.raises(StartFailed, match=f"/{name} in the image must be an ordinary directory"):
        lab.start(lab.create("true", ids=mapped(ids)))
    assert list(tmp_path.iterdir()) == []


def test_links_out_of_the_root_lead_back_into_it(lab: Lab, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("the host's\n")
    etc = lab.layer("links") / "etc"
    etc.mkdir()
    (etc / "hosts").symlink_to(victim)
    (etc / "resolv.conf").symlink_to("../../../../../.." + str(victim) + "-2")
    script = f"cat {victim} {victim}-2; echo changed > /etc/hosts"
    ended = lab.run(lab.create("sh", "-c", script, layers=("base", "links")))
    assert ended.stdout == b"the container's own hosts\nthe container's own resolv.conf\n"
    assert victim.read_text() == "the host's\n"
    assert [path.name for path in tmp_path.iterdir()] == ["victim"]


def test_a_magic_link_as_mount_target_is_not_followed(lab: Lab) -> None:
    etc = lab.layer("magic") / "etc"
    etc.mkdir()
    (etc / "hosts").symlink_to("/proc/self/root/etc/motd")
    with pytest.raises(StartFailed, match="Too many levels of symbolic links"):
        lab.start(lab.create("true", layers=("base", "magic")))


def test_links_that_lead_to_each_other_end(lab: Lab) -> None:
    etc = lab.layer("loop") / "etc"
    etc.mkdir()
    (etc / "hosts").symlink_to("hosts.2")
    (etc / "hosts.2").symlink_to("hosts")
    with pytest.raises(StartFailed, match="symbolic links"):
        lab.start(lab.create("true", layers=("base", "loop")))


def test_targets_swapped_for_links_while_starting_never_lead_to_the_host(lab: Lab, tmp_path: Path) -> None:
    """Another process turns the image's /etc into a link to a host directory and back, all the time."""
    base = lab.root / "layers/base/diff"
    real, link = base / "etc", base / "etc.link"
    link.symlink_to(tmp_path)
    stop = threading.Event()

    def swap() -> None:
        from engine.kernel.paths import RENAME_EXCHANGE, renameat2

        directory = os.open(base, os.O_RDONLY)
        while not stop.is_set():
            renameat2(directory, "etc", directory, "etc.link", RENAME_EXCHANGE)
        os.close(directory)

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        for _ in range(40):
            try:
                lab.run(lab.create("true"))
            except StartFailed:
                continue
    finally:
        stop.set()
        swapper.join()
    assert real.is_symlink() or real.is_dir()
    assert list(tmp_path.iterdir()) == []


def test_no_code_of_the_container_runs_in_the_engine(lab: Lab) -> None:
    """The image has modules and libraries where the host's interpreter keeps its own; each would leave a mark."""
    trap = lab.layer("modules")
    mark = "open('/loaded', 'a').write(__name__ + '\\n')\n"
    here = Path(__file__).resolve().parents[2]
    for directory in {Path(os.__file__).parent, Path(os.__file__).parent / "encodings", here, here / "engine/runtime"}:
        inside = trap / directory.relative_to("/")
        inside.mkdir(parents=True, exist_ok=True)
        for name in ("traceback", "signal", "idna", "latin_1", "locale", "linecache", "encodings", "__init__", "late"):
            (inside / f"{name}.py").write_text(mark)
    for place in ("lib", "lib64", "usr/lib"):
        (trap / place).mkdir(parents=True, exist_ok=True)
        for name in ("libnss_files.so.2", "libgcc_s.so.1"):
            (trap / place / name).write_text("not a library")
    layers = ("base", "modules")
    config = lab.create("sh", "-c", "sleep 1000", layers=layers, user="4:5", cwd="/a/b", env=("LANG=de_DE.ISO-8859-1",))
    lab.start(config)
    odd = "\udcff\udcfe"
    for argv, user in ((("nothing" + odd,), ""), (("true",), "nobody" + odd), (("/etc",), ""), (("true",), "")):
        try:
            collect(lab.monitor(config).exec(argv, user=user))
        except StartFailed:
            pass
    wrong: list[dict[str, str]] = [{"user": "none" + odd}, {"cwd": "relative"}, {"hostname": "x" * 65}]
    for choices in wrong:
        with pytest.raises(StartFailed):
            lab.start(lab.create("true", layers=layers, **choices))
    assert not list((lab.root / "layers").glob("*/diff/loaded"))


# What the caller has and the container must not get.

CALLER = """
import sys
from tests.support.mapping import IDS, needs_mapping
from tests.support.runtime import Config, collect
from engine.kernel import capabilities, processes
from engine.runtime.client import Launcher, Monitor
from engine.runtime.plan import make_plan

root, number = sys.argv[1:]
effective, permitted, _ = capabilities.get()
capabilities.set(effective, permitted, permitted)
config = Config(number, ("sleep", "1000"))
with Launcher.spawn() as launcher:
    launcher.start(make_plan(config, root))
"""


def test_nothing_of_the_callers_identity_comes_along(lab: Lab) -> None:
    """Groups, inheritable capabilities, ignored signals, the umask, the environment."""
    config = lab.create("sleep", "1000")
    here = Path(__file__).resolve().parents[2]

    def prepare() -> None:
        import signal

        os.umask(0)
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGUSR1):
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})

    subprocess.run(
        [sys.executable, "-c", CALLER, str(lab.root), config.id],
        cwd=here,
        extra_groups=[5, 6, 7],
        preexec_fn=prepare,
        env={**os.environ, "SECRET": "of the caller"},
        check=True,
    )
    pid, _ = lab.pids(config)
    joined = lab.monitor(config).exec(("sleep", "1000"))
    for number in (pid, joined.pid):
        lines = Path(f"/proc/{number}/status").read_text().splitlines()
        found = dict(line.split(":\t") for line in lines if ":\t" in line)
        assert found["Groups"].split() == ["0"]  # its own
        assert int(found["CapInh"], 16) == int(found["CapAmb"], 16) == 0
        assert int(found["SigBlk"], 16) == 0
        ignored = int(found["SigIgn"], 16)
        assert not [signal for signal in range(1, 65) if ignored >> (signal - 1) & 1 and signal not in (32, 33)]
        assert found["Umask"] == "0022"
        assert b"SECRET" not in Path(f"/proc/{number}/environ").read_bytes()


def test_a_file_of_a_group_that_the_user_is_not_in_stays_closed(lab: Lab) -> None:
    secret = lab.layer("secret") / "secret"
    secret.write_text("x")
    secret.chmod(0o640)
    os.chown(secret, 0, 5)
    before = os.getgroups()
    os.setgroups([5])
    try:
        config = lab.create("cat", "/secret", layers=("base", "secret"), user="1000:1000")
        assert b"Permission denied" in lab.run(config).stderr
    finally:
        os.setgroups(before)


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the program is made for x86-64")
def test_a_set_group_id_program_does_not_shed_the_group_that_is_denied(lab: Lab) -> None:
    """moby CVE-2022-36109: 0604 keeps a group out, whose members could become no members by such a program."""
    layer = lab.layer("denied")
    denied = layer / "denied"
    denied.write_text("x")
    denied.chmod(0o604)
    os.chown(denied, 0, 34)
    program = layer / "shed"
    program.write_bytes(verdict(Call("open", (SCRATCH, os.O_RDONLY)), b"/denied\0"))
    os.chown(program, 0, 99)
    program.chmod(0o2755)
    layers = ("base", "denied")
    assert lab.run(lab.create("/shed", layers=layers, user="12:34")).status == errno.EACCES
    assert lab.run(lab.create("/shed", layers=layers, user="12:35")).status not in (0, errno.EACCES)  # it was opened
    config = lab.running(layers=layers, user="12:34")
    assert collect(lab.monitor(config).exec(("/shed",))).status == errno.EACCES


def test_the_callers_keys_are_out_of_reach(lab: Lab) -> None:
    config = lab.create("true")
    assert lab.run(config).status == 0
    trace = (lab.directory(config) / "trace.jsonl").read_text()
    (step,) = [line for line in trace.splitlines() if "KEYCTL_JOIN_SESSION_KEYRING" in line]
    assert '"errno": 0' in step or '"errno": 38' in step


def test_nothing_remains_of_attacks(lab: Lab) -> None:
    """The lab's own check at the end, on a container that mounts, forks and detaches as much as it may."""
    script = "mount -t tmpfs x /tmp; (setsid sleep 1000 &) ; (setsid sleep 1000 &); mkdir /sys/fs/cgroup/x; sleep 1000"
    config: Config = lab.running("sh", "-c", script)
    eventually(lambda: len(os.listdir("/proc")) > 0 and lab.monitor(config).alive())
