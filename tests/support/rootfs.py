"""A root filesystem that runs, out of the host's own files: a static busybox, or sh and tools with their libraries.

image_id = tiny_image(store, "tiny")          # one layer; Cmd is `sh`
layer = tiny_layer()                          # its plain tar, as the bottom of an `ImageSpec` in archives.py
"""

from __future__ import annotations

import functools
import io
from typing import Any

from app.demo import hostfiles
from engine.archive.load import load
from engine.store.root import Store
from tests.support.archives import ImageSpec, docker_archive

PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PASSWD = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n"
GROUP = "root:x:0:\nnogroup:x:65534:\n"


@functools.cache
def tiny_layer() -> bytes:
    """The plain tar of a runnable root: the demo's tools, /etc/passwd and /etc/group, and empty directories."""
    entries = hostfiles.collect()
    here = {entry.path for entry in entries}
    for path, text in (("etc/passwd", PASSWD), ("etc/group", GROUP)):
        if path not in here:
            entries.append(hostfiles.HostFile(path, "f", 0o644, content=text.encode()))
    out = io.BytesIO()
    hostfiles.write_tar(hostfiles.in_order(entries), out)
    return out.getvalue()


def tiny_spec(name: str, **config: Any) -> ImageSpec:
    """A one-layer image that runs `sh`; `config` overrides fields of its config, such as User or Cmd."""
    return ImageSpec([tiny_layer()], [name], {"Env": [PATH], "Cmd": ["sh"], **config})


def tiny_image(store: Store, name: str = "tiny", **config: Any) -> str:
    """Put `tiny_spec` into a store through `load`; returns the image's id."""
    (loaded,) = load(store, io.BytesIO(docker_archive(tiny_spec(name, **config))))
    return loaded.image
