"""An image archive as it came in: which files it holds, and where their bytes are.

A plain file is only looked through, by seeking: its members are read where they lie. A pipe or a compressed archive is
staged on disk member by member, in whatever order they come (`manifest.json` often comes last). A directory is read in
place. Names inside are only ever keys of a dictionary here: no path of an archive is used as a path on disk.
"""

from __future__ import annotations

import os
import posixpath
import stat
from dataclasses import dataclass, field, replace

from engine.archive.compression import HEAD, compression_of, plain
from engine.errors import InvalidInput
from engine.layers.tar import Archive, Member
from engine.oci.digests import SHA256, digest_of, hasher, is_hex_id
from engine.oci.documents import MAX_DOCUMENT
from engine.store.blobs import CHUNK, stage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

    from engine.store.root import Staging

MAX_MEMBERS = 20_000  # 500 layers of three files each, for a dozen images
MAX_LINKS = 8  # links to links
MAX_TRAILER = 64 << 20  # bytes of padding after the archive's end


@dataclass(frozen=True, slots=True)
class Staged:
    """A file of the archive on disk: `size` bytes of `path` from `offset` on. digest: "" while nobody has read it;
    own: the whole of a file in our staging directory."""

    path: str
    size: int
    digest: str = ""
    offset: int = 0
    own: bool = False


@dataclass(slots=True)
class Received:
    """The archive's files and links by normalized name."""

    files: dict[str, Staged] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)

    def find(self, name: str) -> Staged:
        """The file that a name leads to, through links. InvalidInput when there is none."""
        here = normalized(name)
        for _ in range(MAX_LINKS):
            if here in self.files:
                return self.files[here]
            if here not in self.links:
                break
            here = self.links[here]
        raise InvalidInput(f"the archive is incomplete: it has no file {name!r}")

    def document(self, name: str) -> bytes:
        """A small file's bytes. InvalidInput when it is missing, larger than a document may be, or not what its name
        promises."""
        found = self.find(name)
        if found.size > MAX_DOCUMENT:
            raise InvalidInput(f"{name!r} is too large: {found.size} bytes, the limit is {MAX_DOCUMENT}")
        data = read_part(found)
        promised = _promise(name)
        if promised and digest_of(data) != promised:
            raise InvalidInput(f"{name!r} is damaged: its content has the digest {digest_of(data)}")
        return data

    def layer(self, name: str) -> Staged:
        """A layer's archive; its digest is set if it is known or its name promises one, which is then still to be
        checked. InvalidInput when it is missing, or known to be another."""
        found = self.find(name)
        promised = _promise(name)
        if promised and found.digest not in ("", promised):
            raise InvalidInput(f"{name!r} is damaged: its content has the digest {found.digest}")
        return replace(found, digest=found.digest or promised)


def _promise(name: str) -> str:
    """The digest that a name promises (`blobs/sha256/<hex>`, `<hex>.json`), or ""."""
    stem = posixpath.basename(normalized(name)).removesuffix(".json")
    return SHA256 + stem if is_hex_id(stem) and (name.endswith(".json") or "sha256/" in name) else ""


def receive(staging: Staging, source: BinaryIO | str, what: str = "the archive") -> Received:
    """What an archive (a file, a pipe; compressed or not) or a directory holds. InvalidInput when it is no archive,
    damaged or truncated, or ambiguous."""
    if isinstance(source, str):
        return _directory(source)
    fd = _plain_file(source)
    received = Received()
    if fd is not None:
        start = source.tell()
        archive = Archive(source, size=os.fstat(fd).st_size - start)
        for number, member in enumerate(archive.members()):
            _look(received, archive, member, number, f"/proc/self/fd/{fd}", start, what)
        return received
    outer, _ = plain(source, what)
    archive = Archive(outer)
    for number, member in enumerate(archive.members()):
        if number >= MAX_MEMBERS:
            raise InvalidInput(f"{what} holds more than {MAX_MEMBERS} files: not an image archive")
        _keep(staging, received, member, number)
    archive.drain(MAX_TRAILER)  # to the end: gzip's checksum lies there, and a writer on a pipe is not cut off
    return received


def _plain_file(source: BinaryIO) -> int | None:
    """The descriptor of a regular file that is not compressed; None for everything else."""
    try:
        fd = source.fileno()
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return None
        return None if compression_of(os.pread(fd, HEAD, source.tell())) else fd
    except OSError:
        return None  # in memory, or cannot seek


def _look(received: Received, archive: Archive, member: Member, number: int, path: str, start: int, what: str) -> None:
    if number >= MAX_MEMBERS:
        raise InvalidInput(f"{what} holds more than {MAX_MEMBERS} files: not an image archive")
    if member.kind == "f":
        if member.pieces is not None:
            raise InvalidInput(f"{what} holds a sparse file, {member.name!r}: not an image archive")
        _file(received, normalized(member.name), Staged(path, member.size, "", start + archive.offset))
    else:
        _link(received, member)


def _keep(staging: Staging, received: Received, member: Member, number: int) -> None:
    if member.kind == "f":
        path = f"member-{number}"
        digest, size = stage(staging, path, member.stream)
        _file(received, normalized(member.name), Staged(staging.join(path), size, digest, own=True))
    else:
        _link(received, member)


def _file(received: Received, name: str, found: Staged) -> None:
    before = received.files.get(name)
    if name in received.links or (before is not None and _digest(before) != _digest(found)):
        raise InvalidInput(f"the archive is ambiguous: {name!r} is in it twice")
    received.files[name] = found


def _link(received: Received, member: Member) -> None:
    if member.kind not in ("l", "h"):
        return
    name = normalized(member.name)
    target = member.target if member.kind == "h" else posixpath.join(posixpath.dirname(name), member.target)
    if name in received.files or name in received.links:
        raise InvalidInput(f"the archive is ambiguous: {name!r} is in it twice")
    received.links[name] = normalized(target)


def _directory(path: str) -> Received:
    """The regular files of a directory, and links between them; what else lies there is passed over."""
    received = Received()
    if not os.path.isdir(path):
        raise InvalidInput(f"{path} is not a directory with an image layout")
    for where, _, names in os.walk(path):
        inside = os.path.relpath(where, path)
        for name in names:
            here, full = normalized(posixpath.join(inside, name)), os.path.join(where, name)
            found = os.lstat(full)
            if stat.S_ISREG(found.st_mode):
                received.files[here] = Staged(full, found.st_size)
            elif stat.S_ISLNK(found.st_mode):
                received.links[here] = normalized(posixpath.join(inside, os.readlink(full)))
            if len(received.files) + len(received.links) > MAX_MEMBERS * 10:
                raise InvalidInput(f"{path} holds too many files: not an image layout")
    return received


def read_part(found: Staged) -> bytes:
    """The bytes of a small file. InvalidInput when there are fewer than were there a moment ago."""
    with open(found.path, "rb") as file:
        file.seek(found.offset)
        data = file.read(found.size)
    if len(data) != found.size:
        raise InvalidInput("the archive changed while it was read")
    return data


def _digest(found: Staged) -> str:
    if found.digest:
        return found.digest
    running, left = hasher(), found.size
    with open(found.path, "rb") as file:
        file.seek(found.offset)
        while left and (chunk := file.read(min(left, CHUNK))):
            running.update(chunk)
            left -= len(chunk)
    return SHA256 + running.hexdigest()


def normalized(name: str) -> str:
    """A name inside the archive in one form: `./a//b/../c` is `a/c`; nothing leads above the archive's root."""
    return posixpath.normpath("/" + name).lstrip("/")
