"""What a container finds when it starts: namespaces, root, mounts, devices, identity, environment."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from engine.errors import StartFailed
from engine.kernel.namespaces import namespace_id
from engine.runtime.confinement import CAPABILITIES, MASKED, READ_ONLY
from engine.runtime.plan import NAMESPACES
from tests.support.runtime import Ended, Lab, lab

__all__ = ["lab"]

DOCKERS = 0x00000000A80425FB
"""The fourteen capabilities as docker's containers show them."""


def status(text: str) -> dict[str, str]:
    """A /proc/<pid>/status as a dict."""
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


def test_it_runs_what_it_was_told_and_says_how_it_ended(lab: Lab) -> None:
    ended = lab.run(lab.create("sh", "-c", "echo out; echo err >&2; exit 7"))
    assert ended == Ended(7, b"out\n", b"err\n")


def test_every_namespace_is_its_own(lab: Lab) -> None:
    first, second = lab.running(), lab.running()
    pids = [lab.pids(config)[0] for config in (first, second)]
    for kind in NAMESPACES:
        ids = {namespace_id("self", kind), *(namespace_id(pid, kind) for pid in pids)}
        assert len(ids) == 3, kind
    assert namespace_id(pids[0], "user") == namespace_id("self", "user")


def test_it_is_process_one_of_a_session_of_its_own_and_sees_no_other(lab: Lab) -> None:
    number, stat_line = lab.output("sh", "-c", "echo $$; cat /proc/1/stat").splitlines()
    assert number == "1"
    assert stat_line.rpartition(")")[2].split()[1:4] == ["0", "1", "1"]  # parent, process group, session
    numbers = [name for name in lab.output("ls", "/proc").split() if name.isdigit()]
    assert numbers == ["1"]


def test_capabilities_are_dockers_and_nothing_passes_an_exec_by_itself(lab: Lab) -> None:
    found = status(lab.output("cat", "/proc/self/status"))
    for name in ("CapPrm", "CapEff", "CapBnd"):
        assert int(found[name], 16) == DOCKERS, name
    assert int(found["CapInh"], 16) == int(found["CapAmb"], 16) == 0


def test_a_capability_that_the_machine_lacks_is_left_out(lab: Lab) -> None:
    """The machine itself may lack some; here the plan asks for one that certainly nobody gives to root everywhere."""
    config = lab.create("cat", "/proc/self/status")
    session = lab.launcher.start(lab.plan(config, capabilities=(*CAPABILITIES, "SYS_RESOURCE")), attach=True).session
    assert session is not None
    found = b""
    while (piece := session.read())[0] != "exit":
        found += piece[1]
    session.close()
    own = int(status(Path("/proc/self/status").read_text())["CapPrm"], 16)
    assert int(status(found.decode())["CapPrm"], 16) == DOCKERS | own & 1 << 24


def test_another_user_holds_no_capability_and_its_own_groups(lab: Lab) -> None:
    etc = lab.layer("users") / "etc"
    etc.mkdir()
    (etc / "passwd").write_text("root:x:0:0::/root:\nbob:x:1000:1001::/home/bob:\n")
    (etc / "group").write_text("root:x:0:\nwheel:x:10:bob\naudio:x:29:alice,bob\n")
    script = "cat /proc/self/status; echo 'HOME:\t'$HOME"
    found = status(lab.output("sh", "-c", script, layers=("base", "users"), user="bob"))
    assert found["Uid"].split() == ["1000"] * 4
    assert found["Gid"].split() == ["1001"] * 4
    assert found["Groups"].split() == ["10", "29", "1001"]
    assert found["HOME"] == "/home/bob"
    assert int(found["CapPrm"], 16) == int(found["CapEff"], 16) == int(found["CapInh"], 16) == 0
    assert int(found["CapBnd"], 16) == DOCKERS
    chosen = status(lab.output("cat", "/proc/self/status", layers=("base", "users"), user="4242:29"))
    assert chosen["Uid"].split() == ["4242"] * 4
    assert chosen["Gid"].split() == ["29"] * 4
    assert chosen["Groups"].split() == ["29"]


def test_a_user_that_is_not_there_is_refused(lab: Lab) -> None:
    with pytest.raises(StartFailed, match="unable to find user carol: no matching entries in passwd file") as refused:
        lab.start(lab.create("true", user="carol"))
    assert refused.value.exit_status == 125


