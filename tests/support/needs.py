"""What a test needs of the machine: skip with the reason where it is missing, fail in CI.

Call these first in a test or a fixture, or at the top of a module whose every test needs them:

    needs_root()
    needs("podman", "skopeo")

`.ci/run` installs everything and sets STRATA_CI=1, so that there a missing tool is a failure and no test
passes by not running.
"""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest


def needs(*tools: str) -> None:
    """Go on only if every one of these programs is on the PATH."""
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        unmet(f"not installed: {', '.join(missing)}")


def needs_root() -> None:
    """Go on only as root."""
    if os.geteuid() != 0:
        unmet("needs root: real mounts, namespaces and cgroups")


def unmet(reason: str) -> NoReturn:
    """Skip the test (or the module) for this reason; with STRATA_CI=1, fail it."""
    if os.environ.get("STRATA_CI") == "1":
        pytest.fail(f"STRATA_CI=1 and {reason}", pytrace=False)
    pytest.skip(reason, allow_module_level=True)
