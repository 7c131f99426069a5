"""At every size that fits, the panes fill the area once: nothing overlaps, nothing is cut off, all can be had."""

from __future__ import annotations

import pytest

from app.tui.layout import LEAST, PANES, Place, arrange, compact, fits

SIZES = [(80, 24), (80, 60), (100, 30), (110, 32), (120, 24), (120, 40), (160, 50), (200, 60), (400, 120)]


def cells(place: Place) -> set[tuple[int, int]]:
    return {(x, y) for x in range(place.x, place.x + place.width) for y in range(place.y, place.y + place.height)}


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("front", PANES)
def test_panes_fill_the_area_and_do_not_overlap(width: int, height: int, front: str) -> None:
    places = arrange(width, height - 2, front)
    seen: set[tuple[int, int]] = set()
    for place in places.values():
        assert place.width > 0 and place.height > 0
        here = cells(place)
        assert not here & seen
        seen |= here
    assert seen == cells(Place(0, 0, width, height - 2))


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_every_pane_can_be_brought_to_the_front(width: int, height: int) -> None:
    for pane in PANES:
        assert pane in arrange(width, height - 2, pane)
        assert arrange(width, height - 2, "files", pane) == {pane: Place(0, 0, width, height - 2)}


def test_stack_and_files_stand_side_by_side_at_every_size() -> None:
    for width, height in SIZES:
        places = arrange(width, height - 2, "files")
        stack, files = places["stack"], places["files"]
        assert stack.x + stack.width == files.x
        assert min(stack.y + stack.height, files.y + files.height) > max(stack.y, files.y)


def test_the_least_size() -> None:
    assert LEAST == (80, 24)
    assert fits(80, 24) and not fits(79, 24) and not fits(80, 23) and not fits(60, 15)
    assert compact(80, 24) and not compact(120, 40)
