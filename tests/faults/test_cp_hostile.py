"""A container, or an archive, that wants `cp` to read or write the host's files (moby CVE-2018-15664, 2026-41568)."""

from __future__ import annotations

import io
import os
import signal
import stat
import subprocess
import tarfile
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from engine.copying.place import Rules, place
from engine.engine import Engine
from engine.errors import StrataError
from engine.kernel.paths import RENAME_EXCHANGE, renameat2
from engine.store.root import Store
from tests.support.command import Strata
from tests.support.needs import needs_root
from tests.support.rootfs import tiny_image
from tests.support.waiting import until

ROUNDS = 10


@pytest.fixture(scope="module")
def strata() -> Iterator[Strata]:
    needs_root()
    with Strata() as command:
        tiny_image(Store(command.root))
        yield command


class Box:
    """A container and its files, seen from the host the way it sees them itself (`root`)."""

    def __init__(self, strata: Strata, running: bool) -> None:
        self.engine = Engine(strata.root)
        self.id = strata("create", "--name", "box", "tiny", "sleep", "1000")
        self.root = Path(strata.root, "layers", self.id, "diff")
        if running:
            strata("start", "box")
            self.root = Path(f"/proc/{strata.pid('box')}/root")


@pytest.fixture(params=[False, True], ids=["stopped", "running"])
def box(strata: Strata, request: pytest.FixtureRequest) -> Iterator[Box]:
    try:
        yield Box(strata, request.param)
    finally:
        strata("rm", "-f", "box")


@pytest.fixture
def running(strata: Strata) -> Iterator[Box]:
    try:
        yield Box(strata, True)
    finally:
        strata("rm", "-f", "box")


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A directory of the host that the container knows the path of."""
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "file").write_text("HOST")
    return secret


def untouched(host: Path) -> bool:
    return os.listdir(host) == ["file"] and (host / "file").read_text() == "HOST"


def attempt(act: Callable[[], object]) -> str:
    try:
        act()
    except (StrataError, OSError) as error:
        return str(error) or "refused"
    return ""


def test_links_to_the_host_in_every_part_of_a_path_stay_inside(box: Box, host: Path, tmp_path: Path) -> None:
    up = "../" * 40
    ways = {
        "plain": str(host),
        "up": up + str(host)[1:],
        "magic": f"/proc/self/root{host}",
        "one": f"/proc/1/root{host}",
    }
    for name, target in ways.items():
        (box.root / name).symlink_to(target)
        (box.root / f"{name}-file").symlink_to(f"{target}/file")
    (box.root / "chain").symlink_to("plain/../plain")
    (tmp_path / "mine").write_text("mine")
    paths = [f"/{name}/file" for name in (*ways, "chain")] + [f"/{name}-file" for name in ways]
    paths += [f"/{up}{host}/file", f"/tmp/{up}{host}/file"]
    for number, path in enumerate(paths):
        for follow in (False, True):
            out = tmp_path / f"out{number}{follow}"
            said = attempt(partial(box.engine.copy_from, "box", path, str(out), follow=follow))
            assert said or out.is_symlink(), path
        said = attempt(partial(box.engine.copy_to, "box", str(tmp_path / "mine"), path))
        assert "Could not find" in said, (path, said)
    (box.root / "all").mkdir()
    for name, target in ways.items():
        (box.root / "all" / name).symlink_to(f"{target}/file")
    box.engine.copy_from("box", "/all", str(tmp_path / "all"))
    assert {name: os.readlink(tmp_path / "all" / name) for name in ways} == {n: f"{w}/file" for n, w in ways.items()}
    assert untouched(host)


class Racer:
    """Swaps a directory of the container for a symlink to the host's, and back, as fast as it can."""

    def __init__(self, box: Box, host: Path) -> None:
        self.place = box.root / "race"
        (self.place / "d/below").mkdir(parents=True)
        (self.place / "d/file").write_text("inside")
        (self.place / "d/below/file").write_text("inside")
        (self.place / "s").symlink_to(host)
        self.swaps = 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.race)

    def race(self) -> None:
        fd = os.open(self.place, os.O_RDONLY | os.O_DIRECTORY)
        try:
            while not self.over.is_set():
                renameat2(fd, "d", fd, "s", RENAME_EXCHANGE)
                self.swaps += 1
        finally:
            os.close(fd)

    def __enter__(self) -> Racer:
        self.thread.start()
        until(lambda: self.swaps)
        return self

    def __exit__(self, *exc: object) -> None:
        self.over.set()
        self.thread.join()


