"""A change on disk is told of by itself, whatever the files are called, and what links point to is never watched."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.tui.watching import layer_changes, store_changes

QUIET = 0.4  # seconds in which nothing must come; events take about 0.03


class Heard:
    """What a watch says, from a thread of its own."""

    def __init__(self, changes: Iterator[Any], stop: threading.Event) -> None:
        self.stop = stop
        self.ended = threading.Event()
        self._said: queue.Queue[Any] = queue.Queue()
        threading.Thread(target=self._listen, args=(changes,), daemon=True).start()

    def _listen(self, changes: Iterator[Any]) -> None:
        for change in changes:
            self._said.put(change)
        self.ended.set()

    def next(self) -> Any:
        return self._said.get(timeout=15)

    def quiet(self) -> None:
        """Wait until nothing more is said."""
        while True:
            try:
                self._said.get(timeout=QUIET)
            except queue.Empty:
                return

    def until(self, wanted: Any) -> None:
        end = time.monotonic() + 15
        while self.next() != wanted:
            assert time.monotonic() < end


@pytest.fixture
def stop() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def layer(tmp_path: Path, stop: threading.Event) -> Heard:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/conf").write_text("one")
    heard = Heard(layer_changes(str(tmp_path), stop), stop)
    heard.next()  # the watch stands
    heard.quiet()
    return heard


def act_touch(top: Path) -> None:
    (top / "new").touch()


def act_write(top: Path) -> None:
    (top / "etc/conf").write_text("two")


def act_chmod(top: Path) -> None:
    (top / "etc/conf").chmod(0o600)


def act_rename(top: Path) -> None:
    (top / "etc/conf").rename(top / "etc/other")


def act_remove(top: Path) -> None:
    (top / "etc/conf").unlink()


def act_mkdir(top: Path) -> None:
    (top / "srv").mkdir()


def act_link(top: Path) -> None:
    (top / "link").symlink_to("/etc")


def act_name_of_bytes(top: Path) -> None:
    os.mkdir(os.fsencode(top) + b"/\xff\xfe")


@pytest.mark.parametrize(
    "act",
    [act_touch, act_write, act_chmod, act_rename, act_remove, act_mkdir, act_link, act_name_of_bytes],
)
def test_every_change_of_a_live_layer_is_told(layer: Heard, tmp_path: Path, act: Any) -> None:
    act(tmp_path)
    layer.next()


def test_what_happens_in_a_new_directory_is_told_too(layer: Heard, tmp_path: Path) -> None:
    (tmp_path / "a/b/c").mkdir(parents=True)
    layer.quiet()
    (tmp_path / "a/b/c/file").touch()
    layer.next()


def test_what_happens_in_a_directory_whose_name_is_not_text_is_told_too(layer: Heard, tmp_path: Path) -> None:
    inside = os.fsencode(tmp_path) + b"/\xff\xfe"
    os.mkdir(inside)
    layer.quiet()
    with open(inside + b"/file", "wb"):
        pass
    layer.next()


def test_a_link_out_of_the_layer_is_not_followed(tmp_path: Path, stop: threading.Event) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    outside.mkdir()
    inside.mkdir()
    (inside / "way-out").symlink_to(outside)
    heard = Heard(layer_changes(str(inside), stop), stop)
    heard.next()
    heard.quiet()
    (outside / "secret").touch()
    with pytest.raises(queue.Empty):
        heard._said.get(timeout=QUIET)
    (inside / "file").touch()
    heard.next()


def test_a_watch_ends_when_it_is_told_to_and_when_its_layer_goes(tmp_path: Path) -> None:
    for by_hand in (True, False):
        top = tmp_path / f"layer-{by_hand}"
        top.mkdir()
        stop = threading.Event()
        heard = Heard(layer_changes(str(top), stop), stop)
        heard.next()
        if by_hand:
            stop.set()
        else:
            top.rmdir()
        assert heard.ended.wait(15)
        stop.set()


def test_the_store_tells_states_from_logs(tmp_path: Path, stop: threading.Event) -> None:
    own = tmp_path / "containers" / ("a" * 64)
    own.mkdir(parents=True)
    heard = Heard(store_changes(str(tmp_path), stop), stop)
    # Nobody says when this watch stands: write until it is heard.
    log = own / "log.json"
    for _ in range(200):
        log.write_text("line\n")
        try:
            heard._said.get(timeout=0.1)
            break
        except queue.Empty:
            continue
    heard.quiet()
    with log.open("a") as file:
        file.write("line\n")
    assert heard.next() == (False, frozenset({"a" * 64}))
    heard.quiet()
    (own / "state.json.new").write_text("{}")
    (own / "state.json.new").rename(own / "state.json")
    heard.until((True, frozenset()))
    heard.quiet()
    (tmp_path / "images.json.new").write_text("{}")
    (tmp_path / "images.json.new").rename(tmp_path / "images.json")
    heard.until((True, frozenset()))
    heard.quiet()
    (tmp_path / "something-else").touch()
    with pytest.raises(queue.Empty):
        heard._said.get(timeout=QUIET)
