"""A container's root may make the nodes of the host's loop devices, and still not open them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from engine.store.root import Store
from tests.support.command import Strata
from tests.support.needs import needs_root
from tests.support.rootfs import tiny_image

needs_root()


def test_a_container_cannot_open_the_hosts_devices(tmp_path: Path) -> None:
    os.mknod(tmp_path / "control", stat.S_IFCHR | 0o600, os.makedev(10, 237))
    os.close(os.open(tmp_path / "control", os.O_RDONLY))  # who is not bound by the group can open it
    make = "mknod /dev/control c 10 237 && mknod /dev/loop b 7 0 && ls /dev"
    with Strata() as strata:
        tiny_image(Store(strata.root), "tiny")
        assert "control" in strata("run", "tiny", "sh", "-c", make).split()
        refused = strata.run("run", "tiny", "sh", "-c", f"{make} >/dev/null; cat /dev/control; cat /dev/loop")
        assert refused.stdout == ""
        assert refused.stderr.count("Operation not permitted") == 2
        assert strata("run", "tiny", "sh", "-c", "head -c3 /dev/urandom >/dev/null && echo fine") == "fine"
        # What an exec starts is bound by the same group.
        name = strata("run", "-d", "tiny", "sh", "-c", f"{make} >/dev/null; exec sleep 600")
        later = strata.run("exec", name, "cat", "/dev/control")
        assert later.returncode != 0
        assert "Operation not permitted" in later.stderr
