"""The rows of `ps` and `images` as values: ids whole, sizes in bytes, times as the store keeps them."""

from __future__ import annotations

from engine.values import Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class ContainerSummary(Values):
    """One container. Times: RFC 3339 with nanoseconds and Z, "" = never; status: created, running, paused, restarting,
    exited.

    image: the name it was created from (or the image's id, when that name is gone or now names another image).
    health: starting, healthy, unhealthy, "" without a check.
    command: the whole argv joined by spaces. size_rw, size_root: bytes of the read-write layer and of the image
    with it, or None where they were not asked for. oom_killed: the kernel killed it, or a process of it, for want
    of memory.
    """

    id: str
    name: str
    image: str
    image_id: str
    command: str
    created: str
    status: str
    exit_code: int
    started: str
    finished: str
    pid: int
    labels: Mapping[str, str]
    health: str = ""
    size_rw: int | None = None
    size_root: int | None = None
    oom_killed: bool = False

    @property
    def running(self) -> bool:
        """Whether its processes exist, frozen or not, or are about to again."""
        return self.status in ("running", "paused", "restarting")


class ImageSummary(Values):
    """One image, or (kind "layer") one read-only layer that is not the top of any listed image.

    id: "sha256:<config digest>" of an image, the 64 hex digits of a layer. names: as people write them
    ("demo:latest"), sorted; parent: image id or "", of a layer its parent layer's id or "". created: RFC 3339.
    size: bytes of all its layers together (of a layer: its own and those below). layers: ids bottom → top.
    digest: "sha256:…" of the manifest, "" for a layer. containers: how many containers were made from it.
    digests: "demo@sha256:…" for each repository that it was pulled from or pushed to.
    """

    id: str
    kind: str
    names: tuple[str, ...]
    parent: str
    created: str
    size: int
    layers: tuple[str, ...]
    digest: str
    labels: Mapping[str, str]
    containers: int
    digests: tuple[str, ...] = ()
