"""The screen follows the world by itself, whoever changes it, and never stands still while something takes long."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from engine import Engine
from tests.support.command import Strata
from tests.tui.conftest import NAME, Open

Make = Callable[..., str]


async def test_a_command_elsewhere_is_seen(opened: Open, container: Make, strata: Strata) -> None:
    def away(*words: str) -> str:
        return strata(*words)

    async with opened(NAME) as driven:
        assert "none: r runs one" in driven.pane("list")
        await asyncio.to_thread(away, "create", "--name", "away", NAME)
        await driven.until(lambda: "away" in driven.pane("list"), "created elsewhere")
        await asyncio.to_thread(away, "start", "away")
        await driven.until(lambda: "▶ away" in driven.pane("list"), "started elsewhere")
        await asyncio.to_thread(away, "tag", NAME, "tagged:elsewhere")
        await driven.until(lambda: "tagged:elsewhere" in driven.pane("list"), "tagged elsewhere")
        await asyncio.to_thread(away, "rmi", "tagged:elsewhere")
        await driven.until(lambda: "tagged" not in driven.pane("list"), "untagged elsewhere")
        await asyncio.to_thread(away, "rm", "-f", "away")
        await driven.until(lambda: "away" not in driven.pane("list"), "removed elsewhere")


async def test_what_the_container_does_is_seen(opened: Open, container: Make, strata: Strata) -> None:
    container("box")
    async with opened("box") as driven:
        for command, seen in (
            ("mkdir -p /srv/deep/er && echo 1 >/srv/deep/er/file", "deep"),
            ("echo 2 >/site/page", "⇡L3"),
            ("rm /site/page", "⊘"),
            ("mkdir /brandnew && touch /brandnew/x && mv /brandnew /renamed", "renamed"),
        ):
            await asyncio.to_thread(strata, "exec", "box", "sh", "-c", command)
            await driven.until(lambda seen=seen: seen in driven.pane("files"), f"{command} → {seen}")  # type: ignore[misc]


async def test_what_it_writes_to_its_log_is_seen(opened: Open, container: Make) -> None:
    container("box", command=("sh", "-c", "n=0; while :; do n=$((n+1)); echo line-$n; sleep 0.1; done"))
    async with opened("box") as driven:
        await driven.press("l")
        await driven.until(lambda: "line-5" in driven.pane("details"), "lines as they come")
        await driven.until(lambda: "line-25" in driven.screen(), "and further ones, in sight")


async def test_a_burst_of_files_is_all_there_in_the_end(opened: Open, container: Make, strata: Strata) -> None:
    container("box")
    async with opened("box") as driven:
        many = "mkdir /many; i=0; while [ $i -lt 3000 ]; do i=$((i+1)); : >/many/$i; done; rm /many/1"
        await asyncio.to_thread(strata, "exec", "box", "sh", "-c", many)
        await driven.until(lambda: "2,999 files" in driven.pane("stack"), "every file of the burst", 40)


async def test_what_was_selected_and_removed_gives_way(opened: Open, container: Make, engine: Engine) -> None:
    made = container("box")
    async with opened("box") as driven:
        engine.remove(made, force=True)
        await driven.until(lambda: "box" not in driven.pane("list"), "gone")
        await driven.settle()
        assert driven.dialog == "", "no error for what somebody else removed"
        assert driven.app.session.selected != made


async def test_the_screen_lives_while_a_stop_takes_its_time(opened: Open, container: Make, engine: Engine) -> None:
    made = container("box", command=("sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"), stop_timeout=3)
    async with opened("box") as driven:
        ticks = 0

        def tick() -> None:
            nonlocal ticks
            ticks += 1

        driven.app.set_interval(0.02, tick)
        await driven.pilot.press("s")
        await driven.until(lambda: "stopping box" in driven.screen(), "it says what it is doing")
        before = ticks
        await driven.pilot.press("2", "down", "down", "1", "question_mark")
        await driven.until(lambda: driven.dialog == "HelpScreen", "keys are answered meanwhile")
        assert engine.container(made).state.status == "running", "the stop takes its time"
        assert ticks > before
        await driven.pilot.press("escape")
        await driven.until(lambda: engine.container(made).state.status == "exited", "stopped in the end")
        await driven.until(lambda: "stopping" not in driven.screen(), "and not busy any more")
        assert driven.dialog == ""
        assert ticks - before > 30, "the screen stood still"
