"""tag: one more name for an image."""

from __future__ import annotations

from engine.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.commands.context import Context


def tag(context: Context, source: str, target: str) -> None:
    """Give the image `source` the name `target`; an image that had the name loses it. NoSuchImage, InvalidInput."""
    from engine.commands.telling import image_event
    from engine.oci.references import parse_reference

    name = parse_reference(target)
    if name.digest:
        raise InvalidInput("refusing to create a tag with a digest reference")
    images = context.store.images
    image_id = images.find(source)
    images.tag(image_id, name)
    image_event(context, "tag", image_id, name.familiar())
