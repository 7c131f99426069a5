"""Coming images into the store: load, pull and import say what comes and where its bytes are, `ingest` does the rest.

One pass over each layer's archive (`intake.py`). Small images are taken in here, one layer after the other; of others
the layers are unpacked side by side by worker processes, and each is put in its place as soon as it is whole, from the
bottom up, so that a killed load or pull loses little. What is in its place before its image is there is held: files
`hold-<hex>` in our staging directory tell the garbage collector of other processes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from engine.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engine.layers.unpack import Limits
    from engine.oci.references import Reference
    from engine.progress import Report
    from engine.store.blobs import Readable
    from engine.store.root import Staging, Store

ATTEMPTS = 5  # layers removed under our hands, by somebody's rmi, are taken in again
SMALL = 4 << 20  # bytes of archives that are not worth a process


@dataclass(frozen=True, slots=True)
class ComingLayer:
    """One layer's archive, as it will come: plain tar, gzip, zstd, xz or bzip2 (its bytes tell which).

    digest: `sha256:…` of the archive as it comes, "" = not promised; size: its bytes, -1 = not promised; both are
    checked when promised. media_type: for the manifest that is written when the image brings none; "" = told by the
    bytes. Its bytes come from one of
    path, offset: a file to be read from `offset` on (`size` must be known), for a member of a plain outer tar;
    staged: `path` is a whole file in a staging directory of the store: it is linked, not copied;
    open: opens the bytes from a given offset, to be read once, in a thread of ingest's own; may be called again with
    an offset > 0 to go on with what an earlier, broken try left on disk. Errors it raises end the whole.
    """

    digest: str = ""
    size: int = -1
    media_type: str = ""
    path: str = ""
    offset: int = 0
    open: Callable[[int], Readable] | None = None
    staged: bool = False


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


@dataclass(frozen=True, slots=True)
class Task:
    """One layer to be taken in. unpack: False when it is there already, or comes with another image of these, and only
    its archive is wanted."""

    what: str
    coming: ComingLayer
    diff_id: str
    layer: str
    parent: str | None
    created: str
    created_by: str
    exact: bool
    unpack: bool = True

    @property
    def key(self) -> tuple[str, str]:
        """What makes two tasks the same: the layer, and its archive."""
        return self.layer, self.coming.digest or f"{self.coming.path}+{self.coming.offset}"

    @property
    def id(self) -> str:
        return (self.coming.digest or self.diff_id)[7:19]


def ingest(
    store: Store, images: Sequence[ComingImage], *, report: Report | None = None, limits: Limits | None = None
) -> list[str]:
    """Put images into the store, all of them or none; returns their ids, in order.

    What the store has is not fetched again. InvalidInput, and the store as before, when anything is damaged, hostile or
    not what was promised. After any other error (a network that broke, a full disk, ctrl-c) what was whole by then may
    stay for the next try; it is garbage until then.
    """
    from engine.archive.assemble import LayerGone

    plans = [_plan(image, f"image {n}, " if len(images) > 1 else "") for n, image in enumerate(images, 1)]
    store.clean_tmp()
    for attempt in range(ATTEMPTS):
        with store.tmp_dir() as staging:
            try:
                found = _try(store, staging, images, plans, report, limits)
                store.clean_tmp()  # a killed one's workers may have held it at first
                return found
            except LayerGone:
                if attempt + 1 == ATTEMPTS:
                    raise
    raise AssertionError("unreachable")


def _try(
    store: Store,
    staging: Staging,
    images: Sequence[ComingImage],
    plans: list[list[Task]],
    report: Report | None,
    limits: Limits | None,
) -> list[str]:
    from engine.archive.assemble import add_image
    from engine.archive.taking import Taking

    tasks: dict[tuple[str, str], Task] = {}
    for task in (task for plan in plans for task in plan):
        if task.key not in tasks:
            first = not any(layer == task.layer for layer, _ in tasks)
            tasks[task.key] = task if first else replace(task, unpack=False)
    for task in tasks.values():
        staging.hold(task.layer)
    taking = Taking(store, staging, report, limits)
    try:
        ready = taking.run(list(tasks.values()), small=_is_small(tasks))
        found = []
        for image, plan in zip(images, plans, strict=True):
            sources = [ready[task.key] for task in plan]
            found.append(add_image(store, image.config, sources, image.names, image.parent, manifest=image.manifest))
        taking.settled()
        return found
    except InvalidInput:
        taking.withdraw()
        raise
    finally:
        taking.downloads.close()


def _plan(image: ComingImage, where: str) -> list[Task]:
    """Check that config, manifest and layers belong together; the tasks, bottom first. InvalidInput."""
    from engine.oci.configs import layer_history, parse_config
    from engine.oci.manifests import MAX_LAYERS, parse_manifest

    config = parse_config(image.config)
    expected, actual = len(config.diff_ids), len(image.layers)
    if expected != actual:
        raise InvalidInput(f"invalid manifest, layers length mismatch: expected {expected}, got {actual}")
    if actual > MAX_LAYERS:
        raise InvalidInput(f"the image has {actual} layers, more than the {MAX_LAYERS} that overlayfs can stack")
    layers = image.layers
    if image.manifest is not None:
        named = parse_manifest(image.manifest).layers
        if len(named) != actual:
            raise InvalidInput(f"invalid manifest, layers length mismatch: expected {len(named)}, got {actual}")
        layers = tuple(_promised(layer, there.digest, there.size) for layer, there in zip(layers, named, strict=True))
    rows = zip(layers, config.diff_ids, config.chain_ids, layer_history(config), strict=True)
    plan: list[Task] = []
    for number, (coming, diff_id, layer, history) in enumerate(rows, 1):
        what = f"{where}layer {number} of {actual}"
        parent = plan[-1].layer if plan else None
        exact = image.manifest is not None
        plan.append(Task(what, coming, diff_id, layer, parent, history.created, history.created_by, exact))
    return plan


def _promised(layer: ComingLayer, digest: str, size: int) -> ComingLayer:
    """A layer with its manifest's promises. InvalidInput when they are not those of its source."""
    if layer.digest not in ("", digest):
        raise InvalidInput(f"the manifest names the layer {digest}, the archive has {layer.digest}")
    if layer.size not in (-1, size):
        raise InvalidInput(f"layer {digest} has {layer.size} bytes, its manifest says {size}")
    return replace(layer, digest=digest, size=size)


def _is_small(tasks: dict[tuple[str, str], Task]) -> bool:
    sizes = [task.coming.size for task in tasks.values()]
    return len(tasks) == 0 or (min(sizes) >= 0 and sum(sizes) <= SMALL)
