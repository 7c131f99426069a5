"""cp, both ways, by docker's rules, from and to containers in every state."""

from __future__ import annotations

import io
import os
import shutil
import stat
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from engine.engine import Engine
from engine.errors import StrataError
from engine.store.root import Store
from tests.support.command import Strata
from tests.support.needs import needs_root
from tests.support.rootfs import tiny_image


@pytest.fixture(scope="module")
def strata() -> Iterator[Strata]:
    needs_root()
    with Strata() as command:
        tiny_image(Store(command.root))
        yield command


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory: a file, a directory with something of every kind, links to both."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dir/sub").mkdir(parents=True)
    (tmp_path / "file").write_text("hi")
    os.chown("file", 1234, 1235)
    os.chmod("file", 0o4751)
    (tmp_path / "dir/sub/g").write_text("g")
    os.link("dir/sub/g", "dir/hard")
    os.symlink("sub/g", "dir/l")
    os.mkfifo("dir/fifo")
    with open("dir/sparse", "wb") as file:
        file.seek(1 << 30)
        file.write(b"end")
    os.setxattr("dir/sub/g", "user.note", b"kept")
    (tmp_path / "dir/a\nb").write_text("newline")
    Path(os.fsdecode(b"dir/\xff\xfe")).write_text("no utf-8")
    os.symlink("dir", "ldir")
    os.symlink("file", "lfile")
    os.utime("dir/sub", ns=(1, 1_000_000_001))
    return tmp_path


EXPECTED = {
    b"dir": "d",
    b"dir/a\nb": "newline",
    b"dir/fifo": "p",
    b"dir/hard": "g",
    b"dir/l": "-> sub/g",
    b"dir/sparse": f"sparse {(1 << 30) + 3}",
    b"dir/sub": "d",
    b"dir/sub/g": "g",
    b"dir/\xff\xfe": "no utf-8",
}


def tree(top: str) -> dict[bytes, str]:
    """Every path below the parent of `top`, and what is there."""
    found = {}
    base = os.path.dirname(os.path.abspath(top))
    for where, directories, files in os.walk(os.fsencode(os.path.abspath(top))):
        for path in (where, *(os.path.join(where, name) for name in files)):
            mode = os.lstat(path).st_mode
            if stat.S_ISLNK(mode):
                said = f"-> {os.readlink(os.fsdecode(path))}"
            elif stat.S_ISREG(mode):
                size = os.lstat(path).st_size
                said = Path(os.fsdecode(path)).read_text(errors="replace") if size < 1000 else f"sparse {size}"
            else:
                said = "d" if stat.S_ISDIR(mode) else "p"
            found[os.path.relpath(path, os.fsencode(base))] = said
        links = [os.path.join(where, name) for name in directories if os.path.islink(os.path.join(where, name))]
        found.update({os.path.relpath(path, os.fsencode(base)): f"-> {os.readlink(path)!r}" for path in links})
    return found


STATES = ("paused", "exited", "mapped", "mapped and stopped")


@pytest.mark.parametrize("state", STATES)
def test_there_and_back_again_in_every_state(strata: Strata, here: Path, state: str) -> None:
    flags = ("--userns=auto",) if "mapped" in state else ()
    strata("create", "--name", "box", *flags, "tiny", "sleep", "1000")
    strata("start", "box")
    if state == "paused":
        strata("pause", "box")
    if state in ("exited", "mapped and stopped"):
        strata("stop", "-t", "0", "box")
    assert strata("cp", "dir", "box:/tmp") == ""
    strata("cp", "file", "box:/etc/passwd")
    strata("cp", "-a", "file", "box:/root/owned")
    assert strata("container", "cp", "box:/tmp/dir", "back/") == ""
    assert tree("back") == {name.replace(b"dir", b"back", 1): what for name, what in EXPECTED.items()}
    assert os.stat("back/sparse").st_blocks < 2048
    assert os.stat("back/hard").st_ino == os.stat("back/sub/g").st_ino
    assert os.getxattr("back/sub/g", "user.note") == b"kept"
    assert os.stat("back/sub").st_mtime_ns == 1_000_000_001
    strata("cp", "-a", "box:/root/owned", "owned")
    strata("cp", "box:/root/owned", "mine")
    strata("cp", "box:/etc/passwd", "passwd")
    told = [(os.stat(name).st_uid, os.stat(name).st_gid, oct(os.stat(name).st_mode)) for name in ("owned", "mine")]
    assert told == [(1234, 1235, "0o104751"), (os.getuid(), os.getgid(), "0o100751")]
    assert Path("passwd").read_text() == "hi"
    if state == "paused":
        strata("unpause", "box")
    if state in ("running", "paused", "mapped"):
        inside = strata("exec", "box", "stat", "-c", "%u:%g %a", "/root/owned", "/etc/passwd", "/tmp/dir/sub/g")
        assert inside.splitlines() == ["1234:1235 4751", "0:0 4751", "0:0 644"]
    strata("cp", "box:/etc/hosts", "hosts")
    if state in ("running", "mapped"):
        assert "localhost" in Path("hosts").read_text()
    assert "C /tmp\n" in strata("diff", "box") + "\n"
    strata("rm", "-f", "box")


