"""The journal of events: written by anybody at any time, read from a moment on, across a full one put aside."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.cli.events import fields, line
from engine.commands.context import Context
from engine.commands.events import events
from engine.errors import InvalidInput
from engine.oci.times import rfc3339
from engine.runtime import journal
from engine.runtime.journal import tell

LONG_AGO = "2001-01-01T00:00:00Z"


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return Context(str(tmp_path))


def told(context: Context, **more: Any) -> list[str]:
    """The actions of what there is."""
    return [event["Action"] for event in events(context, since=LONG_AGO, follow=False, **more)]


def test_what_was_told_is_read_in_order_with_dockers_fields(context: Context) -> None:
    for action in ("create", "start", "die"):
        tell(context.root, "container", action, "ab" * 32, {"image": "demo", "name": "web", "odd": 'q"\n\x1b'})
    found = list(events(context, since=LONG_AGO, follow=False))
    assert [event["Action"] for event in found] == ["create", "start", "die"]
    first = found[0]
    assert (first["Type"], first["scope"], first["Actor"]["ID"]) == ("container", "local", "ab" * 32)
    assert first["Actor"]["Attributes"] == {"image": "demo", "name": "web", "odd": 'q"\n\x1b'}
    assert first["time"] == first["timeNano"] // 10**9
    assert list(fields(first))[:3] == ["status", "id", "from"]
    shown = line(first)
    assert f" container create {'ab' * 32} (image=demo, name=web, odd=" in shown
    assert "\x1b" not in shown and "\n" not in shown


def test_since_and_until_are_moments(context: Context) -> None:
    tell(context.root, "image", "tag", "x", {"name": "x"})
    middle = rfc3339()
    tell(context.root, "image", "untag", "x", {"name": "x"})
    assert [event["Action"] for event in events(context, since=middle, follow=False)] == ["untag"]
    assert [event["Action"] for event in events(context, since=LONG_AGO, until=middle)] == ["tag"]
    assert list(events(context, follow=False)) == []
    assert list(events(context, until=LONG_AGO)) == []


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"type": ["image"]}, ["pull"]),
        ({"event": ["start", "die"]}, ["start", "die"]),
        ({"event": ["health_status"]}, ["health_status: healthy"]),
        ({"event": ["sta"]}, []),
        ({"container": ["web"]}, ["start", "health_status: healthy"]),
        ({"container": ["cd"]}, ["die"]),
        ({"image": ["demo"]}, ["start", "health_status: healthy", "pull"]),
        ({"label": ["tier=front"]}, ["start", "health_status: healthy"]),
        ({"container": ["web"], "event": ["start", "die"]}, ["start"]),
        ({"network": ["none"]}, []),
    ],
)
def test_filters(context: Context, filters: dict[str, list[str]], expected: list[str]) -> None:
    web = {"image": "demo:latest", "name": "web", "tier": "front"}
    tell(context.root, "container", "start", "ab" * 32, web)
    tell(context.root, "container", "health_status: healthy", "ab" * 32, web)
    tell(context.root, "container", "die", "cd" * 32, {"image": "other", "name": "db"})
    tell(context.root, "image", "pull", "demo:latest", {"name": "demo"})
    assert told(context, filters=filters) == expected


def test_an_unknown_filter_is_refused_at_once(context: Context) -> None:
    with pytest.raises(InvalidInput, match="invalid filter 'foo'"):
        events(context, filters={"foo": ["x"]})


def test_a_full_journal_is_put_aside_and_nobody_who_reads_misses_any(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "FULL", 4000)
    reading = events(context, since=LONG_AGO)
    found = []

    def follow(count: int) -> None:
        found.extend([next(reading)["Action"] for _ in range(count)])

    follower = threading.Thread(target=follow, args=(20,), daemon=True)
    follower.start()
    for number in range(20):  # about 200 bytes each: the first file is full once
        tell(context.root, "image", str(number), "x", {"name": "x" * 80})
    follower.join(60)
    assert found == [str(number) for number in range(20)]
    assert sorted(os.listdir(context.root)) == ["events.jsonl", "events.jsonl.1"]
    for number in range(20, 60):
        tell(context.root, "image", str(number), "x", {"name": "x" * 80})
    left = told(context)
    assert left == [str(number) for number in range(60 - len(left), 60)]
    assert sum(os.path.getsize(f"{context.root}/{name}") for name in os.listdir(context.root)) < 9000


def test_a_torn_line_costs_itself_only(context: Context) -> None:
    tell(context.root, "image", "first", "x", {"name": "x"})
    with open(f"{context.root}/events.jsonl", "a") as file:
        file.write('{"Type": "image", "Action": "to')  # here the disk was full
    tell(context.root, "image", "second", "x", {"name": '{"Type": "y'})
    with open(f"{context.root}/events.jsonl", "a") as file:
        file.write('\n7\n[]\n{"Type": "image"}\n\xff\n')
    assert told(context) == ["first", "second"]


def test_who_cannot_write_goes_on(tmp_path: Path) -> None:
    tell(str(tmp_path / "missing"), "image", "tag", "x", {})
    (tmp_path / "events.jsonl").mkdir()
    tell(str(tmp_path), "image", "tag", "x", {})
    if os.path.exists("/dev/full"):
        (tmp_path / "events.jsonl").rmdir()
        (tmp_path / "events.jsonl").symlink_to("/dev/full")
        tell(str(tmp_path), "image", "tag", "x", {})


def test_following_ends_at_until(context: Context) -> None:
    def first(found: Iterator[dict[str, Any]]) -> dict[str, Any] | None:
        return next(found, None)

    tell(context.root, "image", "before", "x", {"name": "x"})
    soon = events(context, until=rfc3339(__import__("time").time_ns() + 300_000_000))
    tell(context.root, "image", "after", "x", {"name": "x"})
    event = first(soon)
    assert event is None or event["Action"] == "after"  # None: it took longer than that
    assert first(soon) is None