def test_host_name_and_the_three_files_are_its_own(lab: Lab) -> None:
    config = lab.create("sh", "-c", "hostname; cat /etc/hostname /etc/hosts /etc/resolv.conf; echo mine > /etc/hosts")
    assert lab.run(config).stdout.decode().splitlines() == [
        config.id[:12],
        "the container's own hostname",
        "the container's own hosts",
        "the container's own resolv.conf",
    ]
    assert (lab.directory(config) / "hosts").read_text() == "mine\n"
    assert lab.output("hostname", hostname="box") == "box\n"


def test_loopback_is_up_and_nothing_else_is_there(lab: Lab) -> None:
    lines = lab.output("cat", "/proc/net/dev").splitlines()[2:]
    assert [line.split(":")[0].strip() for line in lines] == ["lo"]
    assert int(lab.output("cat", "/sys/class/net/lo/flags"), 16) & 1


def test_environment_directory_and_command(lab: Lab) -> None:
    script = "pwd; echo $A $HOSTNAME $HOME; echo $PATH; env | grep -c ^A="
    config = lab.create("sh", "-c", script, env=("A=1", "A=two words"), cwd="/made/for/this", hostname="h")
    assert lab.run(config).stdout.decode().splitlines() == [
        "/made/for/this",
        "two words h /root",
        "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "1",
    ]
    made = (lab.upper(config) / "made/for").stat()
    assert (stat.S_IMODE(made.st_mode), made.st_uid, made.st_gid) == (0o755, 0, 0)


def test_devices_are_there_and_work(lab: Lab) -> None:
    script = """
        for name in null zero full random urandom tty; do stat -c '%n %t %T %a %F' /dev/$name; done
        for name in fd stdin stdout stderr ptmx core; do echo $name $(readlink /dev/$name); done
        echo gone > /dev/null; head -c 4 /dev/zero | wc -c; head -c 4 /dev/urandom | wc -c
        echo x > /dev/full || echo full
        echo through > /dev/stdout
    """
    assert lab.output("sh", "-c", script).splitlines() == [
        "/dev/null 1 3 666 character special file",
        "/dev/zero 1 5 666 character special file",
        "/dev/full 1 7 666 character special file",
        "/dev/random 1 8 666 character special file",
        "/dev/urandom 1 9 666 character special file",
        "/dev/tty 5 0 666 character special file",
        "fd /proc/self/fd",
        "stdin /proc/self/fd/0",
        "stdout /proc/self/fd/1",
        "stderr /proc/self/fd/2",
        "ptmx pts/ptmx",
        "core /proc/kcore",
        "4",
        "4",
        "full",
        "through",
    ]


def test_a_stream_can_be_opened_again_by_another_user(lab: Lab) -> None:
    script = "echo one > /dev/stdout; echo two > /dev/stderr"
    assert lab.run(lab.create("sh", "-c", script, user="1234")) == Ended(0, b"one\n", b"two\n")


def test_the_mounts_are_the_planned_ones(lab: Lab) -> None:
    found: dict[str, tuple[str, set[str]]] = {}
    for line in lab.output("cat", "/proc/self/mounts").splitlines():
        _, target, kind, options, *_ = line.split()
        found[target] = (kind, set(options.split(",")))
    assert found["/"][0] == "overlay"
    expected = {
        "/proc": ("proc", {"rw", "nosuid", "nodev", "noexec"}),
        "/dev": ("tmpfs", {"rw", "nosuid", "mode=755", "size=65536k"}),
        "/dev/pts": ("devpts", {"rw", "nosuid", "noexec", "gid=5", "mode=620", "ptmxmode=666"}),
        "/dev/shm": ("tmpfs", {"rw", "nosuid", "nodev", "noexec", "size=65536k"}),
        "/dev/mqueue": ("mqueue", {"rw", "nosuid", "nodev", "noexec"}),
        "/sys": ("sysfs", {"ro", "nosuid", "nodev", "noexec"}),
    }
    for target, (kind, wanted) in expected.items():
        assert found[target][0] == kind
        assert wanted <= found[target][1], target
    groups = {target: value for target, value in found.items() if target.startswith("/sys/fs/cgroup")}
    assert groups
    assert all("ro" in options for _, options in groups.values())
    for name in ("hostname", "hosts", "resolv.conf"):
        assert f"/etc/{name}" in found
    assert not [target for target in found if str(lab.root) in target]


def test_its_cgroup_is_the_root_it_sees(lab: Lab) -> None:
    config = lab.running()
    pid, _ = lab.pids(config)
    outside = [line.split(":", 2) for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines()]
    mine = [path for _, names, path in outside if path.endswith(config.id)]
    assert mine
    inside = lab.output("cat", "/proc/self/cgroup").splitlines()
    own = {names for _, names, path in outside if path.endswith(config.id)}
    assert {line.split(":", 2)[2] for line in inside if line.split(":", 2)[1] in own} == {"/"}