def test_a_directory_that_becomes_a_link_while_it_is_read_gives_nothing_of_the_host(
    running: Box, host: Path, tmp_path: Path
) -> None:
    with Racer(running, host) as racer:
        for number in range(ROUNDS):
            for kind, path in (("tree", "/race"), ("file", "/race/d/file"), ("link", "/race/s/")):
                out = tmp_path / f"{kind}{number}"
                attempt(partial(running.engine.copy_from, "box", path, str(out), follow=True))
        assert racer.swaps > ROUNDS
    for found in tmp_path.rglob("*"):
        own = found.relative_to(tmp_path)
        linked = any((tmp_path / above).is_symlink() for above in (own, *own.parents))
        if host not in (found, *found.parents) and not linked and found.is_file():
            assert "HOST" not in found.read_text(), found
    assert untouched(host)


def test_a_directory_that_becomes_a_link_while_it_is_written_leads_nowhere(
    running: Box, host: Path, tmp_path: Path
) -> None:
    mine = tmp_path / "mine"
    (mine / "d/below").mkdir(parents=True)
    for name in ("d/file", "d/evil", "d/below/file"):
        (mine / name).write_text("mine")
    with Racer(running, host) as racer:
        for _ in range(ROUNDS):
            for source, target in (("mine/.", "/race"), ("mine/d/evil", "/race/d"), ("mine/d/evil", "/race/s/evil")):
                attempt(partial(running.engine.copy_to, "box", str(tmp_path / source), target))
        assert racer.swaps > ROUNDS
    assert untouched(host)
    assert not list(running.root.joinpath("race").rglob(".strata-cp*"))


def test_fifos_and_devices_are_neither_opened_nor_left_to_the_host(box: Box, tmp_path: Path) -> None:
    (box.root / "odd").mkdir()
    os.mkfifo(box.root / "odd/fifo")
    for name, kind, number in (("null", stat.S_IFCHR, (1, 3)), ("disk", stat.S_IFBLK, (7, 99))):
        if box.root.parts[1] == "proc":  # in the file system of the container a device can be made, not used
            subprocess.run(
                ["mknod", str(box.root / "odd" / name), "bc"[kind == stat.S_IFCHR], *map(str, number)], check=True
            )
        else:
            os.mknod(box.root / "odd" / name, 0o666 | kind, os.makedev(*number))
    (box.root / "odd/setuid").write_text("#!/bin/sh\n")
    os.chmod(box.root / "odd/setuid", 0o6755)
    left: list[str] = []
    box.engine.copy_from("box", "/odd", str(tmp_path / "out"), warn=left.append)
    assert sorted(os.listdir(tmp_path / "out")) == ["fifo", "setuid"]
    assert len(left) == 2
    assert stat.S_IMODE((tmp_path / "out/setuid").stat().st_mode) == 0o755
    box.engine.copy_from("box", "/odd", str(tmp_path / "all"), archive=True)
    assert stat.S_ISBLK((tmp_path / "all/disk").stat().st_mode)
    assert stat.S_IMODE((tmp_path / "all/setuid").stat().st_mode) == 0o6755
    for name in ("fifo", "null", "disk"):
        (tmp_path / name).write_text("a file now")
        box.engine.copy_to(
            "box", str(tmp_path / name), f"/odd/{name}"
        )  # replaced: nobody reads the FIFO, so no hanging
        assert (box.root / "odd" / name).read_text() == "a file now"
    box.engine.copy_to("box", str(tmp_path / "out/fifo"), "/odd/again")
    assert stat.S_ISFIFO((box.root / "odd/again").stat().st_mode)


def test_what_has_another_name_elsewhere_is_replaced_not_written_to(box: Box, tmp_path: Path) -> None:
    (box.root / "victim").write_text("kept")
    (box.root / "e").mkdir()
    os.link(box.root / "victim", box.root / "e/file")
    (tmp_path / "file").write_text("new")
    box.engine.copy_to("box", str(tmp_path / "file"), "/e")
    assert (box.root / "victim").read_text() == "kept"
    assert (box.root / "e/file").read_text() == "new"


