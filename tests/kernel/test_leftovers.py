"""The detector of leftovers finds each kind of leftover: else the tests that trust it could not fail."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from engine import cgroups
from engine.cgroups.names import parent_name
from engine.kernel import mounts
from tests.support import leftovers
from tests.support.needs import needs_root

# A grandchild that outlives its parent, as a monitor does its launcher.
ORPHAN = "import subprocess; subprocess.Popen(['sleep', '300'])"


@pytest.fixture
def adopting() -> Iterator[None]:
    needs_root()
    leftovers.adopt_orphans(True)
    yield
    leftovers.adopt_orphans(False)


@pytest.mark.usefixtures("adopting")
def test_each_kind_of_leftover_is_found(tmp_path: Path) -> None:
    root = str(tmp_path)
    before = leftovers.take(root)
    with ExitStack() as stack:
        (tmp_path / "file").touch()
        (tmp_path / "mounted").mkdir()
        mounts.mount("tmpfs", f"{root}/mounted", "tmpfs")
        stack.callback(mounts.umount, f"{root}/mounted")
        group = cgroups.create(parent_name(root), "leftover")
        stack.callback(group.remove)
        stack.callback(os.close, os.open("/dev/null", os.O_RDONLY))
        subprocess.run([sys.executable, "-c", ORPHAN], check=True)
        left = leftovers.settle(root, before, 0.2)
        orphan = next(int(line.split()[1]) for line in left if line.startswith("processes:") and "sleep 300" in line)
        stack.callback(os.kill, orphan, 9)
        kinds = [line.partition(":")[0] for line in left]
        assert {kind: kinds.count(kind) for kind in ("mounts", "processes", "descriptors", "files")} == {
            "mounts": 1,
            "processes": 1,
            "descriptors": 1,
            "files": 2,
        }
        assert "cgroups" in kinds
    (tmp_path / "file").unlink()
    (tmp_path / "mounted").rmdir()
    assert leftovers.settle(root, before) == []
