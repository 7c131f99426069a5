"""Whatever an image or a container calls its things, the whole screen stays what it is, at every size."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator

import pytest

from engine import Engine
from engine.archive.load import load
from engine.commands.options import CreateOptions
from tests.support.archives import Dir, File, ImageSpec, Symlink, docker_archive
from tests.support.rootfs import PATH, tiny_layer
from tests.tui.conftest import Open

NAMES = [
    "[",
    "[bold]b",
    "[/]",
    "\x1b[2J\x1b]0;owned\x07",
    "\x9b31m",
    "\u202egpj.exe",
    "a\nb\tc\rd",
    "\udcff\udcfe",
    "漢字かな交じり",
    "e\u0301\u0301\u0301\u0301",
    "\u200b",
    "n" * 255,
    "x" * 100 + "\u202e",
    "👩\u200d👩\u200d👧🏽 🇩🇪",
    " ",
    "{{.ID}}",
    "$(reboot)",
]
DANGER = {"\x1b", "\x9b", "\u202e", "\u200b", "\u200d", "\n", "\r", "\t", "\x07", "\udcff"}
IMAGE = "hostile:latest"


@pytest.fixture(scope="module")
def hostile(engine: Engine) -> Iterator[str]:
    """A running container with hostile files, process names, log lines, labels, environment and command."""
    files = [File(f"evil/{name}".replace("[/]", "[_]"), b"x") for name in NAMES if "/" not in name]
    links = [Symlink("evil/link", "\x1b[31m\u202e[/x]")]
    nested = [Dir("evil/["), File("evil/[/x]", b"x")]
    labels = {"\x1b[31m[/x]": "\u202e\x9b", "plain": "a\nb"}
    config = {"Env": [PATH], "Labels": labels}
    spec = ImageSpec([tiny_layer(), [Dir("evil"), *files, *links, *nested]], [IMAGE], config)
    load(engine.store, io.BytesIO(docker_archive(spec)))
    # What it writes, and how its process calls itself.
    script = (
        r"printf '\033[2J\033]0;owned\007[/x]\342\200\256 \377\n'; printf '\033[2J[x]' >/proc/$$/comm;"
        "while :; do sleep 1; done"
    )
    options = CreateOptions(name="evil", command=("sh", "-c", script), labels={"\u202e[/x]": "\x1b"})
    made = engine.create(IMAGE, options)
    engine.start(made)
    upper = os.fsencode(engine.stack(made).layers[-1].diff_path)
    os.makedirs(upper + b"/w\xff[/\x1b[2J".replace(b"/", b"_"))
    yield made
    engine.remove(made, force=True)
    engine.remove_image(IMAGE)


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_the_whole_screen_stays_what_it_is(opened: Open, hostile: str, size: tuple[int, int]) -> None:
    async with opened("evil", size) as driven:

        def harmless() -> None:
            strips = driven.app.screen._compositor.render_strips()
            assert len(strips) == size[1]
            for strip in strips:
                assert strip.cell_length == size[0]
                assert not DANGER & set(strip.text), strip.text

        harmless()
        for keys in (["2", "slash"], ["2"], ["3"], ["4"], ["l"], ["i"], ["d"], ["1"], ["0"], ["D"]):
            await driven.press(*keys)
            if keys == ["2", "slash"]:
                await driven.type("evil")
                await driven.press("enter")
                for _ in range(len(NAMES)):
                    await driven.press("j")
                    harmless()
            harmless()
        await driven.press("escape")


async def test_what_is_dangerous_is_shown_as_what_it_is(opened: Open, hostile: str) -> None:
    async with opened("evil") as driven:
        await driven.press("slash")
        await driven.type("evil")
        await driven.press("enter")
        files = driven.pane("files")
        for shown in (
            "\\x1b[2J",
            "\\x9b31m",
            "<U+202E>gpj.exe",
            "a\\nb\\tc\\rd",
            "\\xff\\xfe",
            "漢字",
            "[/x]",
            "[bold]b",
        ):
            assert shown in files, shown
        await driven.press("1", "l")
        await driven.until(lambda: "\\x1b[2J\\x1b]0;owned\\x07[/x]<U+202E>" in driven.pane("details"), "the log")
        await driven.until(lambda: "\\x1b[" in driven.pane("stack"), "the process's name")
