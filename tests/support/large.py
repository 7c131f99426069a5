"""A large image out of Debian packages: more than 40,000 files in more than ten layers, with all that layers can hold.

Made with mmdebstrap and `apt-get download`, so its bytes are those of the packages of the day. Takes about a minute.
"""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import tarfile
from pathlib import Path

from tests.support.archives import (
    CharDevice,
    Dir,
    Fifo,
    File,
    HardLink,
    Member,
    Opaque,
    Symlink,
    Whiteout,
    layer_tar,
)

# Many files each, and none that two of them share.
PACKAGES = (
    "golang-1.19-src libboost1.74-dev gnome-icon-theme vim-runtime git gcc-12 cpp-12 emacs-common libicu72 locales "
    "perl-modules-5.36 libpython3.11-stdlib linux-libc-dev tzdata"
).split()
# Engines mount their own files over these: they must exist, or making mount points changes the image's directories.
MOUNT_POINTS = '--customize-hook=touch "$1/etc/hosts" "$1/etc/hostname" "$1/etc/resolv.conf"'
LONG = "n" * 255
CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000")  # cap_net_raw, permitted and effective

CHANGES: list[Member] = [
    Dir("usr"),
    Dir("usr/share"),
    Whiteout("usr/share/zoneinfo"),
    Dir("etc"),
    Whiteout("etc/os-release"),
    Dir("usr/share/vim"),
    Dir("usr/share/icons"),
    Opaque("usr/share/icons"),
    File("usr/share/icons/only", b"x" * 10_000),
    Dir("odd"),
    File(f"odd/{LONG}", b"long"),
    File("odd/not utf-8 \udcff", b"bytes"),
    File("odd/new\nline", b"x", 0o4755),
    File("odd/ping", b"\x7fELF", 0o755, xattrs={"security.capability": CAPABILITY}),
    HardLink("odd/ping too", "odd/ping", mode=0o755),
    Symlink("odd/link", "../../outside"),
    Fifo("odd/pipe"),
    CharDevice("odd/null", 1, 3),
    File("odd/owned", b"x", uid=1_234_567, gid=89),
]
AGAIN: list[Member] = [
    Dir("odd"),
    Whiteout(f"odd/{LONG}"),
    File("odd/ping", b"changed", 0o755),
    Dir("usr"),
    Dir("usr/share"),
    Dir("usr/share/zoneinfo"),
]


def large_archive(directory: Path) -> Path:
    """Make the image as a docker-archive in `directory`; its path. The layers' plain tars stay beside it.

    CalledProcessError when the packages cannot be had.
    """
    layers = [directory / "layer-00.tar"]
    subprocess.run(
        ["mmdebstrap", "--variant=minbase", "--quiet", MOUNT_POINTS, "bookworm", str(layers[0])],
        check=True,
        capture_output=True,
    )
    subprocess.run(["apt-get", "download", "-q", *PACKAGES], cwd=directory, check=True, capture_output=True)
    for package in sorted(directory.glob("*.deb")):
        layers.append(directory / f"layer-{len(layers):02}.tar")
        with open(layers[-1], "wb") as out:
            subprocess.run(["dpkg-deb", "--fsys-tarfile", package], stdout=out, check=True)
        package.unlink()
    for members in (CHANGES, AGAIN):
        layers.append(directory / f"layer-{len(layers):02}.tar")
        layers[-1].write_bytes(layer_tar(members))
    layers.append(directory / f"layer-{len(layers):02}.tar")
    _sparse(directory, layers[-1])
    return _archive(directory / "large.tar", layers)


def _sparse(directory: Path, layer: Path) -> None:
    """A layer with a file that is mostly holes, as GNU tar writes it."""
    holes = directory / "holes"
    (holes / "holes").mkdir(parents=True)
    with open(holes / "holes/sparse", "wb") as file:
        file.seek(3_000_000)
        file.write(b"in the middle")
        file.truncate(9_000_000)
    subprocess.run(["tar", "--sparse", "--format=posix", "-C", holes, "-cf", layer, "holes"], check=True)


def _archive(path: Path, layers: list[Path]) -> Path:
    digests = []
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as out:
        for layer in layers:
            with open(layer, "rb") as file:
                digests.append(hashlib.file_digest(file, "sha256").hexdigest())
            out.add(layer, f"{digests[-1]}.tar")
        config = {
            "architecture": "amd64",
            "os": "linux",
            "created": "2026-01-02T03:04:05Z",
            "config": {"Cmd": ["sh"]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in digests]},
            "history": [{"created": "2026-01-02T03:04:05Z", "created_by": layer.name} for layer in layers],
        }
        data = json.dumps(config).encode()
        name = f"{hashlib.sha256(data).hexdigest()}.json"
        manifest = [{"Config": name, "RepoTags": ["large:latest"], "Layers": [f"{digest}.tar" for digest in digests]}]
        for member, content in ((name, data), ("manifest.json", json.dumps(manifest).encode())):
            info = tarfile.TarInfo(member)
            info.size = len(content)
            out.addfile(info, io.BytesIO(content))
    return path
