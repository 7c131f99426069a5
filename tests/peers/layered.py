"""A ten-layer image that buildah makes: every layer changes the mounted tree in ways that archives must carry.

The changes are made through the kernel's overlay mount, so whiteouts and opaque directories are the kernel's own;
buildah turns each step into a layer.
"""

from __future__ import annotations

import io
import os
import shutil
import stat
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

from app.demo import hostfiles
from tests.peers.podman import Podman

OLD = 981_173_106_123_456_789  # nanoseconds: 2001-02-03, with a fraction


def capability(*numbers: int) -> bytes:
    """security.capability, revision 2, these capabilities permitted and effective (linux/capability.h)."""
    mask = sum(1 << number for number in numbers)
    return struct.pack("<IIIII", 0x02000001, mask & 0xFFFFFFFF, 0, mask >> 32, 0)


def write(path: Path | bytes, content: bytes = b"", mode: int = 0o644) -> None:
    with open(path, "wb") as file:
        file.write(content)
    os.chmod(path, mode)


def tools(root: Path) -> None:
    archive = io.BytesIO()
    hostfiles.write_tar(hostfiles.collect(), archive)
    subprocess.run(["tar", "-C", root, "-xf", "-"], input=archive.getvalue(), check=True)
    for name in ("hosts", "hostname", "resolv.conf"):
        write(root / "etc" / name)
    write(root / "etc/passwd", b"root:x:0:0::/root:/bin/sh\n")


def names_modes_owners(root: Path) -> None:
    data = root / "data"
    data.mkdir()
    write(os.fsencode(data) + b"/not utf-8 \xff\xfe", b"bytes")
    write(data / "new\nline and [markup]", b"hostile name")
    write(data / ("n" * 255), b"long name")
    write(data / "set-user-id", b"#!", 0o4755)
    write(data / "set-group-id", b"#!", 0o2711)
    write(data / "nothing allowed", b"", 0)
    (data / "sticky").mkdir(mode=0o777)
    os.chmod(data / "sticky", 0o1777)
    write(data / "owned", b"x")
    os.chown(data / "owned", 1_234_567, 89)
    deep = data.joinpath(*(f"directory-number-{number:02}" for number in range(20)))
    deep.mkdir(parents=True)
    write(deep / "far down", b"past the 256 bytes of ustar")
    os.symlink("t" * 200, data / "long dangling link")
    os.symlink("/data/owned", data / "absolute link")
    os.lchown(data / "absolute link", 7, 8)
    for name in ("owned", "sticky", "absolute link"):
        os.utime(data / name, ns=(OLD, OLD), follow_symlinks=False)
    os.utime(data, ns=(OLD, OLD))


def kinds(root: Path) -> None:
    kinds = root / "kinds"
    (kinds / "sub").mkdir(parents=True)
    write(kinds / "one", b"three names, one file")
    os.link(kinds / "one", kinds / "sub/two")
    os.link(kinds / "one", root / "three")
    os.mkfifo(kinds / "pipe", 0o640)
    os.mknod(kinds / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod(kinds / "block", stat.S_IFBLK | 0o660, os.makedev(7, 250))
    with open(kinds / "sparse", "wb") as file:
        file.seek(5_000_000)
        file.write(b"in the middle")
        file.truncate(9_000_000)


def attributes(root: Path) -> None:
    holder = root / "attributes"
    holder.mkdir()
    write(holder / "ping", b"\x7fELF capable", 0o755)
    os.setxattr(holder / "ping", "security.capability", capability(13, 38))  # NET_RAW, PERFMON: both words
    os.link(holder / "ping", holder / "ping too")
    write(holder / "noted")
    os.setxattr(holder / "noted", "user.note", b"with \0 zero and \xff")
    os.setxattr(holder / "noted", "user.empty", b"")
    os.setxattr(holder, "user.on a directory", b"yes")


def to_be_hidden(root: Path) -> None:
    for name in ("gone", "replaced", "replaced/inner", "emptied", "becomes file", "behind"):
        (root / "below" / name).mkdir(parents=True)
        for number in range(3):
            write(root / "below" / name / f"file {number}", name.encode())
    write(root / "below/gone file", b"x")
    write(root / "below/becomes directory", b"x")
    write(root / "below/comes back", b"first")
    os.symlink("behind", root / "below/link becomes directory")
    os.symlink("nowhere", root / "below/gone link")
    write(root / "below/metadata only", b"same content, other owner")
    write(root / "below/changed", b"old content")
    write(root / "below/linked later", b"gets a second name in a later layer")


def delete(root: Path) -> None:
    below = root / "below"
    (below / "gone file").unlink()
    (below / "gone link").unlink()
    (below / "comes back").unlink()
    shutil.rmtree(below / "gone")
    for child in (below / "emptied").iterdir():
        child.unlink()


def replace_directories(root: Path) -> None:
    below = root / "below"
    shutil.rmtree(below / "replaced")
    (below / "replaced").mkdir(mode=0o711)
    write(below / "replaced/file 1", b"from the new directory")
    (below / "replaced/inner").mkdir()
    write(below / "replaced/inner/new", b"new")


def replace_kinds(root: Path) -> None:
    below = root / "below"
    shutil.rmtree(below / "becomes file")
    write(below / "becomes file", b"a file now")
    (below / "becomes directory").unlink()
    (below / "becomes directory").mkdir()
    write(below / "becomes directory/inside", b"x")
    (below / "link becomes directory").unlink()
    (below / "link becomes directory").mkdir()
    write(below / "link becomes directory/own", b"not behind the link")
    os.chown(below / "metadata only", 42, 43)
    os.chmod(below / "metadata only", 0o600)
    os.utime(below / "metadata only", ns=(OLD, OLD))
    write(below / "changed", b"new content")


def come_back(root: Path) -> None:
    below = root / "below"
    write(below / "comes back", b"second")
    (below / "gone").mkdir()
    write(below / "gone/only this", b"x")
    os.link(below / "linked later", below / "second name")
    write(root / "data/owned", b"rewritten two layers up, owner kept")


def opaque_again(root: Path) -> None:
    below = root / "below"
    shutil.rmtree(below / "replaced/inner")
    (below / "replaced/inner").mkdir()
    (below / "replaced/file 1").unlink()
    (below / "empty").mkdir(mode=0o500)
    (root / "attributes/noted").unlink()
    os.removexattr(root / "attributes", "user.on a directory")
    os.setxattr(root / "attributes/ping", "security.capability", capability(10))
    os.utime(below, ns=(OLD, OLD))


STEPS: tuple[Callable[[Path], None], ...] = (
    tools,
    names_modes_owners,
    kinds,
    attributes,
    to_be_hidden,
    delete,
    replace_directories,
    replace_kinds,
    come_back,
    opaque_again,
)


def build(peer: Podman, name: str) -> None:
    """Make the image `name` in the peer's storage: one layer a step."""
    source = "scratch"
    for number, step in enumerate(STEPS):
        container = peer.buildah("from", "--pull-never", source)
        step(Path(peer.buildah("mount", container)))
        peer.buildah("umount", container)
        source = name if number == len(STEPS) - 1 else f"{name}-step-{number}"
        peer.buildah("commit", "--quiet", "--rm", container, source)
