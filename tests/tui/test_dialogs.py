"""Dialogs ask before anything is lost, show the command as it is filled in, show errors whole, and read no markup."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Generic, TypeVar

import pytest
from textual.app import App
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Button, Input, Static

from app.tui.actions import ACTIONS, key_names
from app.tui.paint import THEMES
from app.tui.screens.commit import CommitChoice, CommitScreen
from app.tui.screens.confirm import ConfirmScreen
from app.tui.screens.error import ErrorScreen
from app.tui.screens.help import HelpScreen
from app.tui.screens.run import RunChoice, RunScreen

HOSTILE = "[/x] [bold]b\x1b[2J\x9b31m\u202egpj\nnew line \udcff 漢字"
Answer = TypeVar("Answer")
SIZES = ((80, 24), (120, 40), (60, 15))


class Host(App[None], Generic[Answer]):
    """Opens one dialog and keeps its answer."""

    def __init__(self, make: Callable[[], Screen[Answer]]) -> None:
        super().__init__()
        self.make = make
        self.answers: list[Answer | None] = []

    def on_mount(self) -> None:
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = "strata-dark"
        self.push_screen(self.make(), self.answers.append)


@asynccontextmanager
async def opened(
    make: Callable[[], Screen[Any]], size: tuple[int, int] = (80, 24)
) -> AsyncIterator[tuple[Host[Any], Pilot[None]]]:
    app: Host[Any] = Host(make)
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        yield app, pilot


def words(app: App[None], selector: str) -> str:
    return str(app.screen.query_one(selector, Static).content)


def confirm() -> ConfirmScreen:
    return ConfirmScreen(f"Remove {HOSTILE}?", ["the read-write layer: 3 files, 12 kB", HOSTILE], "strata rm x")


@pytest.mark.parametrize("key", ["enter", "n", "escape"])
async def test_what_destroys_is_not_done_by_default(key: str) -> None:
    async with opened(confirm) as (app, pilot):
        await pilot.press(key)
        assert app.answers == [False]


@pytest.mark.parametrize("keys", [["y"], ["tab", "enter"], ["right", "enter"]])
async def test_yes_must_be_chosen(keys: list[str]) -> None:
    async with opened(confirm) as (app, pilot):
        await pilot.press(*keys)
        assert app.answers == [True]


@pytest.mark.parametrize(("button", "answer"), [("#no", False), ("#yes", True)])
async def test_the_mouse_alone_is_enough(button: str, answer: bool) -> None:
    async with opened(confirm) as (app, pilot):
        await pilot.click(button)
        assert app.answers == [answer]


async def test_the_question_names_what_is_lost_and_the_command() -> None:
    async with opened(confirm) as (app, _):
        assert "the read-write layer: 3 files, 12 kB" in words(app, "#loses")
        assert words(app, "#command") == "$ strata rm x"


async def test_run_shows_its_command_as_it_is_filled_in() -> None:
    async with opened(lambda: RunScreen(["demo:latest", "demo:base"], "demo:latest", strata="strata --root /r")) as (
        app,
        pilot,
    ):
        assert words(app, "#command") == "$ strata --root /r run -d demo:latest"
        await pilot.press(*"web", "enter", *"sh", "space", "minus", "c", "space", "apostrophe", *"a", "space", *"b")
        assert "cannot be taken apart" in words(app, "#problem")
        assert app.screen.query_one("#do", Button).disabled
        await pilot.press("enter")
        assert app.answers == []
        await pilot.press("apostrophe")
        assert words(app, "#command") == "$ strata --root /r run -d --name web demo:latest sh -c 'a b'"
        await pilot.press("enter")
        assert app.answers == [RunChoice("demo:latest", "web", ("sh", "-c", "a b"))]


async def test_run_goes_through_the_images_with_the_arrows() -> None:
    async with opened(lambda: RunScreen(["demo:latest", "demo:base"], "demo:latest")) as (app, pilot):
        app.screen.query_one("#image", Input).focus()
        await pilot.press("down")
        assert app.screen.query_one("#image", Input).value == "demo:base"
        await pilot.press("down", "ctrl+s")
        assert app.answers == [RunChoice("demo:latest", "", ())]


@pytest.mark.parametrize(("name", "image"), [("-x", "demo"), ("ok", "a/UPPER"), ("ok", "")])
async def test_run_says_what_is_wrong_before_the_engine_has_to(name: str, image: str) -> None:
    async with opened(lambda: RunScreen([], image)) as (app, pilot):
        app.screen.query_one("#name", Input).value = name
        await pilot.pause()
        assert words(app, "#problem")
        await pilot.press("ctrl+s")
        assert app.answers == []
        await pilot.press("escape")
        assert app.answers == [None]


async def test_commit_asks_for_a_name_and_a_message() -> None:
    async with opened(lambda: CommitScreen("web")) as (app, pilot):
        await pilot.press(*"web", "colon", "2", "enter", *"two", "space", *"words")
        assert words(app, "#command") == "$ strata commit -m 'two words' web web:2"
        await pilot.press("enter")
        assert app.answers == [CommitChoice("web:2", "two words")]


async def test_nothing_that_acts_on_the_terminal_can_be_typed_or_pasted_into_a_field() -> None:
    async with opened(lambda: CommitScreen("web")) as (app, pilot):
        field = app.screen.query_one("#message", Input)
        for text in ("\x1b[2J", "a\u202eb", "\u200b", "\x9b31m"):
            field.insert_text_at_cursor(text)
        await pilot.pause()
        assert field.value == ""
        field.insert_text_at_cursor("Grüße 漢字")
        assert field.value == "Grüße 漢字"


@pytest.mark.parametrize("size", SIZES)
async def test_errors_are_whole_and_their_button_stays_on_the_screen(size: tuple[int, int]) -> None:
    text = "\n".join(f"line {number} {HOSTILE}" for number in range(60))
    async with opened(lambda: ErrorScreen(f"start {HOSTILE}", text), size) as (app, pilot):
        shown = words(app, "#error")
        assert all(f"line {number} " in shown for number in range(60))
        assert "\x1b" not in shown and "\u202e" not in shown
        close = app.screen.query_one("#close").region
        assert close.height and close.bottom <= size[1]
        await pilot.press("j", "enter")
        assert app.answers == [None]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "make",
    [
        confirm,
        lambda: RunScreen([HOSTILE, "demo"], HOSTILE),
        lambda: CommitScreen(HOSTILE),
        lambda: HelpScreen(ACTIONS),
        lambda: ErrorScreen(HOSTILE, HOSTILE),
    ],
)
async def test_hostile_words_stay_words_at_any_size(make: Callable[[], Screen[Any]], size: tuple[int, int]) -> None:
    async with opened(make, size) as (app, _):
        rows = app.screen._compositor.render_strips()
        assert len(rows) == size[1]
        for row in rows:
            assert row.cell_length == size[0]
            assert not {"\x1b", "\x9b", "\u202e", "\n"} & set(row.text)
        assert "[/x]" in "".join(row.text for row in rows) or isinstance(app.screen, HelpScreen | RunScreen)


async def test_help_tells_of_every_action() -> None:
    async with opened(lambda: HelpScreen(ACTIONS), (120, 40)) as (app, pilot):
        await pilot.pause()
        text = words(app, "#help")
        for action in ACTIONS:
            assert key_names(action) in text and action.label in text, action.id
            assert action.help.split()[-1] in text, action.id
        await pilot.press("question_mark")
        assert app.answers == [None]
