"""What a container's processes may do, on the real kernel: asked by tiny programs that make the calls themselves."""

from __future__ import annotations

import errno
import io
import json
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from app.demo import hostfiles
from engine.commands.options import CreateOptions, ExecOptions
from engine.engine import Engine
from engine.kernel.capabilities import CAPS, bounding, mask, names
from engine.runtime.confinement import CAPABILITIES
from engine.settings import Settings
from engine.store.root import Store
from tests.support.archives import ImageSpec, docker_archive
from tests.support.command import Strata
from tests.support.mapping import needs_mapping
from tests.support.needs import needs_root, unmet
from tests.support.probes import EUID, Call, answers, probe, probe32
from tests.support.rootfs import tiny_layer
from tests.support.runtime import Ended, collect, eventually

pytestmark = pytest.mark.skipif(os.uname().machine != "x86_64", reason="the programs are made for x86-64")

NEWUSER, SIGHAND = 0x10000000, 0x800  # the second needs CLONE_VM: the kernel itself answers EINVAL
DEFAULT = mask(f"CAP_{name}" for name in CAPABILITIES)

# Each call, what it is answered under docker's filter, and whether the kernel itself says something else to root.
REFUSED = [
    (Call("unshare", (0,)), errno.EPERM),
    (Call("unshare", (NEWUSER | 1,)), errno.EPERM),  # 1 is no flag: the kernel itself answers EINVAL
    (Call("mount", (0, 0, 0, 0, 0)), errno.EPERM),
    (Call("umount2", (0, 0)), errno.EPERM),
    (Call("setns", (-1, 0)), errno.EPERM),
    (Call("clone", (NEWUSER | SIGHAND,)), errno.EPERM),
    (Call("clone3", (0, 0)), errno.ENOSYS),
    (Call("keyctl", (0, -3 % 2**32, 0)), errno.EPERM),
    (Call("add_key", (0, 0, 0, 0, 0)), errno.EPERM),
    (Call("request_key", (0, 0, 0, 0)), errno.EPERM),
    (Call("bpf", (99, 0, 0)), errno.EPERM),
    (Call("userfaultfd", (-1,)), errno.EPERM),
    (Call("io_uring_setup", (1, 0)), errno.EPERM),
    (Call("perf_event_open", (0, 0, 0, -1, 0)), errno.EPERM),
    (Call("open_by_handle_at", (-1, 0, 0)), errno.EPERM),
    (Call("socket", (38, 5, 0)), errno.EPERM),  # AF_ALG
    (Call("socket", (40, 1, 0)), errno.EPERM),  # AF_VSOCK
    (Call("personality", (0x40000,)), errno.EPERM),
    (Call("fsopen", (0, 0)), errno.EPERM),
    (Call("kcmp", (0, 0, 99, 0, 0)), errno.EPERM),
]
ALLOWED = [
    (Call("getpid"), 1),
    (Call("clone", (SIGHAND,)), -errno.EINVAL),
    (Call("ptrace", (99, 4000000, 0, 0)), -errno.ESRCH),
    (Call("personality", (0xFFFFFFFF,)), 0),
    (Call("socket", (1, 1, 99)), -errno.EPROTONOSUPPORT),
    (Call("seccomp", (99, 0, 0)), -errno.EINVAL),
    (Call(1000), -errno.ENOSYS),
]
OF_I386 = [
    (Call("keyctl", (0, -3, 0), "X86"), errno.EPERM),
    (Call("unshare", (0,), "X86"), errno.EPERM),
    (Call("mount", (0, 0, 0, 0, 0), "X86"), errno.EPERM),
    (Call("umount", (0,), "X86"), errno.EPERM),
    (Call("bpf", (99, 0, 0), "X86"), errno.EPERM),
    (Call("socket", (38, 5, 0), "X86"), errno.EPERM),
    (Call("socket", (40, 1, 0), "X86"), errno.EPERM),
    (Call("clone", (NEWUSER | SIGHAND,), "X86"), errno.EPERM),
    (Call("clone3", (0, 0), "X86"), errno.ENOSYS),
    (Call("stime", (0,), "X86"), errno.EPERM),
]
OF_X32 = [
    (Call("keyctl", (0, -3 % 2**32, 0), "X32"), errno.EPERM),
    (Call("ptrace", (0, 0, 0, 0), "X32"), errno.ENOSYS),  # allowed, and kernels without x32 have no such call
]


