"""--init: which of the host's programs can be a container's first process."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from engine.commands.reaper import find, is_static
from engine.errors import InvalidInput
from engine.runtime.plan import make_plan
from tests.support.runtime import Config


def elf(*kinds: int) -> bytes:
    """An ELF program with program headers of these kinds."""
    head = (
        b"\x7fELF\x02\x01\x01"
        + bytes(9)
        + struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, 0, 64, 0, 0, 64, 56, len(kinds), 0, 0, 0)
    )
    return head + b"".join(struct.pack("<I", kind).ljust(56, b"\0") for kind in kinds)


@pytest.mark.parametrize(
    ("data", "static"),
    [
        (elf(1, 1), True),
        (elf(6, 3, 1), False),
        (elf(1, 1)[:-1], False),
        (b"#!/bin/sh\n" + bytes(100), False),
        (b"\x7fELF\x01" + bytes(100), False),
        (b"", False),
    ],
)
def test_only_a_program_without_an_interpreter_is_static(tmp_path: Path, data: bytes, static: bool) -> None:
    (tmp_path / "program").write_bytes(data)
    assert is_static(str(tmp_path / "program")) == static


def test_the_first_static_one_is_taken_and_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "dynamic").write_bytes(elf(3))
    (tmp_path / "static").write_bytes(elf(1))
    (tmp_path / "link").symlink_to("static")
    names = tuple(str(tmp_path / name) for name in ("missing", "dynamic", "link"))
    assert find(names) == str(tmp_path / "static")
    with pytest.raises(InvalidInput, match="install the package tini or catatonit"):
        find(names[:2])


def test_the_plan_runs_it_before_the_command_on_a_bottom_of_its_own() -> None:
    plan = make_plan(Config("ab" * 32, ("sh", "-c", "true")), "/root").under_init("/usr/bin/tini-static")
    assert plan.argv == ("/sbin/docker-init", "--", "sh", "-c", "true")
    assert plan.lowers[-1] == plan.skeleton == "/root/skeleton-init"
    assert {"sbin/docker-init", "usr/sbin/docker-init", "usr/bin/docker-init"} <= set(plan.wire()["skeleton"])  # type: ignore[call-overload]
    bound = plan.mounts[-1]
    assert (bound.kind, bound.target, bound.source) == ("bind", "/sbin/docker-init", "/usr/bin/tini-static")
    assert set(bound.attributes) == {"ro", "nosuid", "nodev"}
