"""A small root filesystem out of the host's own files: a shell and core tools, with the libraries they load.

A static busybox is taken where the host has one, with a link for each applet. Elsewhere the host's own programs come
with their loader and libraries, at the paths and through the symbolic links by which the host reaches them; so a merged
/usr, multiarch directories or a store of links work without being known here. Nothing is downloaded, nothing but
`busybox --list` is run.
"""

from __future__ import annotations

import glob
import io
import os
import platform
import stat
import subprocess
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from app.demo import elf
from engine.errors import StrataError

# Without one of these no demo container can be made; the others are left out where the host lacks them.
ESSENTIAL = ("sh", "ls", "cat", "echo", "touch", "rm", "mkdir", "sleep", "date", "mv")
OPTIONAL = """
    cp ln chmod chown rmdir find grep sed head tail wc sort stat id env true false test printf readlink basename dirname
    du df uname hostname tty stty kill ps mknod mkfifo dd sync seq uniq cut tr tee sha256sum
"""
TOOLS = (*ESSENTIAL, *OPTIONAL.split())
BINARIES = ("/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin")
EMPTY_DIRECTORIES = {"": 0o755, "dev": 0o755, "etc": 0o755, "var": 0o755, "proc": 0o555, "sys": 0o555, "root": 0o700}
EMPTY_DIRECTORIES["tmp"] = 0o1777
LARGE = 2_000_000  # bytes: a tool that brings more than this in libraries is left out (procps' `ps` brings systemd's)
EPOCH = 1_767_225_600  # 2026-01-01: the time of every entry, so that the same host gives the same layer
MAX_LINKS = 40  # path_resolution(7)


class HostFilesMissing(StrataError):
    """The host lacks a program without which the demo cannot run; the text names it."""


@dataclass(frozen=True, slots=True)
class HostFile:
    """One entry of a root filesystem.

    path: without a leading slash, "" for the root itself; kind: 'd' directory, 'f' file, 'l' symbolic link;
    mode: permission bits; target: of a link; source: the host's file with the content ("" if `content` holds it).
    """

    path: str
    kind: str
    mode: int
    target: str = ""
    source: str = ""
    content: bytes = b""


def collect(tools: Sequence[str] = TOOLS, *, use_busybox: bool = True) -> list[HostFile]:
    """Entries of a root filesystem with `tools` in it, parents before what they hold, sorted.

    Raises HostFilesMissing if the host has neither a static busybox nor the essential tools.
    """
    found = find_busybox() if use_busybox else None
    if found:
        entries = _with_busybox(found, tools)
    else:
        gathered = _Gathered()
        for tool in tools:
            _add_tool(gathered, tool)
        entries = gathered.entries
    for path, mode in EMPTY_DIRECTORIES.items():
        entries.setdefault(path, HostFile(path, "d", mode))
    return in_order(entries.values())


def in_order(entries: Iterable[HostFile]) -> list[HostFile]:
    """The entries sorted by path, each directory before what it holds."""
    return sorted(entries, key=lambda entry: entry.path.split("/"))


def find_busybox() -> str | None:
    """The host's static busybox, or None."""
    for directory in BINARIES:
        path = f"{directory}/busybox"
        if os.access(path, os.X_OK) and (program := elf.read(path)) and program.static:
            return path
    return None


def directory_entries(path: str, mode: int = 0o755) -> Iterator[HostFile]:
    """`path` and the directories above it, outermost first."""
    parts = path.split("/")
    for end in range(1, len(parts)):
        yield HostFile("/".join(parts[:end]), "d", 0o755)
    yield HostFile(path, "d", mode)


