"""The edges: a stack of 500 layers, an empty store, leaving while something runs, no colours, no terminal."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable

import pytest
from textual.pilot import Pilot

from app.tui.actions import ACTIONS, allowed
from app.tui.app import Explorer
from engine import Engine
from engine.archive.load import load
from tests.support.archives import Dir, File, ImageSpec, docker_archive
from tests.support.command import HOUSE, Strata
from tests.tui.conftest import NAME, Open

Make = Callable[..., str]


async def test_five_hundred_layers_scroll(opened: Open, engine: Engine) -> None:
    layers = [[Dir("d"), File(f"d/{number}", b"x")] for number in range(500)]
    load(engine.store, io.BytesIO(docker_archive(ImageSpec(layers, ["deep:latest"]))))
    async with opened("deep") as driven:
        assert "L500" in driven.screen() and "499" in driven.pane("files")
        await driven.press("1", "G")
        assert driven.app.session.layer == 0 and "L1 " in driven.screen() and "L500" not in driven.screen()
        await driven.press("right_square_bracket")
        assert driven.app.session.layer == 1 and "merged up to L2" in driven.screen()
        await driven.press("g")
        assert driven.app.session.layer == 499 and "L500" in driven.screen()
        await driven.press("2", "o")
        assert "499" in driven.pane("files") and "498" not in driven.pane("files")
    engine.remove_image("deep")


async def test_an_empty_store_says_what_to_do() -> None:
    with Strata() as nothing, Engine(nothing.root) as engine:
        app = Explorer(engine)
        async with app.run_test(size=(80, 24)) as pilot:
            await app.settled()
            await pilot.pause()
            screen = "\n".join(strip.text for strip in app.screen._compositor.render_strips())
            assert "containers" in screen and "images" in screen and "strata" in screen
            await every_key(pilot)
        assert app._exception is None


async def every_key(pilot: Pilot[int]) -> None:
    """Every key of the registry but the ones that leave, each followed by what closes a dialog."""
    for action in ACTIONS:
        if action.id != "quit":
            for key in action.keys:
                await pilot.press(key)
                await pilot.press("escape")


@pytest.mark.parametrize("select", [NAME, "box"])
async def test_no_key_breaks_it(opened: Open, container: Make, select: str) -> None:
    container("box", start=False)
    async with opened(select, (80, 24)) as driven:
        await every_key(driven.pilot)
        await driven.settle()
        await driven.press("1")
        assert "1 Stack" in driven.screen()


async def test_leaving_while_something_runs_is_asked_for_twice(opened: Open, container: Make, engine: Engine) -> None:
    made = container("box", command=("sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"), stop_timeout=3)
    async with opened("box") as driven:
        await driven.pilot.press("s", "q")
        await driven.until(lambda: "q again" in driven.screen(), "it asks")
        assert driven.app.is_running
        await driven.pilot.press("q")
    assert driven.app.return_code == 0
    assert engine.container(made).state.running


async def test_the_palette_lists_every_action_that_can_be_done(opened: Open, container: Make) -> None:
    container("box")
    async with opened("box") as driven:
        offered = {command.title for command in driven.app.get_system_commands(driven.app.screen)}
        wanted = {
            action.label
            for action in ACTIONS
            if not action.pane and action.id != "palette" and allowed(action, "container", "running")
        }
        assert wanted <= offered


async def test_without_colours_every_meaning_is_left(
    opened: Open, container: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    container("box", command=("sh", "-c", "echo three >/site/page; rm -r /cache; mkdir /cache; exec sleep 1000"))
    async with opened("box") as driven:
        await driven.until(lambda: "⇡L3" in driven.pane("files"), "what it changed")
        screen = driven.screen() + driven.pane("files")
        for glyph in ("▶", "┏", "┌", "╔", "▼", "~", "⇡L3", "▒", "◌", "⊘"):
            assert glyph in screen, glyph
        for strip in driven.app.screen._compositor.render_strips():
            for segment in strip:
                color = segment.style.color.triplet if segment.style and segment.style.color else None
                assert color is None or len(set(color)) == 1, "a colour"


def test_without_a_terminal_it_says_so(strata: Strata) -> None:
    done = strata.run()
    assert done.returncode == 1 and "terminal" in done.stderr and not done.stdout


def test_the_first_frame_waits_for_nothing_that_is_needed_later() -> None:
    code = "import sys, app.tui.app; print('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=HOUSE, capture_output=True, text=True, check=True)
    later = {"pyroute2", "isal", "app.tui.screens.run", "app.tui.screens.help", "engine.archive.load"}
    assert not later & set(done.stdout.split())