@pytest.fixture
def box(strata: Strata) -> Iterator[Path]:
    """The read-write layer of a container that does not run, with something in it."""
    layer = Path(strata.root, "layers", strata("create", "--name", "box", "tiny", "sleep", "1000"), "diff")
    furnish(layer)
    yield layer
    strata("rm", "-f", "box")


def furnish(layer: Path) -> None:
    """As it is before each case."""
    for name in ("d", "e"):
        shutil.rmtree(layer / name, ignore_errors=True)
    (layer / "d/sub").mkdir(parents=True)
    (layer / "e").mkdir()
    (layer / "d/one").write_text("one\n")
    (layer / "d/sub/two").write_text("two\n")
    for name, target in (("ld", "/d"), ("d/link", "one"), ("dangling", "/e/new"), ("loop", "/loop")):
        (layer / name).unlink(missing_ok=True)
        (layer / name).symlink_to(target)


IN = [  # what, where, then: what must be there, or the words of a refusal
    ("file", "/e", "/e/file"),
    ("file", "/e/", "/e/file"),
    ("file", "/e/x", "/e/x"),
    ("file", "/d/one", "/d/one"),
    ("file", "e/relative", "/e/relative"),
    ("file", "/ld", "/d/file"),
    ("file", "/d/link", "/d/one"),
    ("file", "/dangling", "/e/new"),
    ("file", "/no/", "no such directory"),
    ("file", "/no/x", "Could not find the file /no in container box"),
    ("file", "/d/one/", "not a directory"),
    ("file", "/loop", "too many symbolic links"),
    ("file", "", "path cannot be empty"),
    ("file/", "/e", "not a directory"),
    ("file/.", "/e", "not a directory"),
    ("nosuch", "/e", "nosuch: no such file or directory"),
    ("dir", "/e", "/e/dir/sub/g"),
    ("dir/", "/e", "/e/dir/sub/g"),
    ("dir/.", "/e", "/e/sub/g"),
    ("dir", "/e/n", "/e/n/sub/g"),
    ("dir/.", "/e/n", "/e/n/sub/g"),
    ("dir", "/e/n/", "/e/n/sub/g"),
    ("dir", "/d/one", "cannot copy directory"),
    ("ldir/", "/e/n", "/e/n/sub/g"),
    ("ldir/.", "/e/n", "/e/n/sub/g"),
]


def refusal(act: Callable[[], object]) -> str:
    """What an engine's method refuses with, "" when it does not."""
    try:
        act()
    except (StrataError, OSError) as error:
        return str(error)
    return ""


def test_in_by_dockers_rules(strata: Strata, here: Path, box: Path) -> None:
    engine = Engine(strata.root)
    for source, target, then in IN:
        said = refusal(partial(engine.copy_to, "box", source, target))
        if then.startswith("/"):
            assert said == "", (source, target)
            assert (box / then[1:]).read_text() == ("hi" if source == "file" else "g"), (source, target)
        else:
            assert then in said, (source, target)
        furnish(box)
    engine.copy_to("box", "lfile", "/e/kept")
    engine.copy_to("box", "lfile", "/e/followed", follow=True)
    assert os.readlink(box / "e/kept") == "file"
    assert (box / "e/followed").read_text() == "hi"
    assert os.readlink(box / "d/link") == "one"


OUT = [
    ("/d/one", "new", "new", "one\n"),
    ("/d/one", "sub", "sub/one", "one\n"),
    ("/d/one", "there", "there", "one\n"),
    ("/d/one", "tolink", "there", "one\n"),
    ("d/one", "./new", "new", "one\n"),
    ("/d/one", "no/", "", "no such directory"),
    ("/d/one", "no/x", "", '/no" does not exist'),
    ("/d/one", "there/", "", "not a directory"),
    ("/d/one/", "x", "", "not a directory"),
    ("/d/one/.", "x", "", "not a directory"),
    ("/nosuch", "x", "", "Could not find the file /nosuch in container box"),
    ("", "x", "", "path cannot be empty"),
    ("/d", "new", "new/sub/two", "two\n"),
    ("/d/", "sub", "sub/d/sub/two", "two\n"),
    ("/d/.", "sub", "sub/sub/two", "two\n"),
    ("/d/.", "new", "new/sub/two", "two\n"),
    ("/d", "there", "", "cannot copy directory"),
    ("/ld/", "new", "new/sub/two", "two\n"),
    ("/ld/.", "sub", "sub/sub/two", "two\n"),
    ("/ld/../d/one", "new", "new", "one\n"),
    ("/../../d/one", "new", "new", "one\n"),
]


