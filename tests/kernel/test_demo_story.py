"""`strata demo`: layers that do what their history says, a container that lives on them, and nothing afterwards."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.demo import container, content, hostfiles, image
from engine import Engine
from engine.commands.options import CreateOptions
from engine.errors import Conflict
from tests.support.command import Strata
from tests.support.needs import needs_root
from tests.support.waiting import until


@pytest.fixture
def strata() -> Iterator[Strata]:
    needs_root()
    with Strata() as command:
        yield command


@pytest.fixture
def engine(strata: Strata) -> Iterator[Engine]:
    with Engine(strata.root) as engine:
        yield engine


def everything_kept(root: str) -> list[str]:
    """What a store holds of layers, blobs, containers and half-done work."""
    rooms = ("layers", "blobs/sha256", "containers", "tmp")
    return [f"{room}/{name}" for room in rooms for name in os.listdir(f"{root}/{room}")]


def test_two_stores_get_the_very_same_images(engine: Engine) -> None:
    first = image.ensure(engine), engine.image(image.BASE_NAME).id
    assert image.ensure(engine) == first[0]
    with Strata() as other, Engine(other.root) as second:
        assert (image.ensure(second), second.image(image.BASE_NAME).id) == first


def test_the_base_image_shares_its_layers(engine: Engine) -> None:
    image.ensure(engine)
    demo, base = engine.stack(image.NAME), engine.stack(image.BASE_NAME)
    assert len(demo.layers) == len(content.LAYERS)
    assert [layer.id for layer in base.layers] == [layer.id for layer in demo.layers[: content.BASE_LAYERS]]
    assert len(base.layers) == content.BASE_LAYERS
    assert [layer.created_by for layer in demo.layers] == [layer.created_by for layer in content.LAYERS]


def test_the_layers_add_change_delete_and_replace_in_the_kernels_own_form(engine: Engine) -> None:
    image.ensure(engine)
    _, settings, site, changed, deleted, replaced, _ = (Path(layer.diff_path) for layer in engine.stack("demo").layers)
    assert "keep = 3" in (settings / "etc/site.conf").read_text()
    assert "keep = 5" in (changed / "etc/site.conf").read_text()
    for path in ("srv/site/draft", "var/log/install.log"):
        assert (site / path).exists()
        facts = (deleted / path).lstat()
        assert stat.S_ISCHR(facts.st_mode) and facts.st_rdev == 0, f"{path} is no whiteout"
    assert sorted(os.listdir(site / "srv/cache")) == ["page-a", "page-b", "page-c"]
    assert os.getxattr(replaced / "srv/cache", "trusted.overlay.opaque") == b"y"
    assert os.listdir(replaced / "srv/cache") == ["page-new"]


def test_a_container_sees_one_filesystem(strata: Strata, engine: Engine) -> None:
    image.ensure(engine)
    seen = strata("run", "--rm", "demo", "sh", "-c", "cat /etc/site.conf; ls /srv/cache /srv/site /var/log; id -u")
    assert "keep = 5" in seen and "keep = 3" not in seen
    assert "page-new" in seen and "page-a" not in seen
    assert "draft" not in seen and "install.log" not in seen
    assert seen.endswith("\n0")


@pytest.mark.parametrize("busybox", [True, False], ids=["as the host is", "a host without busybox"])
def test_the_demo_container_writes_copies_up_deletes_and_serves(
    strata: Strata, engine: Engine, monkeypatch: pytest.MonkeyPatch, busybox: bool
) -> None:
    if not busybox:
        monkeypatch.setattr(hostfiles, "find_busybox", lambda: None)
    name = container.ensure(engine)
    root = Path(f"/proc/{strata.pid(name)}/root")
    page = root / "srv/site/index.html"
    until(lambda: "served at" in page.read_text())
    first = page.read_text()
    until(lambda: page.read_text() not in ("", first))
    until(lambda: ("etc/motd", "D") in {(change.path, change.kind) for change in engine.diff(name)})
    changes = {change.path: change.kind for change in engine.diff(name)}
    assert changes["srv/site/hits"] == "C"  # copied up
    assert changes["srv/site/obsolete.html"] == "D"
    assert changes["var/log/site.log"] == "A"
    until(lambda: "GET /index.html 200" in strata("logs", "demo"))
    started = time.monotonic()
    strata("stop", "-t", "30", "demo")
    assert time.monotonic() - started < 20, "it did not end on the stop signal"
    assert strata("inspect", "--format", "{{.State.ExitCode}}", "demo") == "0"


def test_however_long_it_runs_it_does_not_fill_the_disk(strata: Strata, engine: Engine) -> None:
    """The demo's own program, but it does not sleep: minutes of work in seconds."""
    image.ensure(engine)
    hurry = "sed 's/sleep 1/:/' /srv/serve.sh >/srv/hurry.sh; exec sh /srv/hurry.sh"
    name = strata("run", "--detach", "demo", "sh", "-c", hurry)
    root = Path(f"/proc/{strata.pid(name)}/root")

    def pages() -> int:
        return int((root / "srv/site/hits").read_text() or 0)

    until(lambda: pages() > 700, 60)
    engine.pause(name)
    layer = Path(engine.stack(name).layers[-1].diff_path)
    files = [path for path in layer.rglob("*") if path.is_file()]
    size = sum(path.lstat().st_size for path in files)
    log = strata("logs", name)
    engine.unpause(name)
    assert len(files) < 40 and size < 50_000, (len(files), size)
    assert 550 <= len(log.splitlines()) <= 610 + pages() // 60


def test_demo_again_reuses_what_is_there_and_remove_leaves_nothing(strata: Strata, engine: Engine) -> None:
    strata("demo", "--no-explorer")
    first = engine.container("demo").config.id
    strata("demo", "--no-explorer")
    assert engine.container("demo").config.id == first
    strata("kill", "demo")
    assert engine.containers() == []
    strata("demo", "--no-explorer")
    assert [row.id for row in engine.containers()] == [first]
    assert len(engine.images()) == 2
    strata("demo", "--remove")
    assert engine.containers(all=True) == [] and engine.images(all=True) == []
    assert everything_kept(strata.root) == []
    assert strata("demo", "--remove") == ""


def test_demo_leaves_other_peoples_things_alone(strata: Strata, engine: Engine) -> None:
    container.ensure(engine)
    other = engine.create(image.BASE_NAME, CreateOptions(name="mine"))
    with pytest.raises(Conflict, match="strata rm -f mine"):
        container.remove(engine)
    assert engine.containers()[0].name == "demo"  # nothing was removed
    engine.remove(other)
    engine.commit("demo", "mine")
    with pytest.raises(Conflict, match="strata rmi mine:latest"):
        container.remove(engine)
    assert engine.containers()[0].name == "demo"
    engine.remove_image("mine")
    engine.remove("demo", force=True)
    engine.create(image.BASE_NAME, CreateOptions(name="demo"))
    with pytest.raises(Conflict, match="not the demo's"):
        container.ensure(engine)
