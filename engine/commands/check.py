"""system check: what is wrong with the store, and with `repair` what can be done about it."""

from __future__ import annotations

import os
from dataclasses import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.commands.context import Context
    from engine.store.check import Finding
    from engine.store.root import Store


@dataclass(frozen=True, slots=True)
class CheckReport:
    """problems: what somebody misses; leftovers: what nobody needs; mended: what `repair` did, in words."""

    problems: tuple[Finding, ...]
    leftovers: tuple[Finding, ...]
    mended: tuple[str, ...] = ()


def check(context: Context, *, repair: bool = False, deep: bool = False) -> CheckReport:
    """Check the store; with repair, mend it first and report what is wrong still.

    Mending builds a layer's lost index anew from its files, forgets images that miss something or have a damaged layer
    (their names are said: load or pull them again), and removes leftovers; what killed monitors left is put away.
    What a container stands on is never removed: damage there stays a problem until the container goes.
    """
    from engine.commands.orphaned import orphaned
    from engine.store.check import Finding, check_store

    store = context.store
    mended: list[str] = []
    if repair:
        mended += [f"container {one}: {text}: put away" for one, text in orphaned(context, bury=True)]
        mended += _mend(store, check_store(store, deep=deep))
    found = check_store(store, deep=deep)
    found += [Finding("leftover", f"container {one}", text) for one, text in orphaned(context)]
    return CheckReport(
        tuple(one for one in found if one.kind != "leftover"),
        tuple(one for one in found if one.kind == "leftover"),
        tuple(mended),
    )


def _mend(store: Store, found: list[Finding]) -> list[str]:
    from engine.store.gc import gc
    from engine.store.incoming import remove_broken

    done = []
    damaged = set()
    for layer in sorted({one.what for one in found if one.kind == "layer"}):
        # Only an index that cannot be read: one that says other than the files is what proves the damage.
        if _unreadable(store, layer) and _new_index(store, layer):
            done.append(f"layer {layer}: its index was made anew from its files")
        else:
            damaged.add(layer)
    damaged -= {layer for config in store.containers.all() for layer in config.layers}
    bad = {one.what for one in found if one.kind == "image"}
    _, images = store.images.read()
    bad |= {image_id for image_id in set(images) - bad if damaged & set(store.images.get(image_id).layers)}
    for image_id in sorted(bad):
        with store.images.change() as change:
            names = sorted(name for name, owner in change.names.items() if owner == image_id)
            for name in names:
                del change.names[name]
            change.images.pop(image_id, None)
        done.append(f"image {image_id} ({', '.join(names) or 'no name'}) was forgotten: load or pull it again")
    if any(one.kind == "leftover" for one in found) or bad:
        gc(store)
        remove_broken(store)
        done.append("leftovers were removed")
    return done


def _unreadable(store: Store, layer: str) -> bool:
    """Whether a layer's json or index cannot be read."""
    from engine.errors import BrokenStore, NotFound

    try:
        store.layers.get(layer)
        store.layers.index(layer)
    except (BrokenStore, NotFound, OSError):
        return True
    return False


def _new_index(store: Store, layer: str) -> bool:
    """Make a layer's index from its files, when its json is whole."""
    from engine.errors import BrokenStore, NotFound
    from engine.layers.index import write_index
    from engine.layers.scan import scan

    try:
        record = store.layers.get(layer)
        entries = scan(store.layers.diff_path(layer))
    except (BrokenStore, NotFound, OSError):
        return False
    if len(entries) != record.entries + 1:
        return False  # files are missing too
    path = os.path.join(store.layers.path(layer), "index")
    if os.path.exists(path):
        os.unlink(path)
    write_index(path, list(entries))
    return True