def write_tar(entries: Iterable[HostFile], out: BinaryIO) -> None:
    """Write the entries as a tar layer (pax, owner 0:0, time EPOCH): the same entries give the same bytes."""
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for entry in entries:
            info = tarfile.TarInfo(entry.path or "./")
            info.mode, info.mtime = entry.mode, EPOCH
            if entry.kind == "d":
                info.type = tarfile.DIRTYPE
                archive.addfile(info)
            elif entry.kind == "l":
                info.type, info.linkname = tarfile.SYMTYPE, entry.target
                archive.addfile(info)
            else:
                _add_file(archive, info, entry)


def _add_file(archive: tarfile.TarFile, info: tarfile.TarInfo, entry: HostFile) -> None:
    if not entry.source:
        info.size = len(entry.content)
        archive.addfile(info, io.BytesIO(entry.content))
        return
    with open(entry.source, "rb") as file:
        info.size = os.fstat(file.fileno()).st_size
        archive.addfile(info, file)


def _with_busybox(source: str, tools: Sequence[str]) -> dict[str, HostFile]:
    """bin/busybox and a link for each tool that it can do."""
    done = subprocess.run([source, "--list"], capture_output=True, text=True, check=True)
    applets = set(done.stdout.split())
    missing = [tool for tool in ESSENTIAL if tool in tools and tool not in applets]
    if missing:
        raise HostFilesMissing(f"{source} has no applet {', '.join(missing)}")
    entries = {"bin": HostFile("bin", "d", 0o755), "bin/busybox": HostFile("bin/busybox", "f", 0o755, source=source)}
    for tool in tools:
        if tool in applets:
            entries[f"bin/{tool}"] = HostFile(f"bin/{tool}", "l", 0o777, target="busybox")
    return entries


class _Gathered:
    """Entries found so far, by path, and which files' libraries have been followed."""

    def __init__(self) -> None:
        self.entries: dict[str, HostFile] = {}
        self.followed: set[str] = set()

    def copy(self) -> _Gathered:
        other = _Gathered()
        other.entries, other.followed = dict(self.entries), set(self.followed)
        return other

    def size(self) -> int:
        return sum(os.stat(entry.source).st_size for entry in self.entries.values() if entry.source)


def _add_tool(gathered: _Gathered, tool: str) -> None:
    """Add one program with all it loads, or leave it out if the host has no such ELF program or it is too large."""
    paths = ["/bin/sh"] if tool == "sh" else [f"{directory}/{tool}" for directory in BINARIES]
    path = next((path for path in paths if os.path.isfile(path) and os.access(path, os.X_OK)), None)
    path = path or _on_path(tool)
    try:
        if path is None or elf.read(path) is None:
            raise HostFilesMissing(f"no program {tool!r} on this host")
        attempt = gathered.copy()
        _add_program(attempt, path)
        if tool not in ESSENTIAL and attempt.size() - gathered.size() > LARGE:
            return
    except HostFilesMissing:
        if tool in ESSENTIAL:
            raise
        return
    gathered.entries, gathered.followed = attempt.entries, attempt.followed


def _on_path(tool: str) -> str | None:
    """Where a host that keeps its programs elsewhere has `tool`, or None."""
    for directory in os.get_exec_path():
        path = os.path.join(directory, tool)
        if directory.startswith("/") and os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    return None


def _add_program(gathered: _Gathered, path: str) -> None:
    """Add the program at `path`, its loader, and all libraries they need."""
    real = add_path(gathered.entries, path)
    program = elf.read(real)
    if program is None:
        raise HostFilesMissing(f"{path} is no ELF program")
    if os.path.dirname(path) not in BINARIES:  # reachable under /usr/bin too, whatever the image's PATH
        name = f"usr/bin/{os.path.basename(path)}"
        for entry in directory_entries("usr/bin"):
            gathered.entries.setdefault(entry.path, entry)
        gathered.entries.setdefault(name, HostFile(name, "l", 0o777, target=path))
    loader_directory = ""
    if program.interpreter:
        loader_directory = os.path.dirname(add_path(gathered.entries, program.interpreter))
    queue = [real]
    while queue:
        here = queue.pop()
        if here in gathered.followed:
            continue
        gathered.followed.add(here)
        needs = elf.read(here)
        if needs is None:
            continue
        for soname in needs.needed:
            queue.append(_add_library(gathered, soname, here, needs, loader_directory))