def test_out_by_dockers_rules(strata: Strata, tmp_path: Path, box: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(strata.root)
    for number, (source, target, then, what) in enumerate(OUT):
        place = tmp_path / str(number)
        (place / "sub").mkdir(parents=True)
        (place / "there").write_text("before")
        (place / "tolink").symlink_to("there")
        monkeypatch.chdir(place)
        said = refusal(partial(engine.copy_from, "box", source, target))
        if then:
            assert said == "", (source, target)
            assert Path(then).read_text() == what, (source, target)
        else:
            assert what in said, (source, target)
            assert sorted(os.listdir()) == ["sub", "there", "tolink"]
    strata("cp", "box:/d/link", "l1")
    strata("cp", "-L", "box:/d/link", "l2")
    strata("cp", "-L", "box:/ld", "l3")
    assert os.readlink("l1") == "one"
    assert Path("l2").read_text() == "one\n"
    assert Path("l3/sub/two").read_text() == "two\n"
    for words, problem in (
        (("a", "b"), "must specify at least one container source"),
        (("box:/a", "box:/b"), "copying between containers is not supported"),
        (("nosuch:/a", "b"), "No such container: nosuch"),
        (("./x:y", "box:/z"), "x:y: no such file or directory"),
    ):
        done = strata.run("cp", *words)
        assert done.returncode == 1
        assert problem in done.stderr


def test_archives_go_in_and_out_as_streams(strata: Strata, here: Path, box: Path) -> None:
    def names(path: str) -> list[str]:
        done = subprocess.run(strata.argv("cp", f"box:{path}", "-"), env=strata.env, capture_output=True, check=True)
        with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
            return archive.getnames()

    assert names("/d") == ["d", "d/link", "d/one", "d/sub", "d/sub/two"]
    assert names("/d/.") == [".", "./link", "./one", "./sub", "./sub/two"]
    assert names("/d/one") == ["one"]
    assert names("/ld") == ["ld"]
    assert names("/ld/") == ["ld", "ld/link", "ld/one", "ld/sub", "ld/sub/two"]
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name in ("st", "ld/through", "made/on/the/way"):
            member = tarfile.TarInfo(name)
            member.uid, member.gid, member.size = 55, 56, 2
            archive.addfile(member, io.BytesIO(b"ab"))

    def put(path: str, data: bytes) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(strata.argv("cp", "-", f"box:{path}"), env=strata.env, input=data, capture_output=True)

    assert put("/", out.getvalue()).returncode == 0
    for name in ("st", "d/through", "made/on/the/way"):
        found = (box / name).stat()
        assert (found.st_uid, found.st_gid, found.st_size) == (55, 56, 2)
    for path, data, problem in (
        ("/d/one", out.getvalue(), 'destination "box:/d/one" must be a directory'),
        ("/nosuch", out.getvalue(), 'destination "box:/nosuch" must be a directory'),
        ("/e", out.getvalue()[:513], "truncated"),
        ("/e", b"no archive at all" * 99, "checksum"),
    ):
        done = put(path, data)
        assert done.returncode == 1
        assert problem in done.stderr.decode()
    assert os.listdir(box / "e") == []


def test_what_is_in_the_way(strata: Strata, here: Path, box: Path) -> None:
    engine = Engine(strata.root)
    (box / "e/dir/l").mkdir(parents=True)
    (box / "e/file").mkdir()
    (box / "e/ln").symlink_to("/d")
    for source, target in (("dir", "/e"), ("file", "/e/.")):
        assert "cannot overwrite directory" in refusal(partial(engine.copy_to, "box", source, target))
    os.makedirs("one/ln")
    Path("one/ln/evil").write_text("evil")
    assert "cannot overwrite non-directory" in refusal(partial(engine.copy_to, "box", "one/.", "/e"))
    assert sorted(os.listdir(box / "d")) == ["link", "one", "sub"]
    assert not [path for path in box.rglob("*") if ".strata-cp" in path.name]


def test_a_read_only_container_is_not_written_to(strata: Strata, here: Path) -> None:
    for start in (False, True):
        strata("create", "--read-only", "--name", "ro", "tiny", "sleep", "1000")
        if start:
            strata("start", "ro")
        done = strata.run("cp", "file", "ro:/tmp")
        assert (done.returncode, done.stderr) == (1, "Error: container rootfs is marked read-only\n")
        strata("cp", "ro:/bin/sh", "sh")
        os.unlink("sh")
        strata("rm", "-f", "ro")