def test_masked_paths_say_nothing(lab: Lab) -> None:
    script = 'for path; do if [ -d $path ]; then ls -A $path; else cat $path; fi; done; echo "looked at $#"'
    here = [path for path in MASKED if os.path.exists(path)]
    assert here
    assert lab.output("sh", "-c", script, "sh", *here) == f"looked at {len(here)}\n"
    refused = lab.run(lab.create("sh", "-c", "echo x > /sys/firmware/x"))
    assert b"Read-only file system" in refused.stderr


def test_read_only_paths_cannot_be_written(lab: Lab) -> None:
    here = [path for path in READ_ONLY if os.path.exists(path)]
    lines = lab.output("cat", "/proc/self/mounts").splitlines()
    mounts = {line.split()[1]: line.split()[3].split(",") for line in lines}
    for path in here:
        assert {"ro", "nosuid", "nodev", "noexec"} <= set(mounts[path]), path
    ended = lab.run(lab.create("sh", "-c", "echo 1 > /proc/sys/kernel/domainname"))
    assert b"Read-only file system" in ended.stderr
    assert ended.status != 0


def test_five_hundred_layers_show_each_its_file(lab: Lab) -> None:
    names = ["base", *(f"layer-{number:03}" for number in range(1, 500))]
    for name in names[1:]:
        (lab.layer(name) / f"from-{name}").write_text(name)
        (lab.root / "layers" / name / "diff" / "last").write_text(name)
    script = "ls / | grep -c ^from-; cat /last; echo; echo written > /new"
    config = lab.create("sh", "-c", script, layers=tuple(names))
    assert lab.run(config) == Ended(0, b"499\nlayer-499\n", b"")
    assert (lab.upper(config) / "new").read_text() == "written\n"


def test_starting_writes_nothing_into_the_read_write_layer(lab: Lab) -> None:
    """Not even for an image without any of the mount points."""
    bare = lab.layer("bare") / "bin"
    bare.mkdir()
    config = lab.create("/bin/true", layers=("base",))
    assert lab.run(config).status == 0
    assert os.listdir(lab.upper(config)) == []
    scratch = lab.root / "layers" / "base" / "diff"
    for name in ("dev", "proc", "sys", "etc"):
        (lab.root / "spare").mkdir(exist_ok=True)
        (scratch / name).rename(lab.root / "spare" / name)
    config = lab.create("sh", "-c", "cat /etc/hostname; test -c /dev/null")
    assert lab.run(config) == Ended(0, b"the container's own hostname\n", b"")
    assert os.listdir(lab.upper(config)) == []


def test_what_it_writes_lies_in_its_layer_and_stays_for_the_next_start(lab: Lab) -> None:
    config = lab.create("sh", "-c", "cat /kept || echo first > /kept")
    assert lab.run(config).status == 0
    assert (lab.upper(config) / "kept").read_text() == "first\n"
    assert lab.run(config).stdout == b"first\n"


@pytest.mark.parametrize(
    ("args", "message", "code"),
    [
        (("nothing-of-this-name",), 'exec: "nothing-of-this-name": executable file not found in $PATH', 127),
        (("/bin/none",), 'exec: "/bin/none": stat /bin/none: no such file or directory', 127),
        (("/etc",), 'exec: "/etc": is a directory', 126),
        (("/etc/passwd",), 'exec: "/etc/passwd": permission denied', 126),
        (("/script",), "exec /script: no such file or directory", 127),
        (("/garbage",), "exec /garbage: exec format error", 126),
        (("sh", "\0"), "exec .*: embedded null byte", 126),
    ],
)
def test_a_command_that_cannot_run_is_told_in_dockers_words(
    lab: Lab, args: tuple[str, ...], message: str, code: int
) -> None:
    odd = lab.layer("odd")
    for name, text in (("script", "#!/no/interpreter\n"), ("garbage", "\x01\x02\x03")):
        (odd / name).write_text(text)
        (odd / name).chmod(0o755)
    config = lab.create(*args, layers=("base", "odd"))
    with pytest.raises(StartFailed) as refused:
        lab.start(config)
    assert refused.value.exit_status == code
    if "embedded" not in message:
        assert str(refused.value) == message
    assert not (lab.directory(config) / "state.json").exists()
    assert not (lab.directory(config) / "control.sock").exists()
    assert (lab.directory(config) / "trace.jsonl").stat().st_size > 0
    assert lab.groups() == []