def tar(files: dict[str, tuple[int, bytes]]) -> bytes:
    out = io.BytesIO()
    hostfiles.write_tar(
        [hostfiles.HostFile(name, "f", mode, content=data) for name, (mode, data) in files.items()], out
    )
    return out.getvalue()


def calls(*lists: Sequence[tuple[Call, int]]) -> list[Call]:
    return [call for cases in lists for call, _ in cases]


class House:
    """An engine on a root of its own, with an image that has the probes in it."""

    def __init__(self, root: str) -> None:
        probes = {
            "probe64": (0o755, probe(calls(REFUSED, ALLOWED, OF_I386, OF_X32))),
            "probe32": (0o755, probe32(calls(OF_I386))),
            "euid": (0o4755, probe([EUID])),
            "peer": (0o755, probe([EUID, Call("getpid")])),
        }
        spec = ImageSpec([tiny_layer(), tar(probes)], ["probes"], {"Cmd": ["sleep", "1000"]})
        store = Store(root)
        from engine.archive.load import load

        load(store, io.BytesIO(docker_archive(spec)))
        self.root = Path(root)
        self.engine = Engine(root)

    def run(self, *command: str, user: str = "", **settings: object) -> Ended:
        options = CreateOptions(command=command, user=user, auto_remove=True, settings=Settings().replaced(**settings))
        session = self.engine.start(self.engine.create("probes", options), attach=True)
        assert session is not None
        return collect(session)

    def running(self, **settings: object) -> str:
        container = self.engine.create("probes", CreateOptions(settings=Settings().replaced(**settings)))
        self.engine.start(container)
        return container

    def exec(self, container: str, *command: str, user: str = "", privileged: bool = False) -> Ended:
        return collect(self.engine.exec(container, ExecOptions(command, user=user, privileged=privileged)))

    def profile(self, document: object) -> tuple[str, ...]:
        return ("seccomp=" + json.dumps(document),)


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    needs_root()
    with Strata() as strata:
        house = House(strata.root)
        with house.engine:
            yield house


def asked(ended: Ended) -> list[int]:
    assert ended.status == 0, ended
    return answers(ended.stdout)


def status(ended: Ended) -> dict[str, int]:
    """Capability sets and the rest of /proc/self/status, by name."""
    assert ended.status == 0, ended
    lines = dict(line.split(":", 1) for line in ended.stdout.decode().splitlines())
    kinds = {"NoNewPrivs": 10, "Seccomp": 10}
    found = {key: int(lines[key], kinds[key]) for key in kinds}
    return found | {key: int(value, 16) for key, value in lines.items() if key.startswith("Cap")}


STATUS = ("cat", "/proc/self/status")


# The default.


def test_docker_filter_answers_each_call_by_whatever_way_it_is_made(house: House) -> None:
    cases = [*((call, -error) for call, error in REFUSED), *ALLOWED, *((c, -e) for c, e in [*OF_I386, *OF_X32])]
    found = dict(zip([case[0] for case in cases], asked(house.run("/probe64")), strict=True))
    assert found == dict(cases)


def test_without_the_filter_the_kernel_itself_answers_otherwise(house: House) -> None:
    """Or the test above would prove nothing: the same calls, with every capability and no filter."""
    found = asked(house.run("/probe64", cap_add=("ALL",), security_opt=("seccomp=unconfined",)))
    for (call, error), answer in zip(REFUSED, found, strict=False):
        assert answer != -error, call
    started = len(REFUSED) + len(ALLOWED)
    for (call, error), answer in zip(OF_I386, found[started:], strict=False):
        assert answer != -error or answer == -errno.ENOSYS, call


def test_32_bit_programs_are_under_the_filter_too(house: House) -> None:
    ended = house.run("/probe32")
    if ended.status in (126, 127):
        unmet("this kernel runs no 32-bit programs")
    assert dict(zip(calls(OF_I386), asked(ended), strict=True)) == {call: -error for call, error in OF_I386}


