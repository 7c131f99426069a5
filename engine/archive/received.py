"""An image archive as it came in: every file of the outer tar staged on disk under its digest, in whatever order.

The stream may be a pipe, so nothing is read twice from it; `manifest.json` often comes last. Names inside are only ever
keys of a dictionary here: no path of the archive is used as a path on disk.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field

from engine.archive.compression import plain
from engine.errors import InvalidInput
from engine.layers.tar import Archive, Member
from engine.oci.digests import SHA256, is_hex_id
from engine.oci.documents import MAX_DOCUMENT
from engine.store import files
from engine.store.blobs import stage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

    from engine.store.root import Staging

MAX_MEMBERS = 20_000  # 500 layers of three files each, for a dozen images
MAX_LINKS = 8  # links to links
MAX_TRAILER = 64 << 20  # bytes of padding after the archive's end


@dataclass(frozen=True, slots=True)
class Staged:
    """A file of the archive on disk: its path in staging, digest and size."""

    path: str
    digest: str
    size: int


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
        found = self.verified(name)
        if found.size > MAX_DOCUMENT:
            raise InvalidInput(f"{name!r} is too large: {found.size} bytes, the limit is {MAX_DOCUMENT}")
        return files.read(found.path)

    def verified(self, name: str) -> Staged:
        """`find`, and a name that is a digest (`blobs/sha256/<hex>`, `<hex>.json`) must be the content's."""
        found = self.find(name)
        stem = posixpath.basename(normalized(name)).removesuffix(".json")
        if is_hex_id(stem) and (name.endswith(".json") or "sha256/" in name) and found.digest != SHA256 + stem:
            raise InvalidInput(f"{name!r} is damaged: its content has the digest {found.digest}")
        return found


def receive(staging: Staging, stream: BinaryIO, what: str = "the archive") -> Received:
    """Read a whole archive, gzip or not, into staging. InvalidInput when it is no archive, damaged or truncated."""
    outer, _ = plain(stream, what)
    received = Received()
    archive = Archive(outer)
    for number, member in enumerate(archive.members()):
        if number >= MAX_MEMBERS:
            raise InvalidInput(f"{what} holds more than {MAX_MEMBERS} files: not an image archive")
        _keep(staging, received, member, number)
    archive.drain(MAX_TRAILER)  # to the end: gzip's checksum lies there, and a writer on a pipe is not cut off
    return received


def _keep(staging: Staging, received: Received, member: Member, number: int) -> None:
    name = normalized(member.name)
    if member.kind == "f":
        path = f"member-{number}"
        digest, size = stage(staging, path, member.stream)
        if name in received.links or (name in received.files and received.files[name].digest != digest):
            raise InvalidInput(f"the archive is ambiguous: {name!r} is in it twice")
        received.files[name] = Staged(staging.join(path), digest, size)
    elif member.kind in ("l", "h"):
        target = member.target if member.kind == "h" else posixpath.join(posixpath.dirname(name), member.target)
        if name in received.files or name in received.links:
            raise InvalidInput(f"the archive is ambiguous: {name!r} is in it twice")
        received.links[name] = normalized(target)


def normalized(name: str) -> str:
    """A name inside the archive in one form: `./a//b/../c` is `a/c`; nothing leads above the archive's root."""
    return posixpath.normpath("/" + name).lstrip("/")
