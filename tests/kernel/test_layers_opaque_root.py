"""An archive whose root is opaque hides every layer below, in the view and in a container: the kernel does not."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest

from engine import Engine
from tests.support.archives import File, ImageSpec, Member, docker_archive, layer_tar
from tests.support.command import Strata
from tests.support.needs import needs_root
from tests.support.rootfs import PATH, tiny_layer


@pytest.fixture
def strata() -> Iterator[Strata]:
    needs_root()
    with Strata() as command:
        yield command


def test_a_container_sees_nothing_below_an_opaque_root(strata: Strata) -> None:
    new = layer_tar([Member(".wh..wh..opq", mode=0)])[:-1024] + tiny_layer()
    image = ImageSpec([[File("below", b"secret")], new, [File("above")]], ["cut"], {"Env": [PATH], "Cmd": ["sh"]})
    with Engine(strata.root) as engine:
        engine.load(io.BytesIO(docker_archive(image)))
        shown = [row.path for row in engine.stack("cut").view().walk()]
    assert "above" in shown and "below" not in shown
    assert strata("run", "--rm", "cut", "sh", "-c", "ls /above; ls /below || true; ls -d /proc/1").split() == [
        "/above",
        "/proc/1",
    ]
