"""What an archive may call its members and who may own them, checked before anything touches the disk."""

from __future__ import annotations

from engine.errors import InvalidInput
from engine.layers.entry import decode
from engine.layers.tar import Member
from engine.layers.whiteouts import META_PREFIX, OPAQUE_MARKER


def split_name(raw: bytes, what: str) -> tuple[bytes, bytes]:
    """A name of the archive as parent and last part, b"" and b"" for the root itself. InvalidInput for `..`."""
    if b"//" in raw or b"/." in raw or raw[:1] in (b"/", b".") or raw.endswith(b"/") or not raw:
        parts = [part for part in raw.split(b"/") if part not in (b"", b".")]
        if b".." in parts:
            raise InvalidInput(f"the archive has a {what} with '..' in it: {decode(raw)!r}")
        if not parts:
            return b"", b""
        return b"/".join(parts[:-1]), parts[-1]
    parent, _, name = raw.rpartition(b"/")
    return parent, name


def is_aufs(parent: bytes, name: bytes) -> bool:
    """Whether a path is one of aufs's leftovers (`.wh..wh.plnk` …), or below one."""
    if name.startswith(META_PREFIX) and name != OPAQUE_MARKER:
        return True
    return any(part.startswith(META_PREFIX) for part in parent.split(b"/"))


def owner(member: Member) -> tuple[int, int]:
    """A member's uid and gid. InvalidInput for what is no number of an owner."""
    # -1 as 32 bits would mean "leave as it is" to chown.
    if not (0 <= member.uid < 0xFFFFFFFF and 0 <= member.gid < 0xFFFFFFFF):
        raise InvalidInput(f"{member.name}: no owner has the number {member.uid}:{member.gid}")
    return member.uid, member.gid
