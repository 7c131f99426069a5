"""The same for an ordinary user's containers: root in a user namespace is held by the same filter."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.kernel.capabilities import mask
from engine.runtime.confinement import CAPABILITIES
from tests.kernel.test_confinement import tar
from tests.support.archives import ImageSpec, docker_archive
from tests.support.needs import needs_root
from tests.support.ordinary import OrdinaryUser
from tests.support.probes import Call, verdict
from tests.support.rootfs import tiny_layer

pytestmark = pytest.mark.skipif(os.uname().machine != "x86_64", reason="the programs are made for x86-64")


@pytest.fixture(scope="module", params=[True, False], ids=["subuid", "alone"])
def user(request: pytest.FixtureRequest) -> Iterator[OrdinaryUser]:
    needs_root()
    programs = {
        "unshare": (0o755, verdict(Call("unshare", (0,)))),
        "keyctl": (0o755, verdict(Call("keyctl", (0, -3 % 2**32, 0)))),
        "clone3": (0o755, verdict(Call("clone3", (0, 0)))),
        "keyctl32": (0o755, verdict(Call("keyctl", (0, -3, 0), "X86"))),
        "euid": (0o4755, verdict(Call("geteuid"))),
    }
    with OrdinaryUser(subordinate=request.param) as user:
        archive = Path(user.home) / "probes.tar"
        archive.write_bytes(docker_archive(ImageSpec([tiny_layer(), tar(programs)], ["probes"], {"Cmd": ["sh"]})))
        archive.chmod(0o644)
        user.strata("load", "-q", "-i", str(archive))
        yield user


def test_an_ordinary_users_containers_are_held_the_same(user: OrdinaryUser) -> None:
    script = "for call in unshare keyctl clone3 keyctl32; do /$call; echo $call $?; done; cat /proc/self/status"
    lines = user.strata("run", "--rm", "probes", "sh", "-c", script).splitlines()
    assert lines[:4] == [
        f"{call} {number}"
        for call, number in (
            ("unshare", errno.EPERM),
            ("keyctl", errno.EPERM),
            ("clone3", errno.ENOSYS),
            ("keyctl32", errno.EPERM),
        )
    ]
    status = dict(line.split(":\t", 1) for line in lines[4:])
    held = f"{mask(f'CAP_{name}' for name in CAPABILITIES):016x}"
    assert (status["CapEff"], status["CapBnd"], status["CapInh"]) == (held, held, f"{0:016x}")
    assert (status["Seccomp"], status["NoNewPrivs"]) == ("2", "0")

    script = "/unshare; echo $?; grep -E 'Seccomp:|NoNewPrivs' /proc/self/status"
    flags = ("--cap-add", "SYS_ADMIN", "--security-opt", "no-new-privileges")
    assert user.strata("run", "--rm", *flags, "probes", "sh", "-c", script) == "0\nNoNewPrivs:\t1\nSeccomp:\t2"


def test_set_user_id_programs(user: OrdinaryUser) -> None:
    run = ("run", "--rm", "-u", "12:34")
    command = ("probes", "sh", "-c", "/euid; echo $?")
    if not any(user.ranges):
        assert "user 12, or one of its groups, cannot be had here" in user.refused(*run, *command, status=125)
        return
    assert user.strata(*run, *command) == "0"
    assert user.strata(*run, "--security-opt", "no-new-privileges", *command) == str(256 - 12)
