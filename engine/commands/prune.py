"""prune: what nobody uses goes. What runs, what has a container, and what somebody else is making stays."""

from __future__ import annotations

import time
from dataclasses import dataclass

from engine.errors import Conflict, InvalidInput, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from engine.commands.context import Context

    Filters = Mapping[str, Sequence[str]]

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True, slots=True)
class Pruned:
    """containers: ids that went; images: rmi's lines ("Untagged: …", "Deleted: …"); reclaimed: bytes of content that
    the store takes less than before."""

    containers: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    reclaimed: int = 0


def prune_containers(context: Context, *, filters: Filters | None = None) -> Pruned:
    """Remove every container that does not run. filters: until, label."""
    from engine.commands.usage import content_bytes

    before = content_bytes(context)
    gone = _containers(context, dict(filters or {}))
    return Pruned(containers=tuple(gone), reclaimed=max(0, before - content_bytes(context)))


def prune_images(context: Context, *, all: bool = False, filters: Filters | None = None) -> Pruned:
    """Remove images without a name; with `all`, every image that no container was made from. filters: until, label."""
    from engine.commands.usage import content_bytes

    before = content_bytes(context)
    done = _images(context, all, dict(filters or {}))
    return Pruned(images=tuple(done), reclaimed=max(0, before - content_bytes(context)))


def prune_system(context: Context, *, all: bool = False, filters: Filters | None = None) -> Pruned:
    """Containers that do not run, images as in `prune_images`; then garbage, broken downloads, dead writers' files."""
    from engine.commands.usage import content_bytes
    from engine.store.gc import gc
    from engine.store.incoming import remove_broken

    before = content_bytes(context)
    containers = _containers(context, dict(filters or {}))
    images = _images(context, all, dict(filters or {}))
    gc(context.store)
    remove_broken(context.store)
    return Pruned(tuple(containers), tuple(images), max(0, before - content_bytes(context)))


def _containers(context: Context, filters: dict[str, Sequence[str]]) -> list[str]:
    from engine.commands.filters import check
    from engine.commands.remove import remove

    check(filters, ("until", "label", "label!"))
    gone = []
    for snapshot in context.store.containers.snapshots():
        config = snapshot.config
        if snapshot.state.running or not _meant(filters, config.created, config.labels):
            continue
        try:
            remove(context, config.id)
        except (Conflict, NotFound):
            continue  # started, or removed, meanwhile
        gone.append(config.id)
    return gone


def _images(context: Context, all: bool, filters: dict[str, Sequence[str]]) -> list[str]:
    from engine.commands.filters import check
    from engine.commands.lookup import is_tagged
    from engine.commands.rmi import remove_image

    check(filters, ("until", "label", "label!", "dangling"))
    if "dangling" in filters:
        from engine.commands.filters import boolean

        all = not boolean(filters["dangling"][-1], "dangling")
    done: list[str] = []
    again = True
    while again:  # a parent can go when what was made from it has gone
        again = False
        used = {config.image for config in context.store.containers.all()}
        records = context.store.images.all()
        parents = {record.parent for record in records}
        for record in records:
            if record.id in used or record.id in parents or (is_tagged(record) and not all):
                continue
            if not _meant(filters, record.config.created, record.config.labels):
                continue
            try:
                done += remove_image(context, record.id, force=len(record.names) > 1)
            except (Conflict, NotFound):
                continue  # used, or removed, meanwhile
            again = True
    return done


def _meant(filters: dict[str, Sequence[str]], created: str, labels: Mapping[str, str]) -> bool:
    from engine.commands.filters import has_labels
    from engine.oci.times import nanoseconds

    if filters.get("until") and nanoseconds(created) >= min(until(text) for text in filters["until"]):
        return False
    if not has_labels(filters.get("label"), labels):
        return False
    return not any(has_labels([item], labels) for item in filters.get("label!", ()))


def until(text: str) -> int:
    """The moment of an `until` filter in nanoseconds: "10m", "1h30m" ago, an RFC 3339 time, or seconds since 1970.
    InvalidInput."""
    from engine.oci.times import nanoseconds

    if text.isdigit():
        return int(text) * 1_000_000_000
    seconds, number = 0.0, ""
    for character in text:
        if character in UNITS and number:
            seconds += float(number) * UNITS[character]
            number = ""
        elif character.isdigit() or (character == "." and "." not in number):
            number += character
        else:
            break
    else:
        if not number:
            return int((time.time() - seconds) * 1e9)
    try:
        return nanoseconds(text if "T" in text else text + "T00:00:00Z")
    except (ValueError, InvalidInput):
        raise InvalidInput(f"invalid filter 'until={text}': expected a time ago (10m, 1h30m) or an RFC 3339 time")