def test_capabilities_and_the_rest_are_dockers(house: House) -> None:
    found = status(house.run(*STATUS))
    assert found == {
        "CapInh": 0,
        "CapPrm": DEFAULT,
        "CapEff": DEFAULT,
        "CapBnd": DEFAULT,
        "CapAmb": 0,
        "NoNewPrivs": 0,
        "Seccomp": 2,
    }
    found = status(house.run(*STATUS, user="12:34"))
    assert (found["CapPrm"], found["CapEff"], found["CapBnd"], found["CapAmb"]) == (0, 0, DEFAULT, 0)
    assert (found["NoNewPrivs"], found["Seccomp"]) == (0, 2)


def test_the_trace_shows_it_last(house: House) -> None:
    container = house.running()
    try:
        steps = [
            json.loads(line)["call"]
            for line in (house.root / "containers" / container / "trace.jsonl").read_text().splitlines()
        ]
        assert steps[-2:] == ["seccomp", "execve"]
        assert steps.index("capset") < steps.index("seccomp")
    finally:
        house.engine.remove(container, force=True)


# Choices.


def test_capabilities_are_added_and_dropped_and_the_filter_follows(house: House) -> None:
    found = status(house.run(*STATUS, cap_drop=("ALL",), cap_add=("CHOWN", "SYS_ADMIN")))
    assert found["CapEff"] == found["CapBnd"] == mask(("CAP_CHOWN", "CAP_SYS_ADMIN"))
    assert found["Seccomp"] == 2
    found = status(house.run(*STATUS, cap_drop=("ALL",)))
    assert found["CapEff"] == found["CapBnd"] == found["CapPrm"] == 0
    found = status(house.run(*STATUS, cap_drop=("MKNOD",), cap_add=("SYS_TIME",)))
    assert found["CapEff"] == DEFAULT & ~mask(("CAP_MKNOD",)) | mask(("CAP_SYS_TIME",))

    admin = dict(zip(calls(REFUSED), asked(house.run("/probe64", cap_add=("SYS_ADMIN",))), strict=False))
    assert admin[Call("unshare", (0,))] == 0
    assert admin[Call("mount", (0, 0, 0, 0, 0))] not in (0, -errno.EPERM)
    assert admin[Call("clone3", (0, 0))] == -errno.EINVAL
    assert admin[Call("keyctl", (0, -3 % 2**32, 0))] == -errno.EPERM


def test_processes_that_join_are_held_like_the_first_unless_privileged(house: House) -> None:
    container = house.running(cap_drop=("KILL",), security_opt=("no-new-privileges",))
    try:
        first = status(house.exec(container, "cat", "/proc/1/status"))
        joined = status(house.exec(container, *STATUS))
        assert joined == first
        assert joined["CapEff"] == DEFAULT & ~mask(("CAP_KILL",))
        assert (joined["NoNewPrivs"], joined["Seccomp"]) == (1, 2)
        assert asked(house.exec(container, "/probe64"))[: len(REFUSED)] == [-error for _, error in REFUSED]
        other = status(house.exec(container, *STATUS, user="12"))
        assert (other["CapEff"], other["CapBnd"], other["Seccomp"]) == (0, joined["CapBnd"], 2)

        more = status(house.exec(container, *STATUS, privileged=True))
        assert more["CapEff"] == more["CapBnd"] == more["CapPrm"] == bounding() & mask(CAPS)
        assert (more["CapInh"], more["CapAmb"], more["Seccomp"]) == (0, 0, 0)
        assert asked(house.exec(container, "/probe64", privileged=True))[0] == 0  # unshare
        assert status(house.exec(container, "cat", "/proc/1/status")) == first
    finally:
        house.engine.remove(container, force=True)


def test_a_set_user_id_program_works_unless_there_are_no_new_privileges(house: House) -> None:
    assert asked(house.run("/euid", user="65534:65534")) == [0]
    assert asked(house.run("/peer", user="65534:65534")) == [65534, 1]
    for option in ("no-new-privileges", "no-new-privileges:true", "no-new-privileges=true"):
        assert asked(house.run("/euid", user="65534:65534", security_opt=(option,))) == [65534]
    assert asked(house.run("/euid", user="65534", security_opt=("no-new-privileges=false",))) == [0]
    assert asked(house.run("/euid", user="65534", security_opt=("no-new-privileges", "seccomp=unconfined"))) == [65534]


