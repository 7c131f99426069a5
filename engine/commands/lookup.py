"""From what a person types to what the store holds: a container, an image, or a read-only layer by its id."""

from __future__ import annotations

from engine.errors import Ambiguous, NotFound
from engine.oci.digests import HEX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.commands.context import Context
    from engine.store.containers import Container
    from engine.store.images import ImageRecord
    from engine.store.layers import LayerRecord


def container(context: Context, ref: str) -> Container:
    """The container of this name, id or unique prefix, as it is now. NoSuchContainer, Ambiguous."""
    containers = context.store.containers
    return containers.snapshot(containers.resolve(ref))


def image(context: Context, ref: str) -> ImageRecord:
    """The image of this name, id or unique prefix. NoSuchImage, Ambiguous."""
    return context.store.images.resolve(ref)


def layer(context: Context, ref: str) -> LayerRecord:
    """The read-only layer whose id starts with `ref`. NotFound, Ambiguous."""
    layers = context.store.layers
    digits = ref.removeprefix("sha256:")
    found = [name for name in layers.ids() if name.startswith(digits)] if digits and HEX.issuperset(digits) else []
    records = [record for record in map(layers.get, found) if record.kind == "ro"]
    if not records:
        raise NotFound(f"No such layer: {ref}")
    if len(records) > 1:
        raise Ambiguous(ref)
    return records[0]


def shown_names(record: ImageRecord) -> tuple[str, ...]:
    """An image's names as people write them ("demo:latest"), sorted."""
    from engine.oci.references import familiar

    return tuple(sorted(familiar(name) for name in record.names))


def tags_of(record: ImageRecord) -> tuple[str, ...]:
    """An image's names without those that a pull or push noted (`repo@sha256:…`), unless it has no others."""
    names = shown_names(record)
    return tuple(name for name in names if "@" not in name) or names


def is_tagged(record: ImageRecord) -> bool:
    """Whether it has a tag; one with a noted digest only is dangling, as for docker: another took its tag."""
    return any("@" not in name for name in record.names)


def users_of_layer(context: Context, layer_id: str) -> tuple[str, ...]:
    """Names (or short ids) of the images that stand on a layer, sorted."""
    found: set[str] = set()
    for record in context.store.images.all():
        if layer_id in record.layers:
            found.update(tags_of(record) or (record.id.removeprefix("sha256:")[:12],))
    return tuple(sorted(found))
