"""What a layer says is gone, in the kernel's form and in the archive's form, and which attributes a layer keeps.

Kernel form (overlayfs, Documentation/filesystems/overlayfs.rst): a whiteout is a character device 0:0, or a regular
file with the attribute `overlay.whiteout` (its directory then has `overlay.opaque` = "x", but 6.18 hides the file
whether or not it has); an opaque directory has `overlay.opaque` = "y". The attributes are `trusted.overlay.*`, or
`user.overlay.*` in a mount with `userxattr`. Opaque roots: see `mounted`.

Archive form (OCI image-spec, layer.md): `.wh.NAME` says that NAME of the layers below is gone; `.wh..wh..opq` in a
directory hides everything that the layers below have in it. Both speak of the layers below only: entries of the
same archive stay, in whatever order they come. Other names starting with `.wh..wh.` are leftovers of aufs.

In memory both are one thing: an Entry of kind "w", and `Entry.opaque`.
"""

from __future__ import annotations

import errno
import os
import stat

from engine.errors import InvalidInput
from engine.kernel.proc import mapped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

PREFIX = b".wh."
META_PREFIX = b".wh..wh."
OPAQUE_MARKER = b".wh..wh..opq"

TRUSTED = "trusted.overlay."
USER = "user.overlay."


def marks() -> str:
    """What overlayfs's own attributes begin with in this process's stores: trusted ones are the machine's root's."""
    return USER if mapped() else TRUSTED


def is_kept(attribute: str) -> bool:
    """Whether an extended attribute is part of a layer.

    Kept: `user.*`, `trusted.*`, POSIX access lists and `security.capability`. Not kept, read from disk or from an
    archive: overlayfs's own of either form (one from an archive would forge a whiteout, an opaque directory or a
    redirect), and the labels that belong to the host (`security.selinux`, `security.ima` …).
    """
    if attribute.startswith((TRUSTED, USER)):
        return False
    return attribute.startswith(("user.", "trusted.", "system.posix_acl_")) or attribute == "security.capability"


def make_whiteout(dirfd: int, name: bytes, mtime_ns: int = 0) -> None:
    """Make a whiteout in the kernel's form, mode 0 as overlayfs makes it. OSError EEXIST if the name is there."""
    os.mknod(name, stat.S_IFCHR, 0, dir_fd=dirfd)
    os.utime(name, ns=(mtime_ns, mtime_ns), dir_fd=dirfd, follow_symlinks=False)


def make_opaque(fd: int) -> None:
    """Make the directory of this descriptor opaque, in the kernel's form."""
    os.setxattr(fd, marks() + "opaque", b"y")


def mounted(diff_paths: Sequence[str]) -> list[str]:
    """Which of these layers, top first, belong in an overlay mount: those down to the first with an opaque root.

    overlayfs merges the roots of its layers without asking whether one is opaque (measured on 6.18, and so in
    ovl_get_root), though an archive may say so of its root like of any directory.
    """
    opaque = marks() + "opaque"
    for count, path in enumerate(diff_paths, 1):
        try:
            value = os.getxattr(path, opaque)
        except OSError as error:
            # A layer that is missing is the mount's to tell.
            if error.errno not in (errno.ENODATA, errno.ENOTSUP, errno.ENOENT):
                raise
            continue
        if value == b"y":
            return list(diff_paths[:count])
    return list(diff_paths)


def archive_name(name: bytes) -> bytes:
    """The name in an archive that says NAME is gone."""
    return PREFIX + name


def hidden_name(name: bytes) -> bytes:
    """What a last path part of an archive that starts with PREFIX (not META_PREFIX) declares gone.

    Raises InvalidInput for ".wh.", ".wh.." and ".wh...", which name nothing or a directory above.
    """
    hidden = name[len(PREFIX) :]
    if hidden in (b"", b".", b".."):
        raise InvalidInput(f"a whiteout of nothing: {name.decode()!r}")
    return hidden
