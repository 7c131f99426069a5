"""The document's figures on the screen, from a real store, a real mount and real processes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from engine import Engine
from tests.tui.conftest import NAME, Open

Make = Callable[..., str]


async def test_figure_1_an_image_its_layers_and_the_one_filesystem(opened: Open) -> None:
    async with opened(NAME) as driven:
        stack, files = driven.pane("stack"), driven.pane("files")
        assert "L3 ro" in stack and "L2 ro" in stack and "L1 ro" in stack
        assert "RW" not in stack and "process space" not in stack
        assert stack.count("▼") == 2
        for name in ("bin", "site", "cache"):
            assert name in files
        assert "1 Stack" in driven.screen() and "2 Files" in driven.screen()


async def test_figure_2_a_container_has_a_read_write_box_on_top_and_no_process_box(
    opened: Open, container: Make
) -> None:
    container("box", start=False)
    async with opened("box") as driven:
        stack = driven.pane("stack")
        assert stack.index("RW") < stack.index("L3 ro") and "┏" in stack
        assert "process space" not in stack
        assert "created" in driven.pane("list")


async def test_figure_3_a_running_container_has_its_real_processes_in_a_box(
    opened: Open, container: Make, engine: Engine
) -> None:
    made = container("box")
    async with opened("box") as driven:
        pid = engine.container(made).state.pid
        await driven.until(lambda: f"host {pid}" in driven.pane("stack"), "pid 1 with its number outside")
        assert driven.pane("stack").startswith("╔ ▶ process space")
        engine.kill(made)
        await driven.until(lambda: "process space" not in driven.pane("stack"), "the box goes with the processes")
        assert "RW" in driven.pane("stack"), "the stack stays"


async def test_figure_4_a_process_writes_and_the_layers_below_stay(
    opened: Open, container: Make, engine: Engine
) -> None:
    made = container("box", command=("sh", "-c", "echo three >/site/page; >/site/new; rm -r /cache; exec sleep 1000"))
    upper = engine.stack(made).layers[-1].diff_path
    async with opened("box") as driven:
        await driven.until(lambda: os.path.exists(f"{upper}/site/new"), "the process writes")
        await driven.until(lambda: "new" in driven.pane("files"), "the file is seen")
        await driven.until(lambda: "⊘" in driven.pane("files"), "the whiteout is seen")
        new = next(line for line in driven.pane("files").split("\n") if " new" in line)
        page = next(line for line in driven.pane("files").split("\n") if "page" in line and "⇡" in line)
        assert new.startswith("+") and "RW" in new
        assert page.startswith("~") and "⇡L3" in page
        lower = engine.stack(made).layers[-2].diff_path
        assert Path(lower, "site/page").read_text() == "two, longer\n"


async def test_figure_5_a_layer_its_files_and_its_sheet(opened: Open, engine: Engine) -> None:
    async with opened(NAME) as driven:
        await driven.press("1", "left_square_bracket", "i", "o")
        layer = engine.stack(NAME).layers[1]
        sheet, files = driven.words("details"), driven.pane("files")
        assert layer.id in sheet and layer.parent in sheet and layer.diff_path in sheet
        assert "site" in files and "bin" not in files


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_the_figures_are_whole_at_every_size(opened: Open, container: Make, size: tuple[int, int]) -> None:
    container("box")
    async with opened("box", size) as driven:
        await driven.until(lambda: "pid 1" in driven.pane("stack") or "1 sh" in driven.pane("stack"), "processes")
        screen = driven.screen()
        assert len(driven.rows()) == size[1]
        assert {strip.cell_length for strip in driven.app.screen._compositor.render_strips()} == {size[0]}
        for word in ("process space", "RW", "L3", "L1", "box", "layered:latest", "site", "help", "quit"):
            assert word in screen, word


async def test_a_terminal_that_is_too_small_says_what_it_needs(opened: Open) -> None:
    async with opened(NAME, (60, 15)) as driven:
        assert "60×15" in driven.screen() and "80×24" in driven.screen()
        await driven.pilot.resize_terminal(100, 30)
        await driven.settle()
        assert "80×24" not in driven.screen() and "Stack" in driven.screen()
        await driven.pilot.resize_terminal(60, 15)
        await driven.settle()
        await driven.pilot.press("q")
    assert driven.app.return_code == 0


async def test_paused_looks_frozen_and_goes_on(opened: Open, container: Make, engine: Engine) -> None:
    made = container("box")
    async with opened("box") as driven:
        engine.pause(made)
        await driven.until(lambda: "❄" in driven.pane("stack"), "frozen in the stack")
        await driven.until(lambda: "❄" in driven.pane("list"), "frozen in the list")
        engine.unpause(made)
        await driven.until(lambda: "❄" not in driven.screen(), "thawed")
