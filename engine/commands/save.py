"""save: images as one archive. What a reference stands for is docker's rule (moby, image/tarexport/save.go)."""

from __future__ import annotations

from engine.errors import InvalidInput, NotFound
from engine.oci.platforms import parse_platform, platform_text
from engine.oci.references import Reference, parse_reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import BinaryIO

    from engine.commands.context import Context
    from engine.store.images import ImageRecord


def save(context: Context, refs: Sequence[str], out: BinaryIO, *, platform: str = "") -> None:
    """Write images with all their layers and metadata to `out`: `engine.archive.save`.

    refs: `repo:tag` with that name, `repo` with all tags of the repository, an id or a digest without any name; an
    image that is named twice is in the archive once, with both. platform: what each must be of, "" = whatever it is.
    NoSuchImage, Ambiguous; NotFound for another platform; BrokenStore. Nothing was written to `out` then.
    """
    from engine.archive.save import save as write
    from engine.commands.telling import image_event

    records = wanted(context, refs, platform)
    write(context.store, records, out)
    for record, _ in records:
        image_event(context, "save", record.id)


def wanted(
    context: Context, refs: Sequence[str], platform: str = ""
) -> list[tuple[ImageRecord, tuple[Reference, ...]]]:
    """The images that references stand for, and the names that they go by."""
    if not refs:
        raise InvalidInput("nothing to save: name an image at least")
    names, images = context.store.images.read()
    found: dict[str, dict[Reference, None]] = {}
    for ref in refs:
        for image_id, name in _meant(ref, names, images):
            found.setdefault(image_id, {}).update({name: None} if name else {})
    records = [(context.store.images.get(image_id), tuple(own)) for image_id, own in found.items()]
    if platform:
        for record, own in records:
            _check_platform(record, own, platform)
    return records


def _meant(
    ref: str, names: dict[str, str], images: dict[str, dict[str, object]]
) -> Iterator[tuple[str, Reference | None]]:
    """(image id, name or None) of each image that `ref` stands for. NoSuchImage, Ambiguous."""
    from engine.store.images import find

    repository = _repository(ref)
    if repository:
        tagged = [key for key in names if key.startswith(repository + ":")]
        pinned = [key for key in names if key.startswith(repository + "@")]
        for key in tagged:
            yield names[key], parse_reference(key)
        for key in pinned:
            yield names[key], None
        if tagged or pinned:
            return
    image_id = find(ref, names, images)
    try:
        name = parse_reference(ref)
    except InvalidInput:  # an id
        yield image_id, None
        return
    yield image_id, name if not name.digest and names.get(str(name)) == image_id else None


def _repository(ref: str) -> str:
    """The normalized repository when `ref` is that and no more; "" when it has a tag or a digest, or is no name."""
    try:
        return parse_reference(ref + ":any").repository
    except InvalidInput:
        return ""


def _check_platform(record: ImageRecord, names: Sequence[Reference], platform: str) -> None:
    wanted = parse_platform(platform)
    config = record.config
    actual = (config.os, config.architecture, config.variant)
    if actual[:2] != wanted[:2] or (wanted[2] and actual[2] and actual[2] != wanted[2]):
        shown = names[0].familiar() if names else record.id
        raise NotFound(
            f"image with reference {shown} was found but does not match the specified platform: "
            f"wanted {platform_text(wanted)}, actual: {platform_text(actual)}"
        )