def _add_library(gathered: _Gathered, soname: str, user: str, needs: elf.Elf, loader_directory: str) -> str:
    """Add the library that the loader would load for `soname`; gives the host's file. Order: ld.so(8)."""
    own = [path.replace("${ORIGIN}", "$ORIGIN").replace("$ORIGIN", os.path.dirname(user)) for path in needs.search]
    builtin = [loader_directory, *_builtin_directories()]
    for directory in [*own, *_configured_directories(), *builtin]:
        path = os.path.join(directory, soname)
        if not directory or not os.path.isfile(path):
            continue
        library = elf.read(path)
        if library is None or library.machine != needs.machine:
            continue
        if directory in own or directory in builtin:
            return add_path(gathered.entries, path)
        # Known to the host's loader by a cache that the image has not: put it where the loader looks by itself.
        real = os.path.realpath(path)
        name = os.path.join(loader_directory, soname).lstrip("/")
        gathered.entries.setdefault(name, HostFile(name, "f", 0o755, source=real))
        return real
    raise HostFilesMissing(f"{user} needs {soname}, which is in none of the loader's directories")


def _builtin_directories() -> list[str]:
    """Where loaders look without a cache: Debian's multiarch directories, then those of the other distributions."""
    triplet = f"{platform.machine()}-linux-gnu"
    return [f"/lib/{triplet}", f"/usr/lib/{triplet}", "/lib64", "/usr/lib64", "/lib", "/usr/lib"]


def _configured_directories(path: str = "/etc/ld.so.conf", depth: int = 0) -> list[str]:
    """Directories of /etc/ld.so.conf and what it includes, ldconfig(8)."""
    if depth > 8 or not os.path.isfile(path):
        return []
    directories = []
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            words = line.partition("#")[0].split()
            if words[:1] == ["include"]:
                for pattern in words[1:]:
                    for included in sorted(glob.glob(os.path.join(os.path.dirname(path), pattern))):
                        directories += _configured_directories(included, depth + 1)
            else:
                directories += [word for word in words if word.startswith("/")]
    return directories


def add_path(entries: dict[str, HostFile], path: str) -> str:
    """Add the host's file at absolute `path` and each directory and link on the way to it; gives its resolved path.

    Raises HostFilesMissing for a path that leads nowhere or in circles.
    """
    todo = [part for part in path.split("/") if part and part != "."]
    here: list[str] = []
    links = 0
    while todo:
        part = todo.pop(0)
        if part == "..":
            here = here[:-1]
            continue
        name = "/".join([*here, part])
        try:
            facts = os.lstat("/" + name)
        except OSError as error:
            raise HostFilesMissing(f"{path}: {error.strerror}") from error
        if stat.S_ISLNK(facts.st_mode):
            links += 1
            if links > MAX_LINKS:
                raise HostFilesMissing(f"{path}: too many symbolic links")
            target = os.readlink("/" + name)
            entries.setdefault(name, HostFile(name, "l", 0o777, target=target))
            if target.startswith("/"):
                here = []
            todo = [piece for piece in target.split("/") if piece and piece != "."] + todo
        elif stat.S_ISDIR(facts.st_mode):
            entries.setdefault(name, HostFile(name, "d", 0o755))
            here.append(part)
        elif stat.S_ISREG(facts.st_mode):
            # Set-user-ID bits of a host's program have no business in a demo image.
            entries.setdefault(name, HostFile(name, "f", facts.st_mode & 0o755 | 0o444, source="/" + name))
            here.append(part)
        else:
            raise HostFilesMissing(f"{path}: neither a file nor a directory")
    return "/" + "/".join(here)
