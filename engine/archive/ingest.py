"""Coming images into the store: load, pull and import say what comes and where its bytes are, `ingest` does the rest.

One pass over each layer's archive (digest, inflate, diff digest, unpack, index), layers side by side, each put in its
place as soon as it is whole, so that a killed load or pull loses little.
"""

from __future__ import annotations

from dataclasses import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engine.layers.unpack import Limits
    from engine.oci.references import Reference
    from engine.progress import Report
    from engine.store.blobs import Readable
    from engine.store.root import Store


@dataclass(frozen=True, slots=True)
class ComingLayer:
    """One layer's archive, as it will come: plain tar, gzip, zstd, xz or bzip2 (its bytes tell which).

    digest: `sha256:…` of the archive as it comes, "" = not promised; size: its bytes, -1 = not promised; both are
    checked when promised. media_type: for the manifest that is written when the image brings none; "" = told by the
    bytes. Its bytes come from one of
    path, offset: a file to be read from `offset` on (`size` must be known), for a member of a plain outer tar;
    open: opens the bytes from a given offset, to be read once, in a thread of ingest's own; may be called again with
    an offset > 0 to go on with what an earlier, broken try left on disk. Errors it raises end the whole.
    """

    digest: str = ""
    size: int = -1
    media_type: str = ""
    path: str = ""
    offset: int = 0
    open: Callable[[int], Readable] | None = None


@dataclass(frozen=True, slots=True)
class ComingImage:
    """An image: its config's bytes, its layers bottom first (as many as the config has diff ids), names to give.

    names: with a tag, or with a digest (`repo@sha256:…`, what a pull notes). manifest: the bytes it came with, kept as
    they are, "unknown" fields and all; None = one is written. parent: id of the image it was made from, or "".
    """

    config: bytes
    layers: tuple[ComingLayer, ...]
    names: tuple[Reference, ...] = ()
    manifest: bytes | None = None
    parent: str = ""


def ingest(
    store: Store, images: Sequence[ComingImage], *, report: Report | None = None, limits: Limits | None = None
) -> list[str]:
    """Put images into the store, all of them or none; returns their ids, in order.

    What the store has is not fetched again. InvalidInput when anything is damaged, hostile or not what was promised.
    """
    raise NotImplementedError
