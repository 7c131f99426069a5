"""The document's own check: what a container wrote lies, after it ended, in its read-write layer on the host's disk."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from app.demo import image
from engine import Engine
from tests.support.command import Strata
from tests.support.needs import needs_root


@pytest.fixture
def strata() -> Iterator[Strata]:
    needs_root()
    with Strata() as command:
        with Engine(command.root) as engine:
            image.ensure(engine)
        yield command


def test_a_file_written_by_an_ended_container_lies_in_its_read_write_layer_and_nowhere_else(strata: Strata) -> None:
    strata("run", "--name", "writer", "demo", "touch", "progress.log")
    assert strata("inspect", "--format", "{{.State.Status}}", "writer") == "exited"
    container = strata("inspect", "--format", "{{.Id}}", "writer")
    found = subprocess.run(
        ["find", strata.root, "-name", "progress.log"], capture_output=True, text=True, check=True
    ).stdout
    assert found == f"{strata.root}/layers/{container}/diff/srv/site/progress.log\n"
    assert strata("diff", "writer") == "C /srv\nC /srv/site\nA /srv/site/progress.log"