def test_a_profile_of_ones_own(house: House) -> None:
    loose = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [
            {"names": ["getpid"], "action": "SCMP_ACT_ERRNO", "errnoRet": 99},
            {"names": ["geteuid"], "action": "SCMP_ACT_KILL_PROCESS", "includes": {"caps": ["CAP_SYS_BOOT"]}},
        ],
    }
    own = house.profile(loose)
    assert asked(house.run("/peer", security_opt=own)) == [0, -99]
    assert house.run("/peer", security_opt=own, cap_add=("SYS_BOOT",)).status == 128 + 31
    assert house.run("/peer", security_opt=own, privileged=True).status == 128 + 31
    assert asked(house.run("/euid", user="65534", security_opt=own)) == [0]
    # No architecture but the machine's own is named: a 32-bit call ends the program.
    assert house.run("/probe64", security_opt=own).status == 128 + 31
    container = house.running(security_opt=own)
    try:
        assert asked(house.exec(container, "/peer")) == [0, -99]
    finally:
        house.engine.remove(container, force=True)


def test_a_container_started_anew_by_its_monitor_is_held_the_same(house: House) -> None:
    options = CreateOptions(
        command=("sh", "-c", "grep -E 'Seccomp:|CapEff' /proc/self/status; exit 3"),
        settings=Settings(restart="on-failure", restart_max=1, cap_drop=("KILL",)),
    )
    container = house.engine.create("probes", options)
    try:
        house.engine.start(container)
        log = house.root / "containers" / container / "log.json"
        eventually(lambda: len(log.read_text().splitlines()) == 4, 60)
        lines = [json.loads(line)["log"] for line in log.read_text().splitlines()]
        assert lines[:2] == lines[2:] == [f"CapEff:\t{DEFAULT & ~mask(('CAP_KILL',)):016x}\n", "Seccomp:\t2\n"]
    finally:
        house.engine.remove(container, force=True)


def test_a_profile_that_lets_nothing_but_the_start_through(house: House) -> None:
    names = ["execve", "write", "exit_group", "geteuid"]
    strict = house.profile(
        {"defaultAction": "SCMP_ACT_KILL_PROCESS", "syscalls": [{"names": names, "action": "SCMP_ACT_ALLOW"}]}
    )
    # What is left to do after the filter is execve (the interpreter may ask for a page of memory before it).
    for options in (strict, (*strict, "no-new-privileges")):
        ended = house.run("/euid", security_opt=options)
        assert ended.status in (0, 128 + 31), ended
    assert house.run("/peer", security_opt=strict).status == 128 + 31  # getpid


def test_privileged_has_it_all(house: House) -> None:
    script = "cat /proc/self/status && touch /proc/sys/kernel/hostname && cat /proc/interrupts >/dev/null"
    found = status(house.run("sh", "-c", script, privileged=True))
    assert found["CapEff"] == found["CapBnd"] == bounding() & mask(CAPS)
    assert (found["CapInh"], found["CapAmb"], found["Seccomp"], found["NoNewPrivs"]) == (0, 0, 0, 0)
    mounts = house.run("cat", "/proc/self/mounts", privileged=True).stdout.decode().splitlines()
    options = {line.split()[1]: line.split()[3].split(",") for line in mounts}
    assert "rw" in options["/sys"]
    assert all("rw" in words for path, words in options.items() if path.startswith("/sys/fs/cgroup"))
    assert not any(path.startswith("/proc/") for path in options)
    node = "mknod /kmsg c 1 11 && exec 3</kmsg && echo opened"  # a device that docker's rules do not allow
    assert house.run("sh", "-c", node, privileged=True).stdout == b"opened\n"
    assert house.run("sh", "-c", node).stdout == b""


def devices() -> set[str]:
    """This machine's, without the console, which a container has of its own."""
    with os.scandir("/dev") as entries:
        kinds = {one.name: stat.S_IFMT(one.stat(follow_symlinks=False).st_mode) for one in entries}
    return {name for name, kind in kinds.items() if kind in (stat.S_IFCHR, stat.S_IFBLK)} - {"console"}


