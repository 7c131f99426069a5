"""Everything can be reached by keys alone and by the mouse alone; what is shown follows what is selected."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.tui.conftest import NAME, Open

Make = Callable[..., str]


async def test_a_layer_is_selected_and_the_view_goes_up_to_it(opened: Open) -> None:
    async with opened(NAME) as driven:
        await driven.press("1")
        assert "merged up to L3" in driven.screen()
        await driven.press("left_square_bracket", "left_square_bracket")
        assert "merged up to L1" in driven.screen() and "site" not in driven.pane("files")
        await driven.press("right_square_bracket")
        assert "merged up to L2" in driven.screen()
        assert "site" in driven.pane("files") and "⊘" not in driven.pane("files")


async def test_only_and_merged_and_hidden(opened: Open) -> None:
    async with opened(NAME) as driven:
        await driven.press("o")
        assert "bin" not in driven.pane("files") and "site" in driven.pane("files")
        await driven.press("m")
        assert "bin" in driven.pane("files")
        await driven.press("slash")
        await driven.type("old")
        await driven.settle()
        assert "⊘" in driven.pane("files") and "▒" in driven.pane("files")
        await driven.press("enter", "full_stop")
        assert "⊘" not in driven.pane("files")


async def test_directories_open_and_close_with_keys(opened: Open) -> None:
    async with opened(NAME) as driven:
        await driven.press("2", "g", "home")
        files = driven.app.pane("files")
        while "bin" not in files.line(files.cursor).text:
            await driven.press("j")
        rows = files.count
        await driven.press("right")
        assert files.count > rows
        await driven.press("left")
        assert files.count == rows
        await driven.press("enter")
        assert files.count > rows


async def test_the_provenance_of_a_path(opened: Open) -> None:
    async with opened(NAME) as driven:
        await driven.press("slash")
        await driven.type("site/page")
        await driven.press("enter")
        why = driven.pane("provenance")
        assert "/site/page" in driven.screen()
        assert why.index("L3") < why.index("L2") and "look-up" in why


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_numbers_tab_and_zoom_reach_every_pane(opened: Open, size: tuple[int, int]) -> None:
    async with opened(NAME, size) as driven:
        for key, pane in zip("012345", ("list", "stack", "files", "provenance", "hood", "details"), strict=True):
            await driven.press(key)
            assert driven.app.focused_pane == pane and driven.app.pane(pane).region.area
        seen = set()
        for _ in range(6):
            await driven.press("tab")
            seen.add(driven.app.focused_pane)
        assert len(seen) == 6
        await driven.press("1", "z")
        assert driven.app.pane("stack").region.width == size[0] and not driven.app.pane("files").display
        await driven.press("escape")
        assert driven.app.pane("stack").region.width < size[0]


async def test_the_mouse_alone_selects_objects_layers_files_and_acts(opened: Open, container: Make) -> None:
    container("box", start=False)
    async with opened(NAME) as driven:

        async def click(pane: str, word: str) -> None:
            """On the first line of a pane with this word."""
            found = driven.app.pane(pane)
            number = next(n for n in range(found.count) if word in found.line(n).text)
            region = found.content_region
            await driven.pilot.click(offset=(region.x + 6, region.y + number - found.scroll_offset.y))
            await driven.settle()

        await click("list", "box")
        assert driven.app.session.name == "box"
        await click("stack", "L2 ro")
        assert "merged up to L2" in driven.screen()
        await click("files", "site")
        footer = driven.rows()[-1]
        await driven.pilot.click(offset=(footer.index("remove") + 1, len(driven.rows()) - 1))
        await driven.until(lambda: driven.dialog == "ConfirmScreen", "the footer acts")
        await driven.pilot.click("#no")
        await driven.until(lambda: driven.dialog == "", "no")
        header = driven.rows()[0]
        await driven.pilot.click(offset=(header.index("palette") + 1, 0))
        await driven.until(lambda: driven.dialog == "CommandPalette", "the header opens the palette")


async def test_the_list_is_walked_with_keys(opened: Open, container: Make) -> None:
    container("one", start=False)
    container("two", start=False)
    async with opened() as driven:
        await driven.press("0", "g")
        first = driven.app.session.name
        await driven.press("j")
        assert driven.app.session.name != first
        await driven.press("G")
        assert driven.app.session.kind == "image"


async def test_light_and_dark(opened: Open) -> None:
    async with opened(NAME) as driven:
        dark = driven.app.export_screenshot()
        await driven.press("T")
        assert not driven.app.current_theme.dark
        assert driven.app.export_screenshot() != dark
        assert "L3 ro" in driven.screen()
