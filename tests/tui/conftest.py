"""A real engine on a root of its own, with small images, and the explorer opened on it."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from textual.pilot import Pilot

from app.tui.app import Explorer
from engine import Engine
from engine.archive.load import load
from engine.commands.options import CreateOptions
from tests.support.archives import Dir, File, ImageSpec, Opaque, Whiteout, docker_archive
from tests.support.command import Strata
from tests.support.needs import needs_root
from tests.support.rootfs import PATH, tiny_layer

SLEEP = ("sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done")
COPY = [Dir("site"), File("site/page", b"one\n"), File("site/old", b"x"), Dir("cache"), File("cache/a", b"aaa")]
CHANGE = [Dir("site"), File("site/page", b"two, longer\n"), Whiteout("site/old"), Dir("cache"), Opaque("cache")]
NAME = "layered:latest"


@dataclass
class Driven:
    """An explorer with somebody at its keys."""

    app: Explorer
    pilot: Pilot[int]
    engine: Engine

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.settle()

    async def type(self, text: str) -> None:
        """Text as keys."""
        names = {" ": "space", ":": "colon", "-": "minus", "'": "apostrophe", ";": "semicolon", "/": "slash"}
        await self.pilot.press(*(names.get(character, character) for character in text))

    async def settle(self) -> None:
        await self.app.settled()
        await self.pilot.pause()

    async def until(self, true: Callable[[], bool], what: str, seconds: float = 20) -> None:
        """Wait for something that comes by itself."""
        end = time.monotonic() + seconds
        while not true():
            if time.monotonic() > end:
                raise AssertionError(f"waited in vain: {what}\n{self.screen()}")
            await asyncio.sleep(0.02)
            await self.pilot.pause()

    def rows(self) -> list[str]:
        """The lines of the screen as they are shown."""
        return [strip.text for strip in self.app.screen._compositor.render_strips()]

    def screen(self) -> str:
        return "\n".join(self.rows())

    def pane(self, name: str) -> str:
        """Everything that a pane has, in sight or not."""
        pane = self.app.pane(name)
        return "\n".join(pane.line(number).text for number in range(pane.count))

    def words(self, name: str) -> str:
        """The same without blanks and line ends: long words are broken to fit."""
        return "".join(self.pane(name).split())

    @property
    def dialog(self) -> str:
        """The name of the dialog that is open, or ""."""
        return type(self.app.screen).__name__ if len(self.app.screen_stack) > 1 else ""


Open = Callable[..., AbstractAsyncContextManager[Driven]]


@pytest.fixture(scope="module")
def strata() -> Iterator[Strata]:
    needs_root()
    with Strata() as command:
        yield command


@pytest.fixture(scope="module")
def engine(strata: Strata) -> Iterator[Engine]:
    with Engine(strata.root) as engine:
        config = {"Env": [PATH], "Cmd": list(SLEEP)}
        spec = ImageSpec([tiny_layer(), COPY, CHANGE], [NAME], config)
        load(engine.store, io.BytesIO(docker_archive(spec)))
        yield engine


@pytest.fixture
def container(engine: Engine) -> Iterator[Callable[..., str]]:
    """Makes a container of the layered image (`start=False`: does not start it); it is gone after the test."""
    made: list[str] = []

    def make(name: str = "box", *, start: bool = True, **options: Any) -> str:
        options.setdefault("command", SLEEP)
        options.setdefault("stop_timeout", 3)
        made.append(engine.create(NAME, CreateOptions(name=name, **options)))
        if start:
            engine.start(made[-1])
        return made[-1]

    yield make
    for row in engine.containers(all=True):
        engine.remove(row.id, force=True)


@pytest.fixture
def opened(engine: Engine) -> Open:
    """`async with opened(select="box", size=(120, 40)) as driven`."""

    @asynccontextmanager
    async def open_it(select: str = "", size: tuple[int, int] = (120, 40)) -> AsyncIterator[Driven]:
        app = Explorer(engine, select)
        async with app.run_test(size=size, notifications=True) as pilot:
            driven = Driven(app, pilot, engine)
            await driven.settle()
            yield driven

    return open_it
