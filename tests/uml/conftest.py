"""What the story's chapters found: on this machine's own kernel, and on user-mode Linux, which boots once for all."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.engine import Engine
from tests.support.command import HOUSE
from tests.support.needs import needs_root
from tests.uml.guest import Guest

Told = dict[str, dict[str, Any]]


@pytest.fixture(scope="session")
def directory() -> Iterator[Path]:
    """A directory of the tests' own, on a disk that takes overlay's upper directories."""
    with tempfile.TemporaryDirectory(prefix="strata-uml-", dir="/var/tmp") as path:
        yield Path(path)


@pytest.fixture(scope="session")
def told_here(directory: Path) -> Told:
    needs_root()
    store, answer = directory / "here", directory / "here.json"
    store.mkdir()
    argv = [sys.executable, "-m", "tests.uml.story", str(store), str(answer)]
    try:
        subprocess.run(argv, cwd=HOUSE, stdout=subprocess.DEVNULL, check=True, timeout=600)
    finally:
        for root in store.iterdir():  # what a story that was killed left
            with Engine(str(root)) as engine:
                for one in engine.containers(all=True):
                    engine.remove(one.id, force=True)
    found: Told = json.loads(answer.read_text())
    return found


@pytest.fixture(scope="session")
def told_by_guest(directory: Path) -> Told:
    (directory / "guest").mkdir()
    answer: Told = Guest(directory / "guest").run("tests.uml.story")
    return answer


@pytest.fixture(params=["here", "uml"])
def told(request: pytest.FixtureRequest) -> Told:
    """Both worlds, one after the other."""
    found: Told = request.getfixturevalue("told_here" if request.param == "here" else "told_by_guest")
    return found
