"""Capabilities taken away as root: what a container's first process must not have any more."""

from __future__ import annotations

import os

from engine.kernel import capabilities
from tests.support.isolated import isolated
from tests.support.needs import needs_root
from tests.unit.test_kernel_capabilities import kernel_sets

needs_root()


def test_a_dropped_capability_does_not_come_back_by_an_exec() -> None:
    def act() -> dict[str, int]:
        capabilities.drop_bounding(capabilities.CAPS["CAP_SYS_ADMIN"])
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.dup2(writer, 1)
            os.execvp("grep", ["grep", "^Cap", "/proc/self/status"])
        os.close(writer)
        os.waitpid(pid, 0)
        lines = os.read(reader, 4096).decode().splitlines()
        return {line[:6]: int(line.split()[1], 16) for line in lines}

    sets = isolated(act, 0)
    without = kernel_sets()["CapBnd"] & ~capabilities.mask(["CAP_SYS_ADMIN"])
    assert sets["CapBnd"] == sets["CapPrm"] == sets["CapEff"] == without


def test_the_permitted_set_outlives_a_change_of_user_only_when_kept() -> None:
    def act(keep: bool) -> dict[str, int]:
        capabilities.keep_caps(keep)
        os.setresuid(65534, 65534, 65534)
        return kernel_sets()

    kept, lost = isolated(lambda: act(True), 0), isolated(lambda: act(False), 0)
    assert kept["CapPrm"] == kernel_sets()["CapPrm"]
    assert (kept["CapEff"], lost["CapPrm"], lost["CapEff"]) == (0, 0, 0)


def test_the_docker_set_is_exactly_what_was_set() -> None:
    wanted = capabilities.mask(["CAP_CHOWN", "CAP_MKNOD", "CAP_AUDIT_WRITE"])

    def act() -> dict[str, int]:
        for number in range(capabilities.last_cap() + 1):
            if not wanted >> number & 1 and capabilities.bounding() >> number & 1:
                capabilities.drop_bounding(number)
        capabilities.clear_ambient()
        capabilities.set(wanted, wanted, 0)
        return kernel_sets()

    assert isolated(act, 0) == {"CapInh": 0, "CapPrm": wanted, "CapEff": wanted, "CapBnd": wanted, "CapAmb": 0}