def test_privileged_has_the_machines_devices(house: House) -> None:
    script = "cd /dev; for name in *; do test -c $name -o -b $name && echo $name; done; true"
    before = devices()
    found = house.run("sh", "-c", script, privileged=True).stdout.decode().split()
    assert before & devices() <= set(found)  # others may make loop devices meanwhile
    assert "kmsg" in found
    assert "kmsg" not in house.run("sh", "-c", script).stdout.decode().split()


def test_a_container_with_ids_of_its_own_is_held_the_same(house: House) -> None:
    needs_mapping()
    assert status(house.run(*STATUS, userns="auto")) == status(house.run(*STATUS))
    assert asked(house.run("/probe64", userns="auto"))[: len(REFUSED)] == [-error for _, error in REFUSED]
    assert asked(house.run("/euid", userns="auto", user="12")) == [0]
    assert asked(house.run("/euid", userns="auto", user="12", security_opt=("no-new-privileges",))) == [12]


def test_system_paths_unconfined(house: House) -> None:
    mounts = house.run("cat", "/proc/self/mounts", security_opt=("systempaths=unconfined",)).stdout.decode()
    paths = {line.split()[1] for line in mounts.splitlines()}
    assert not any(path.startswith(("/proc/", "/sys/firmware")) for path in paths)
    assert "/sys ro," in mounts.replace(" sysfs", "")


def test_capsh_says_what_docker_has(house: House) -> None:
    """libcap's own words, from the host's capsh."""
    try:
        files = hostfiles.collect(("sh", "capsh"), use_busybox=False)
    except hostfiles.HostFilesMissing:
        files = []
    if not any(entry.path.endswith("/capsh") for entry in files):
        unmet("the host has no capsh")
    out = io.BytesIO()
    hostfiles.write_tar(files, out)
    from engine.archive.load import load

    load(Store(str(house.root)), io.BytesIO(docker_archive(ImageSpec([out.getvalue()], ["capsh"], {}))))
    container = house.engine.create("capsh", CreateOptions(command=("capsh", "--print"), auto_remove=True))
    session = house.engine.start(container, attach=True)
    assert session is not None
    ended = collect(session)
    assert ended.status == 0, ended
    listed = ",".join(name.lower() for name in names(DEFAULT))
    wanted = {f"Current: {listed}=ep", f"Bounding set ={listed}", "Ambient set ="}
    assert wanted <= set(ended.stdout.decode().splitlines())


# The command.


def test_flags_and_what_is_shown_of_them(house: House, tmp_path: Path) -> None:
    strata = Strata.__new__(Strata)
    strata.root, strata.env = str(house.root), {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    file = tmp_path / "profile.json"
    file.write_text('{\n "defaultAction": "SCMP_ACT_ALLOW"\n}')
    flags = ["--cap-add=net_admin", "--cap-drop=kill", "--security-opt=no-new-privileges", "--name", "held"]
    strata("create", *flags, "--security-opt", f"seccomp={file}", "probes")
    host = json.loads(strata("inspect", "--format", "{{json .HostConfig}}", "held"))
    assert (host["CapAdd"], host["CapDrop"], host["Privileged"]) == (["CAP_NET_ADMIN"], ["CAP_KILL"], False)
    assert host["SecurityOpt"] == ["no-new-privileges", 'seccomp={"defaultAction":"SCMP_ACT_ALLOW"}']
    strata("start", "held")
    assert "CapEff:\t00000000a80435db" in strata("exec", "held", "cat", "/proc/self/status")
    every = f"CapEff:\t{bounding() & mask(CAPS):016x}"
    assert every in strata("exec", "--privileged", "held", "cat", "/proc/self/status")
    strata("rm", "-f", "held")
    assert json.loads(strata("info", "--format", "{{json .SecurityOptions}}"))[0] == "name=seccomp,profile=builtin"
    wrong = strata.run("create", "--cap-add", "nonsense", "--name", "wrong", "probes")
    assert wrong.returncode != 0
    assert 'invalid CapAdd: unknown capability: "CAP_NONSENSE"' in wrong.stderr
    assert "wrong" not in strata("ps", "-a", "--format", "{{.Names}}")
    assert strata("system", "check")
    eventually(lambda: not any((house.root / "tmp").iterdir()))
