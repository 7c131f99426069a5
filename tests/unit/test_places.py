"""Which words name a place, and which a registry's image."""

from __future__ import annotations

import pytest

from engine.commands.places import Place, parse_place
from engine.errors import InvalidInput


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("docker-daemon:demo", Place("docker-daemon", "", "demo")),
        ("docker-daemon:host:5000/demo:1", Place("docker-daemon", "", "host:5000/demo:1")),
        ("podman:localhost/demo:1", Place("podman", "", "localhost/demo:1")),
        ("containers-storage:demo", Place("podman", "", "demo")),
        ("oci:dir", Place("oci", "dir", "")),
        ("oci:/some/dir:v1", Place("oci", "/some/dir", "v1")),
        ("oci:./5000/demo", Place("oci", "./5000/demo", "")),
        ("oci-archive:a.tar:v1", Place("oci-archive", "a.tar", "v1")),
        ("docker-archive:a.tar:host:5000/demo:1", Place("docker-archive", "a.tar", "host:5000/demo:1")),
    ],
)
def test_places(text: str, place: Place) -> None:
    assert parse_place(text) == place
    assert str(place).removeprefix("podman:") == text.removeprefix("containers-storage:").removeprefix("podman:")


@pytest.mark.parametrize(
    "text",
    [
        "demo",
        "demo:1",
        "host:5000/demo",
        "podman",
        "podman/stable:v5",
        "quay.io/podman:latest",
        "docker.io/library/podman:latest",
        "podman:5000/demo",
        "oci:5000/demo:1",
        "docker:27",
        "oci-image:1",
    ],
)
def test_names_of_registries_images(text: str) -> None:
    assert parse_place(text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("docker-daemon:", "docker-daemon:NAME"),
        ("podman:", "podman:NAME"),
        ("oci:", r"oci:DIRECTORY\[:TAG\]"),
        ("oci::v1", r"oci:DIRECTORY\[:TAG\]"),
        ("docker-archive::x", r"docker-archive:FILE\[:NAME\]"),
    ],
)
def test_half_a_place_is_an_error_that_shows_the_whole(text: str, expected: str) -> None:
    with pytest.raises(InvalidInput, match=f"expected {expected}"):
        parse_place(text)
