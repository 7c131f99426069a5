"""Every action reaches the real engine; what destroys asks first, says what is lost, and defaults to no."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from engine import Engine
from engine.errors import NoSuchContainer, NoSuchImage
from tests.tui.conftest import NAME, Open

Make = Callable[..., str]


async def test_run_makes_a_container_starts_it_and_shows_it(opened: Open, container: Make, engine: Engine) -> None:
    async with opened(NAME) as driven:
        await driven.press("r")
        assert driven.dialog == "RunScreen"
        await driven.type("fresh")
        await driven.press("enter")
        await driven.type("sleep 1000")
        await driven.pilot.press("enter")
        await driven.until(lambda: driven.app.session.name == "fresh", "the new container is selected")
        await driven.until(lambda: "process space" in driven.pane("stack"), "it runs")
        assert engine.container("fresh").state.status == "running"


async def test_start_pause_go_on_and_stop(opened: Open, container: Make, engine: Engine) -> None:
    made = container("box", start=False)

    def status() -> str:
        return engine.container(made).state.status

    async with opened("box") as driven:
        for key, wanted in (("S", "running"), ("p", "paused"), ("p", "running"), ("s", "exited")):
            await driven.pilot.press(key)
            await driven.until(lambda wanted=wanted: status() == wanted, f"{key} makes it {wanted}")  # type: ignore[misc]
            await driven.until(lambda wanted=wanted: driven.app.session.status == wanted, "it is seen")  # type: ignore[misc]
        assert driven.dialog == ""


async def test_kill_asks_and_does_nothing_by_default(opened: Open, container: Make, engine: Engine) -> None:
    made = container("box")
    async with opened("box") as driven:
        await driven.press("K")
        assert driven.dialog == "ConfirmScreen" and "kill box" in driven.screen()
        await driven.press("enter")
        assert driven.dialog == "" and engine.container(made).state.status == "running"
        await driven.press("K", "y")
        await driven.until(lambda: engine.container(made).state.status == "exited", "killed")
        assert engine.container(made).state.exit_code == 137


async def test_remove_names_what_is_lost_and_defaults_to_no(opened: Open, container: Make, engine: Engine) -> None:
    made = container("box", command=("sh", "-c", "echo 12345 >/a; >/b; >/c; exec sleep 1000"))
    async with opened("box") as driven:
        await driven.until(lambda: "3 files" in driven.pane("stack"), "what it wrote is seen")
        await driven.press("D")
        question = driven.screen()
        assert "3 files, 6 B" in question and "rm -f box" in question and "sleep" in question
        await driven.press("escape")
        assert engine.container(made).state.status == "running"
        await driven.press("D", "y")
        await driven.until(lambda: "box" not in driven.pane("list"), "gone from the list")
        with pytest.raises(NoSuchContainer):
            engine.container(made)


async def test_commit_turns_the_read_write_layer_into_an_image(opened: Open, container: Make, engine: Engine) -> None:
    container("box", command=("sh", "-c", ">/made; exec sleep 1000"))
    async with opened("box") as driven:
        await driven.until(lambda: "1 file" in driven.pane("stack"), "what it wrote is seen")
        await driven.press("c")
        assert driven.dialog == "CommitScreen"
        await driven.type("box:two")
        await driven.press("enter")
        await driven.type("a message")
        await driven.press("enter")
        await driven.until(lambda: "box:two" in driven.pane("list"), "the image is in the list")
        image = engine.image("box:two")
        assert image.config.comment == "a message" and len(image.layers) == len(engine.image(NAME).layers) + 1
        assert engine.container("box").state.status == "running"

        image_id = image.id
        driven.app.session.select(image_id)
        await driven.settle()
        await driven.press("D")
        assert "rmi box:two" in driven.screen()
        await driven.press("n")
        assert engine.image("box:two").id == image_id
        await driven.press("D", "y")
        await driven.until(lambda: "box:two" not in driven.pane("list"), "the image is gone")
        with pytest.raises(NoSuchImage):
            engine.image("box:two")


async def test_diff_inspect_and_logs_show_what_the_commands_show(opened: Open, container: Make, engine: Engine) -> None:
    made = container("box", command=("sh", "-c", "echo hello; echo oops >&2; >/made; rm /site/page; exec sleep 1000"))
    async with opened("box") as driven:
        await driven.press("d")
        await driven.until(lambda: "D /site/page" in driven.pane("details"), "the diff")
        for change in engine.diff(made):
            assert f"{change.kind} /{change.path}" in driven.pane("details")
        await driven.press("i")
        assert made in driven.words("details") and "127.0.0.1/8" in driven.words("details")
        await driven.press("l")
        await driven.until(lambda: "hello" in driven.pane("details"), "the log")
        assert "oops" in driven.pane("details")


async def test_under_the_hood_are_the_real_calls_of_the_start(opened: Open, container: Make, engine: Engine) -> None:
    made = container("box")
    async with opened("box") as driven:
        await driven.until(lambda: "move_mount" in driven.pane("hood"), "the calls")
        for step in engine.trace(made):
            assert step["call"] in driven.pane("hood")


async def test_an_error_of_the_engine_is_shown_whole(opened: Open, container: Make, engine: Engine) -> None:
    container("box", start=False, command=("no-such-program",))
    async with opened("box") as driven:
        await driven.pilot.press("S")
        await driven.until(lambda: driven.dialog == "ErrorScreen", "the error")
        with pytest.raises(Exception, match="no-such-program") as raised:
            engine.start("box")
        shown = " ".join(driven.screen().replace("│", " ").split())
        assert " ".join(str(raised.value).split())[:60] in shown
        await driven.press("escape")
        assert driven.dialog == ""


async def test_an_action_that_cannot_be_done_says_why(opened: Open) -> None:
    async with opened(NAME) as driven:
        await driven.press("p")
        await driven.until(lambda: "running container" in driven.screen(), "why not")
        assert driven.dialog == ""


async def test_the_palette_finds_and_does_an_action(opened: Open, container: Make, engine: Engine) -> None:
    made = container("box")
    async with opened("box") as driven:
        await driven.pilot.press("ctrl+p")
        await driven.pilot.pause()
        await driven.type("pause")
        await driven.until(lambda: "Freeze" in driven.screen(), "the action is found")
        await driven.pilot.press("enter")
        await driven.until(lambda: engine.container(made).state.status == "paused", "it is done")


async def test_stopping_a_container_that_removes_itself_asks(opened: Open, container: Make, engine: Engine) -> None:
    made = container("box", auto_remove=True)
    async with opened("box") as driven:
        await driven.press("s")
        await driven.until(lambda: driven.dialog == "ConfirmScreen", "the question")
        await driven.press("enter")
        assert engine.container(made).state.status == "running"
        await driven.press("s")
        await driven.until(lambda: driven.dialog == "ConfirmScreen", "the question")
        await driven.pilot.press("y")
        await driven.until(lambda: "box" not in driven.pane("list"), "stopped and gone")
