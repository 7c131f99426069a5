"""The document's figures, as text: what is drawn is what is there, at every width and density."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from app.tui.drawing import PROCESSES, LayerPicture, ProcessPicture, StackPicture, draw, height_of
from app.tui.paint import Line

DENSITIES = ("boxes", "low", "lines")
WIDTHS = (24, 28, 38, 40, 44, 62, 120)
HOSTILE = "RUN echo '[/x]' \x1b[2J\x9b31m\u202e\n漢字漢字\udcff " + "long " * 60


def layer(number: int, *, rw: bool = False, command: str = "COPY a /b") -> LayerPicture:
    return LayerPicture(number, f"{number:064x}", rw, 1100, 3, command, 2, 1, 1, 1)


def image(count: int = 3, **more: str) -> tuple[LayerPicture, ...]:
    return tuple(layer(number, **more) for number in range(count - 1, -1, -1))  # type: ignore[arg-type]


def container(count: int = 3) -> tuple[LayerPicture, ...]:
    return (layer(count, rw=True), *image(count))


PROCESS = ProcessPicture(1, 41213, "nginx", "S", 4_100_000)
IMAGE = StackPicture(image())
CREATED = StackPicture(container(), "created")
EXITED = StackPicture(container(), "exited")
RUNNING = StackPicture(container(), "running", 4026532281, (PROCESS,))
PAUSED = StackPicture(container(), "paused", 4026532281, (PROCESS,))
STARVED = StackPicture(container(), "running", 4026532281, (PROCESS,), oom_kills=2)
EVERY = (IMAGE, CREATED, EXITED, RUNNING, PAUSED, STARVED)


def drawn(picture: StackPicture, width: int = 44, density: str = "boxes") -> list[Line]:
    return draw(picture, width, [True] * len(picture.layers), density)


def text(lines: list[Line]) -> str:
    return "\n".join(line.text for line in lines)


@pytest.mark.parametrize("density", DENSITIES)
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("picture", EVERY, ids=lambda picture: picture.status or "image")
def test_the_figure_is_a_rectangle(picture: StackPicture, width: int, density: str) -> None:
    lines = drawn(picture, width, density)
    assert {cell_len(line.text) for line in lines} == {width}
    assert len(lines) == height_of(picture, density)


def test_processes_that_the_kernel_killed_for_want_of_memory_are_told() -> None:
    assert "out of memory: 2 killed" in text(drawn(STARVED, 60))
    assert "out of memory" not in text(drawn(RUNNING, 60))


def test_figure_1_an_image_has_thin_boxes_each_but_the_bottom_one_with_an_arrow_to_its_parent() -> None:
    figure = text(drawn(IMAGE))
    assert figure.count("parent ▼") == 2
    assert not set("┏━┃╔═║") & set(figure)
    assert [line.target for line in drawn(IMAGE)[::3]] == [2, 1, 0]
    assert "L3" in figure and "L1" in figure and "RW" not in figure
    assert "▼" not in drawn(IMAGE)[-1].text


@pytest.mark.parametrize("picture", [CREATED, EXITED])
def test_figure_2_a_container_has_one_heavy_box_on_top_running_or_not(picture: StackPicture) -> None:
    lines = drawn(picture)
    assert lines[0].text.startswith("┏ RW") and lines[2].text.startswith("┗")
    assert not set("┏━┃") & set(text(lines[3:]))
    assert not set("╔═║") & set(text(lines)), "a process box without processes"
    assert text(lines).count("parent ▼") == 3


def test_figure_3_a_box_around_the_processes_stands_on_the_stack() -> None:
    lines = drawn(RUNNING)
    assert lines[0].text.startswith("╔ ▶ process space")
    assert "pid 1" in lines[1].text and "nginx" in lines[1].text and "host 41213" in lines[1].text
    assert "4.1 MB" in lines[1].text and lines[0].target == PROCESSES
    joint = lines[2].text.index("╤")
    assert lines[3].text[joint] == "┷", "the box does not stand on the layer"


def test_a_frozen_process_space_is_drawn_unlike_a_running_one() -> None:
    running, paused = drawn(RUNNING), drawn(PAUSED)
    assert "❄" in text(paused) and "❄" not in text(running)
    assert "▶" in text(running) and "▶" not in text(paused)
    assert paused[0].parts[0][1] == "ice" and running[0].parts[0][1] == "run"


def test_every_meaning_has_a_glyph_besides_its_colour() -> None:
    figure = text(drawn(IMAGE, 60))
    assert "+2" in figure and "~1" in figure and "⊘1" in figure and "◌1" in figure


@pytest.mark.parametrize("density", DENSITIES)
def test_what_takes_no_part_in_the_view_is_faint(density: str) -> None:
    lines = draw(RUNNING, 44, [True, True, False, False], density)
    assert {line.target for line in lines if line.dim} == {2, 3}
    assert not any(line.dim for line in lines if line.target in (0, 1, PROCESSES))


@pytest.mark.parametrize("density", DENSITIES)
def test_hostile_commands_and_names_stay_in_their_boxes(density: str) -> None:
    evil = ProcessPicture(1, 2, HOSTILE, "\x1b", 1)
    layers = (layer(1, rw=True, command=HOSTILE), layer(0, command=HOSTILE))
    lines = drawn(StackPicture(layers, "running", 1, (evil,)), 44, density)
    assert {cell_len(line.text) for line in lines} == {44}
    assert not {"\x1b", "\x9b", "\u202e", "\n"} & set("".join(line.text for line in lines))


def test_processes_that_come_and_go_do_not_move_the_stack() -> None:
    one, three = (PROCESS,), (PROCESS,) * 3
    still = [StackPicture(container(), "running", 1, found, room=3) for found in (one, three)]
    assert len({len(drawn(picture)) for picture in still}) == 1


def test_five_hundred_layers_are_drawn_whole() -> None:
    lines = drawn(StackPicture(image(500)), 44, "lines")
    assert len(lines) == 501 and lines[0].text.startswith("│L500") and lines[-1].text.startswith("└")


def test_the_letters_of_a_layer_are_the_same_everywhere() -> None:
    assert [picture.label for picture in container(2)] == ["RW", "L2", "L1"]
