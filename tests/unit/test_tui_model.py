"""What the explorer begins with."""

from __future__ import annotations

from app.tui.model import Objects
from engine.commands.summaries import ContainerSummary, ImageSummary


def container(name: str, status: str) -> ContainerSummary:
    return ContainerSummary(name, name, "demo", "sha256:d", "sh", "", status, 0, "", "", 0, {})


IMAGE = ImageSummary("sha256:d", "image", ("demo:latest",), "", "", 0, (), "", {}, 0)


def test_it_begins_with_what_runs_else_with_the_newest() -> None:
    newest, frozen, old = container("newest", "created"), container("frozen", "paused"), container("old", "running")
    assert Objects((newest, frozen, old), (IMAGE,)).first == "frozen"
    assert Objects((newest,), (IMAGE,)).first == "newest"
    assert Objects((), (IMAGE,)).first == "sha256:d"
    assert Objects().first == ""