def test_deep_trees_and_long_names(running: Box, tmp_path: Path) -> None:
    def dig(top: Path, levels: int, name: str) -> None:
        fd = os.open(top, os.O_RDONLY | os.O_DIRECTORY)
        for _ in range(levels):
            os.mkdir(name, dir_fd=fd)
            below = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=fd)
            os.close(fd)
            fd = below
        os.close(os.open("end", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
        os.close(fd)

    for name in ("deep", "abyss"):
        (running.root / name).mkdir()
    dig(running.root / "deep", 1000, "d")
    dig(running.root / "abyss", 30, "n" * 255)
    engine = running.engine
    engine.copy_from("box", "/deep", str(tmp_path / "deep"))
    found = subprocess.run(["find", str(tmp_path / "deep"), "-name", "end"], capture_output=True, text=True, check=True)
    assert found.stdout.count("/d/") == 500
    engine.copy_to("box", str(tmp_path / "deep"), "/copy")
    engine.copy_from("box", "/copy", str(tmp_path / "again"))
    assert "a path longer than 4095 bytes" in attempt(lambda: engine.copy_from("box", "/abyss", str(tmp_path / "no")))
    for name in ("deep", "again", "no"):
        subprocess.run(["rm", "-rf", str(tmp_path / name)], check=True)


def archive(*members: tuple[str, bytes, str]) -> io.BytesIO:
    """A tar stream of (name, type, link target or content)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, kind, more in members:
            member = tarfile.TarInfo(name)
            member.type = kind
            if kind == tarfile.REGTYPE:
                member.size = len(more)
                tar.addfile(member, io.BytesIO(more.encode()))
            else:
                member.linkname = more
                tar.addfile(member)
    out.seek(0)
    return out


@pytest.mark.parametrize(
    "members",
    [
        [("d", tarfile.SYMTYPE, "OUT"), ("d/file", tarfile.REGTYPE, "evil")],
        [("d", tarfile.SYMTYPE, ".."), ("d/secret/file", tarfile.REGTYPE, "evil")],
        [("../secret/file", tarfile.REGTYPE, "evil")],
        [("d/../../secret/file", tarfile.REGTYPE, "evil")],
        [("there/file", tarfile.REGTYPE, "evil")],
        [("there", tarfile.DIRTYPE, ""), ("there/file", tarfile.REGTYPE, "evil")],
        [("l", tarfile.LNKTYPE, "there/file"), ("l", tarfile.REGTYPE, "evil")],
        [("l", tarfile.LNKTYPE, "../secret/file")],
        [("l", tarfile.LNKTYPE, "mine")],
        [("s", tarfile.SYMTYPE, "OUT/file"), ("l", tarfile.LNKTYPE, "s")],
        [("s", tarfile.SYMTYPE, "OUT"), ("s", tarfile.DIRTYPE, ""), ("s/file", tarfile.REGTYPE, "evil")],
    ],
)
def test_an_archive_writes_below_its_directory_only(members: list[tuple[str, bytes, str]], tmp_path: Path) -> None:
    host, into = tmp_path / "secret", tmp_path / "into"
    for path in (host, into):
        path.mkdir()
    (host / "file").write_text("HOST")
    (into / "mine").write_text("mine")
    (into / "there").symlink_to(host)
    stream = archive(*((name, kind, more.replace("OUT", str(host))) for name, kind, more in members))
    fd = os.open(into, os.O_RDONLY | os.O_DIRECTORY)
    try:
        said = attempt(lambda: place(stream, fd, Rules((os.geteuid(), os.getegid()), False), lambda _: None))
    finally:
        os.close(fd)
    assert said
    assert untouched(host)
    assert (host / "file").stat().st_nlink == 1
    assert (into / "mine").stat().st_nlink == 1
    assert not list(into.glob(".strata-cp*"))


def test_a_later_file_replaces_a_link_and_its_target_stays(tmp_path: Path) -> None:
    host, into = tmp_path / "secret", tmp_path / "into"
    for path in (host, into):
        path.mkdir()
    (host / "file").write_text("HOST")
    stream = archive(("s", tarfile.SYMTYPE, str(host / "file")), ("s", tarfile.REGTYPE, "mine"))
    fd = os.open(into, os.O_RDONLY | os.O_DIRECTORY)
    try:
        place(stream, fd, Rules((os.geteuid(), os.getegid()), False), lambda _: None)
    finally:
        os.close(fd)
    assert (into / "s").read_text() == "mine"
    assert untouched(host)


def test_a_killed_copy_leaves_nothing_half_made_and_blocks_nobody(strata: Strata, running: Box) -> None:
    member = tarfile.TarInfo("big")
    member.size = 1 << 30
    command = strata.argv("cp", "-", "box:/")
    with subprocess.Popen(command, env=strata.env, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin
        process.stdin.write(member.tobuf() + bytes(1 << 20))
        process.stdin.flush()
        until(lambda: list(running.root.glob(".strata-cp*")))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdin.close()
    until(lambda: not list(running.root.glob(".strata-cp*")))
    assert not (running.root / "big").exists()
    until(lambda: str(strata.root) not in Path("/proc/self/mountinfo").read_text())
    strata("restart", "-t", "0", "box")
