"""docker's own containers next to ours: the same answers to the same calls, the same sets, words and fields."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from engine.kernel.capabilities import CAPS, bounding, names
from engine.store.root import Store
from tests.kernel.test_confinement import ALLOWED, OF_I386, OF_X32, REFUSED, calls, tar
from tests.peers.dockerd import Dockerd
from tests.support.archives import ImageSpec, docker_archive
from tests.support.command import Strata
from tests.support.needs import needs, needs_root
from tests.support.probes import EUID, Call, answers, probe
from tests.support.rootfs import tiny_layer

needs_root()
needs("dockerd", "docker", "runc")

pytestmark = pytest.mark.skipif(os.uname().machine != "x86_64", reason="the programs are made for x86-64")

ASKED = calls(REFUSED, ALLOWED, OF_I386, OF_X32)
SINCE_DOCKER_29 = {
    *(Call("socket", (family, kind, 0), abi) for family, kind in ((38, 5), (40, 1)) for abi in ("X86_64", "X86")),
    Call("io_uring_setup", (1, 0)),
}
"""What docker refuses now and Debian's older one, which may be the one here, did not."""


class Pair:
    """An image with the probes at both."""

    def __init__(self, strata: Strata, dockerd: Dockerd) -> None:
        self.strata, self.dockerd = strata, dockerd
        programs = {"probe": (0o755, probe(ASKED)), "euid": (0o4755, probe([EUID]))}
        archive = docker_archive(
            ImageSpec([tiny_layer(), tar(programs)], ["probes:latest"], {"Cmd": ["sleep", "1000"]})
        )
        dockerd.docker("load", stdin=archive)
        path = Path(strata.root) / "probes.tar"
        path.write_bytes(archive)
        Store(strata.root)
        strata("load", "-q", "-i", str(path))
        path.unlink()

    def both(self, verb: str, *words: str) -> tuple[subprocess.CompletedProcess[bytes], ...]:
        """What docker and strata do with the same words."""
        network = ("--network=none",) if verb in ("run", "create") else ()
        docker = ["docker", verb, *network, *words]
        found = []
        for argv, env in ((docker, self.dockerd.env), (self.strata.argv(verb, *words), self.strata.env)):
            found.append(subprocess.run(argv, env=env, capture_output=True, stdin=subprocess.DEVNULL, timeout=120))
        return tuple(found)

    def same(self, verb: str, *words: str) -> bytes:
        """What both print, which must be the same."""
        docker, ours = self.both(verb, *words)
        assert docker.returncode == ours.returncode == 0, (docker, ours)
        assert ours.stdout == docker.stdout, words
        return ours.stdout


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with Dockerd() as dockerd, Strata() as strata:
        yield Pair(strata, dockerd)


def test_the_same_answers_to_the_same_calls(pair: Pair) -> None:
    for flags in ([], ["--cap-add=SYS_ADMIN", "--cap-add=SYS_PTRACE"], ["--cap-drop=ALL"]):
        docker, ours = pair.both("run", "--rm", *flags, "probes", "/probe")
        assert docker.returncode == ours.returncode == 0, (docker, ours)
        for call, theirs, own in zip(ASKED, answers(docker.stdout), answers(ours.stdout), strict=True):
            assert own == (-1 if call in SINCE_DOCKER_29 else theirs), (flags, call)


EVERY = names(bounding()) == list(CAPS)
"""Whether this machine's root has all capabilities: docker gives all or nothing."""
SETS = ("sh", "-c", "grep -E 'Cap|NoNewPrivs|Seccomp|Groups' /proc/self/status")


@pytest.mark.parametrize(
    "flags",
    [
        [],
        ["--user=12:34"],
        ["--cap-drop=all", "--cap-add=chown", "--cap-add=CAP_NET_ADMIN"],
        ["--security-opt=no-new-privileges"],
        ["--security-opt=seccomp=unconfined"],
        *([["--privileged"], ["--cap-add=ALL", "--cap-drop=sys_admin"]] if EVERY else []),
    ],
    ids=" ".join,
)
def test_the_same_sets(pair: Pair, flags: Sequence[str]) -> None:
    pair.same("run", "--rm", *flags, "probes", *SETS)


def test_the_same_for_processes_that_join(pair: Pair) -> None:
    docker, ours = pair.both("run", "-d", "--name", "same", "--cap-drop=kill", "probes")
    assert docker.returncode == ours.returncode == 0, (docker, ours)
    try:
        pair.same("exec", "same", *SETS)
        pair.same("exec", "-u", "12:34", "same", *SETS)
        if EVERY:
            pair.same("exec", "--privileged", "same", "grep", "Cap", "/proc/self/status")
    finally:
        pair.both("rm", "-f", "same")


def test_set_user_id_programs_do_the_same(pair: Pair) -> None:
    assert answers(pair.same("run", "--rm", "--user=12", "probes", "/euid")) == [0]
    nothing_new = ("--security-opt", "no-new-privileges", "probes", "/euid")
    assert answers(pair.same("run", "--rm", "--user=12", *nothing_new)) == [12]


@pytest.mark.parametrize(
    "flag",
    [
        "--cap-add=FOO",
        "--cap-drop=cap_foo",
        "--security-opt=foo=bar",
        "--security-opt=no-new-privileges=maybe",
        "--security-opt=seccomp=/nonexistent",
    ],
)
def test_the_same_words_for_what_cannot_be(pair: Pair, flag: str) -> None:
    docker, ours = pair.both("run", "--rm", flag, "probes", "true")
    assert docker.returncode == ours.returncode == 125
    said = docker.stderr.decode().splitlines()[0].removeprefix("docker: ").removeprefix("Error response from daemon: ")
    assert said.rstrip(".") in ours.stderr.decode()


def test_the_same_fields(pair: Pair) -> None:
    fields = ("CapAdd", "CapDrop", "Privileged", "SecurityOpt", "MaskedPaths", "ReadonlyPaths")
    shown = [
        "inspect",
        "--type=container",
        "--format",
        "[" + ",".join(f"{{{{json .HostConfig.{n}}}}}" for n in fields) + "]",
    ]
    for flags in (
        ["--cap-add=net_admin", "--cap-add=chown", "--cap-drop=kill", "--security-opt=no-new-privileges"],
        ["--cap-add=ALL", "--security-opt=systempaths=unconfined"],
        ["--privileged"],
    ):
        created = pair.both("create", "--name=shown", *flags, "probes", "true")
        assert all(done.returncode == 0 for done in created), created
        found = pair.both(*shown, "shown")
        pair.both("rm", "-f", "shown")
        docker, ours = (dict(zip(fields, json.loads(done.stdout), strict=True)) for done in found)
        for name in fields:
            if name in ("MaskedPaths", "ReadonlyPaths") and ours[name]:
                assert set(docker[name]) - {"/proc/acpi"} <= set(ours[name]), name  # newer ones hide more
            else:
                assert (ours[name] or None) == (docker[name] or None), (flags, name)
