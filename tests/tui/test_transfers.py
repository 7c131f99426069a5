"""Images on their way: the form, a bar for each layer, in the background and back, and what became of it."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from textual.widgets import Input

from app.tui.safe_text import safe
from app.tui.screens.transfer import PullChoice, PullScreen, TransferScreen
from app.tui.transfers import Transfer, picture
from engine.progress import Progress
from tests.support.archives import File, ImageSpec, docker_archive
from tests.tui.conftest import Open
from tests.tui.test_dialogs import opened as opened_dialog
from tests.tui.test_dialogs import words

HOSTILE = "[/x] [bold]\x1b[2J\u202egpj"


def test_a_picture_keeps_to_its_room_and_shows_those_at_work_first() -> None:
    transfer = Transfer("Pulling x")
    for number in range(100):
        done = number < 50
        transfer.report(Progress(f"{number:012x}", "Pull complete" if done else "Downloading", 500, 1000))
    transfer.report(Progress("mounted", "Mounted from library/x"))
    transfer.report(Progress("", f"latest: Pulling from {HOSTILE}"))
    transfer.report(Progress(HOSTILE, HOSTILE, 1, 2))
    for width, height in ((30, 5), (60, 12), (150, 50)):
        lines = picture(transfer, width, height).plain.split("\n")
        assert len(lines) <= height
        assert all(len(line) <= width + 12 for line in lines)
        assert all(safe(line) == line for line in lines)
        assert "Downloading" in lines[1] and not any("Pull complete" in line for line in lines)
        assert lines[-1].startswith("51 of 102 layers, ")


def test_reports_from_many_threads_are_all_taken() -> None:
    transfer = Transfer("x")

    def tell(start: int) -> None:
        for number in range(2000):
            transfer.report(Progress(f"{(start + number) % 100:012x}", "Downloading", number, 2000))

    threads = [threading.Thread(target=tell, args=(start,)) for start in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(transfer.state()[1]) == 100


async def test_the_form_shows_its_command_and_what_is_wrong() -> None:
    async with opened_dialog(lambda: PullScreen(["demo:latest"])) as (app, pilot):
        assert words(app, "#problem") == "Which image?"
        app.screen.query_one("#name", Input).value = "Bad Name"
        await pilot.pause()
        assert words(app, "#problem").startswith("invalid reference format")
        app.screen.query_one("#name", Input).value = "docker-archive:/tmp/x.tar"
        app.screen.query_one("#platform", Input).value = "linux/arm64"
        await pilot.pause()
        assert words(app, "#problem") == ""
        assert words(app, "#command") == "$ strata pull --platform linux/arm64 docker-archive:/tmp/x.tar"
        await pilot.press("ctrl+s")
        await pilot.pause()
        assert app.answers == [PullChoice("docker-archive:/tmp/x.tar", "linux/arm64")]


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (60, 15)])
async def test_bars_while_it_runs_and_gone_when_it_has_ended(size: tuple[int, int]) -> None:
    transfer = Transfer("Pulling demo")
    async with opened_dialog(lambda: TransferScreen(transfer, "strata pull demo"), size) as (app, pilot):
        transfer.report(Progress("0123456789ab", "Downloading", 500_000, 1_000_000))
        await pilot.pause(0.3)
        text = words(app, "#bars")
        assert "0123456789ab" in text and "50 %" in text
        transfer.ended = "ended"
        await pilot.pause(0.3)
        assert app.answers == [None]


async def test_an_archive_comes_in_and_is_shown(opened: Open, tmp_path: Path) -> None:
    archive = tmp_path / "demo.tar"
    spec = ImageSpec([[File("brought", b"in")]], ["brought:in"], {"Cmd": ["sh"]})
    archive.write_bytes(docker_archive(spec))
    async with opened() as driven:
        await driven.press("P")
        assert driven.dialog == "PullScreen"
        driven.app.screen.query_one("#name", Input).value = f"docker-archive:{archive}"
        await driven.pilot.pause()
        await driven.pilot.press("ctrl+s")
        await driven.until(lambda: not driven.dialog and "brought:in" in driven.screen(), "the image in the list")
        assert driven.engine.image("brought:in").id == spec.id
        await driven.press("t")
        assert not driven.dialog
        await driven.press("P")
        driven.app.screen.query_one("#name", Input).value = "127.0.0.1:1/none"
        await driven.pilot.pause()
        await driven.pilot.press("ctrl+s")
        await driven.until(lambda: driven.dialog == "ErrorScreen", "the error")
        assert "cannot reach the registry 127.0.0.1:1" in " ".join(driven.screen().split())
