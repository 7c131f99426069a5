"""Which numbers are a user's, and what a plan makes of being in a user namespace."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.cgroups import delegation
from engine.rootless.ranges import MOST, own, ranges
from engine.runtime.plan import OVERLAY_OPTIONS, make_plan
from tests.support.runtime import Config


def test_ranges_follow_the_users_own_number() -> None:
    lines = ["ann:100000:65536\n", "1000:300000:10\n", "bob:200000:65536\n", "ann:400000:1\n"]
    assert ranges(lines, "ann", 1000) == [(1, 100000, 65536), (65537, 300000, 10), (65547, 400000, 1)]
    assert ranges(lines, "eve", 1001) == []


@pytest.mark.parametrize(
    "line",
    [
        *("ann:100000", "ann:1:2:3", "ann:x:65536", "ann:-5:10", "ann:0:10", "ann:5:0", "ann:999:10", "ann:٣:10"),
        *("ann::", "#", "ann:4294967290:10", "ann:99999999999:1", "", "\x00"),
    ],
)
def test_lines_that_are_none_or_would_map_root_or_the_user_himself_are_skipped(line: str) -> None:
    assert ranges([line, "ann:100000:65536"], "ann", 1000) == [(1, 100000, 65536)]


def test_no_more_ranges_than_the_kernel_takes() -> None:
    assert len(ranges([f"ann:{first * 10 + 100000}:10" for first in range(1000)], "ann", 1000)) == MOST - 1


def test_a_file_that_is_not_there_gives_nothing(tmp_path: Path) -> None:
    assert own(str(tmp_path / "subuid"), "ann", 1000) == []


def test_a_plan_in_a_user_namespace() -> None:
    config = Config("ab" * 32, ("sh",))
    root, many, alone = (make_plan(config, "/root", mapped=mapped) for mapped in (0, 65537, 1))
    assert root.overlay == OVERLAY_OPTIONS
    for plan in (many, alone):
        assert "userxattr" in plan.overlay and "redirect_dir=nofollow" in plan.overlay
        assert not any(option.startswith("redirect_dir=off") for option in plan.overlay), "the kernel refuses both"
        assert any("userxattr" in line for line in plan.describe())
    terminals = [next(mount for mount in plan.mounts if mount.kind == "devpts") for plan in (root, many, alone)]
    assert ["gid=5" in mount.options for mount in terminals] == [True, True, False]
    assert not any(option.startswith("gid=") for option in terminals[2].options)


@pytest.mark.parametrize(
    ("group", "writable", "found"),
    [
        ("/user.slice/u1/session", ["/user.slice/u1/session", "/user.slice/u1"], "/user.slice/u1"),
        ("/user.slice/u1/session", ["/user.slice/u1"], ""),  # above what may not be left
        ("/user.slice/u1/session", ["/user.slice/u1/session"], "/user.slice/u1/session"),
        ("/", [], ""),
        ("/../other", ["/../other", "/.."], ""),
    ],
)
def test_the_highest_group_that_is_writable_all_the_way(
    group: str, writable: list[str], found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delegation, "_group", lambda pid: group)
    monkeypatch.setattr(delegation, "_writable", lambda path: path.removeprefix("/cg") in writable)
    assert delegation.delegated("/cg") == (f"/cg{found}" if found else "")
    assert delegation.delegated("") == ""
