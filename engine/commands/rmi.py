"""rmi: take a name away from an image, or delete the image and the layers that nothing else needs.

The words are docker's (moby, daemon/images/image_delete.go). A soft conflict gives way to force, a hard one (an image
made from this one, a container running on it) never does: not for the last name of an image either, which docker would
take away and leave the image nameless.
"""

from __future__ import annotations

from engine.commands.telling import image_event
from engine.errors import Conflict, NoSuchImage, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.commands.context import Context
    from engine.store.images import ImageRecord


def remove_image(context: Context, ref: str, *, force: bool = False, prune: bool = True) -> list[str]:
    """Untag or delete. Returns "Untagged: demo:latest" and "Deleted: sha256:…" lines, in order.

    prune: also delete parents that have no name and that nothing uses. Conflict says what stands in the way.
    """
    images = context.store.images
    try:
        record = images.resolve(ref)
    except NoSuchImage:
        _refuse_layer(context, ref)
        raise
    done: list[str] = []
    by_name = not _is_id(record, ref)
    if by_name:
        going = _with_digests(record, ref)
        if len(going) < len(record.names):
            return [_untag(context, record.id, name) for name in going]
    conflict = _conflict(context, record, force=force, names_matter=not by_name and _several(record))
    if conflict:
        error, user = conflict
        if by_name and user and not force:
            error = Conflict(
                f'conflict: unable to remove repository reference "{ref}" (must force) - '
                f"container {user} is using its referenced image {_short(record.id)}"
            )
        raise error
    _delete(context, record, done, prune=prune)
    return done


def _with_digests(record: ImageRecord, ref: str) -> list[str]:
    """A name, and with the last tag of a repository also the digests noted for it: they are nothing by themselves."""
    from engine.oci.references import parse_reference

    name = parse_reference(ref)
    same = [other for other in record.names if other.startswith((name.repository + ":", name.repository + "@"))]
    tags = [other for other in same if "@" not in other]
    if name.digest or len(tags) > 1:
        return [f"{name.repository}@{name.digest}" if name.digest else str(name)]
    return [str(name), *(other for other in same if "@" in other)]


def _several(record: ImageRecord) -> bool:
    """Whether an image goes by more than one name, or by names of more than one repository."""
    tags = [name for name in record.names if "@" not in name]
    return len(tags) > 1 or len({name.rpartition("@")[0] or name.rpartition(":")[0] for name in record.names}) > 1


def _delete(context: Context, record: ImageRecord, done: list[str], *, prune: bool) -> None:
    """Delete an image and its names; with prune, also its parents while they have no name and nobody uses them."""
    images = context.store.images
    done += [_untag(context, record.id, name) for name in record.names]
    removed = images.remove(record.id)
    image_event(context, "delete", record.id)
    done.append(f"Deleted: {record.id}")
    done += [f"Deleted: sha256:{layer}" for layer in removed]
    if prune and record.parent:
        try:
            parent = images.get(record.parent)
        except NoSuchImage:
            return
        if not parent.names and not _conflict(context, parent, force=False, names_matter=True):
            _delete(context, parent, done, prune=True)


def _conflict(context: Context, record: ImageRecord, *, force: bool, names_matter: bool) -> tuple[Conflict, str] | None:
    """What stands in the way of deleting an image: the error, and the short id of the container that does; hard ones
    first."""

    def error(how: str, why: str) -> Conflict:
        return Conflict(f"conflict: unable to delete {_short(record.id)} ({how}) - {why}")

    if context.store.images.children(record.id):
        return error("cannot be forced", "image has dependent child images"), ""
    using = context.store.containers.using(record.id)
    for config in using:
        if _running(context, config.id):
            user = config.id[:12]
            return error("cannot be forced", f"image is being used by running container {user}"), user
    if force:
        return None
    if names_matter and record.names:
        return error("must be forced", "image is referenced in multiple repositories"), ""
    if using:
        user = using[0].id[:12]
        return error("must be forced", f"image is being used by stopped container {user}"), user
    return None


def _running(context: Context, container_id: str) -> bool:
    try:
        return context.store.containers.state(container_id).running
    except NotFound:
        return False  # removed meanwhile


def _untag(context: Context, image_id: str, name: str) -> str:
    from engine.oci.references import parse_reference

    reference = parse_reference(name)
    context.store.images.untag(reference)
    image_event(context, "untag", image_id)
    return f"Untagged: {reference.familiar()}"


def _is_id(record: ImageRecord, ref: str) -> bool:
    """Whether `ref` led to the image as an id, not as one of its names (names win)."""
    from engine.errors import InvalidInput
    from engine.oci.references import parse_reference

    try:
        return str(parse_reference(ref)) not in record.names
    except InvalidInput:
        return True


def _refuse_layer(context: Context, ref: str) -> None:
    """Conflict when `ref` is a read-only layer: it goes with the last image that stands on it, never alone."""
    from engine.commands.lookup import layer, users_of_layer

    try:
        record = layer(context, ref)
    except NotFound:
        return
    users = users_of_layer(context, record.id)
    why = f"layer is needed by image {', '.join(users)}" if users else "layer is needed by a container"
    raise Conflict(f"conflict: unable to delete {record.id[:12]} (cannot be forced) - {why}")


def _short(image_id: str) -> str:
    return image_id.removeprefix("sha256:")[:12]
