"""The demo's root filesystem is whole: every link leads somewhere, every program has its loader and libraries in it."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from app.demo import elf, hostfiles
from app.demo.hostfiles import HostFile, HostFilesMissing


def by_path(entries: list[HostFile]) -> dict[str, HostFile]:
    return {entry.path: entry for entry in entries}


def resolve(entries: dict[str, HostFile], path: str) -> HostFile:
    """What `path` leads to, looking at nothing but the entries."""
    todo, here = path.strip("/").split("/"), ""
    for _ in range(200):
        if not todo:
            return entries[here]
        part = todo.pop(0)
        if part in ("", "."):
            continue
        if part == "..":
            here = here.rpartition("/")[0]
            continue
        entry = entries[f"{here}/{part}".lstrip("/")]
        if entry.kind == "l":
            here = "" if entry.target.startswith("/") else here
            todo = entry.target.split("/") + todo
        else:
            here = entry.path
    raise AssertionError(f"{path}: links without end")


@pytest.mark.parametrize("use_busybox", [True, False])
def test_every_essential_tool_leads_to_a_program(use_busybox: bool) -> None:
    entries = by_path(hostfiles.collect(use_busybox=use_busybox))
    for tool in hostfiles.ESSENTIAL:
        found = [f"{where}/{tool}" for where in ("bin", "usr/bin") if _exists(entries, f"{where}/{tool}")]
        assert found, f"no {tool} in the image"
        program = resolve(entries, found[0])
        assert program.kind == "f" and program.mode & 0o111, program
        assert elf.read(program.source) is not None


def _exists(entries: dict[str, HostFile], path: str) -> bool:
    try:
        resolve(entries, path)
    except KeyError:
        return False
    return True


def test_every_program_finds_its_loader_and_libraries_inside() -> None:
    entries = by_path(hostfiles.collect(use_busybox=False))
    names = {entry.path.rpartition("/")[2] for entry in entries.values()}
    programs = 0
    for entry in entries.values():
        if entry.kind != "f":
            continue
        needs = elf.read(entry.source)
        assert needs is not None, entry
        if needs.interpreter:
            programs += 1
            loader = resolve(entries, needs.interpreter)
            assert loader.kind == "f"
        assert set(needs.needed) <= names, (entry.path, needs.needed)
    assert programs >= len(hostfiles.ESSENTIAL)


@pytest.mark.parametrize("use_busybox", [True, False])
def test_parents_come_before_what_they_hold(use_busybox: bool) -> None:
    seen = {""}
    for entry in hostfiles.collect(use_busybox=use_busybox):
        assert entry.path.rpartition("/")[0] in seen, entry
        assert entry.kind in "dfl"
        if entry.kind == "d":
            seen.add(entry.path)


def test_the_same_host_gives_the_same_bytes() -> None:
    archives = []
    for _ in range(2):
        out = io.BytesIO()
        hostfiles.write_tar(hostfiles.collect(), out)
        archives.append(out.getvalue())
    assert archives[0] == archives[1]
    with tarfile.open(fileobj=io.BytesIO(archives[0])) as archive:
        members = archive.getmembers()
    assert {(member.uid, member.gid, member.mtime) for member in members} == {(0, 0, hostfiles.EPOCH)}
    assert any(member.issym() for member in members) and any(member.size > 10_000 for member in members)


def test_no_program_keeps_set_user_id_bits(tmp_path: Path) -> None:
    program = tmp_path / "su"
    program.write_bytes(b"x")
    program.chmod(0o4711)
    entries: dict[str, HostFile] = {}
    hostfiles.add_path(entries, str(program))
    assert entries[str(program).lstrip("/")].mode == 0o755


def test_links_are_followed_and_kept(tmp_path: Path) -> None:
    base = os.path.realpath(tmp_path)
    real = tmp_path / "store" / "real"
    real.mkdir(parents=True)
    (real / "tool").write_bytes(b"content")
    (tmp_path / "bin").symlink_to("store/../store/real")
    (real / "alias").symlink_to(f"{base}/bin/tool")
    entries: dict[str, HostFile] = {}
    assert hostfiles.add_path(entries, f"{base}/bin/alias") == f"{base}/store/real/tool"
    below = base[1:] + "/"
    kinds = {path.removeprefix(below): entry.kind for path, entry in entries.items() if path.startswith(below)}
    assert kinds == {"bin": "l", "store": "d", "store/real": "d", "store/real/alias": "l", "store/real/tool": "f"}


def test_a_circle_of_links_and_a_dead_link_are_errors(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(HostFilesMissing, match="too many symbolic links"):
        hostfiles.add_path({}, str(tmp_path / "a"))
    with pytest.raises(HostFilesMissing, match="No such file"):
        hostfiles.add_path({}, str(tmp_path / "nothing"))


def test_a_missing_tool_is_left_out_and_a_missing_essential_one_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hostfiles, "BINARIES", ("/nowhere",))
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(HostFilesMissing, match="'ls'"):
        hostfiles.collect(["ls"], use_busybox=False)
    assert "usr/bin/seq" not in by_path(hostfiles.collect(["seq"], use_busybox=False))


def test_a_file_that_is_no_program_is_not_read_as_one(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_bytes(b"#!/bin/sh\n" + b"#" * 100)
    assert elf.read(str(script)) is None
    shell = Path("/bin/sh").read_bytes()
    script.write_bytes(shell[:100])  # an ELF header that promises more than there is
    assert elf.read(str(script)) is None
