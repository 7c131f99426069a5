"""What each layer of a stack has to do with one path: which gives it, which are hidden, by which, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.layers.entry import Entry

if TYPE_CHECKING:
    from engine.layers.view import MergedView

GIVES, MERGED, SHADOWED, WHITEOUT, OPAQUE, NONE = "gives", "merged", "shadowed", "whiteout", "opaque", "none"

NOUNS = {"f": "file", "d": "directory", "l": "symlink", "c": "device", "b": "device", "p": "FIFO", "s": "socket"}


@dataclass(frozen=True, slots=True)
class Provenance:
    """One layer's part in a path. layer: its number in the stack; entry: what it says of the path, None = nothing.

    role: "gives" the view shows this one (of a directory: its attributes are these); "merged" a directory that takes
    part below the giving one; "shadowed" there, but not seen; "whiteout" it, or a whiteout above it, ends the look-up
    here; "opaque" nothing here, and the look-up ends in a directory above it that is opaque; "none" nothing here.
    why: a sentence for a person, layers as "layer 2" (0 = the bottom). by: the layer that hides it, None = not hidden.
    ends: whether the kernel's look-up goes no further down than this layer.
    """

    layer: int
    entry: Entry | None
    role: str
    why: str
    by: int | None = None
    ends: bool = False


def of(view: MergedView, path: str) -> list[Provenance]:
    """What each layer of a view has to do with a path, top → bottom; for a path that no layer has, "none" of all."""
    above = view.merge(path.rpartition("/")[0]) if path else view.merge("")
    hidden = {layer: (by, at) for layer, by, at in above.hidden}
    live = set(above.live)
    found: list[Provenance] = []
    giver: Entry | None = None
    end: int | None = None
    for layer in range(view.top, -1, -1):
        entry = view.tables[layer].by_path.get(path)
        if layer in hidden:
            by, at = hidden[layer]
            found.append(_below(layer, entry, by, _reason(view, by, at)))
        elif layer not in live:
            found.append(_beside(view, layer, path))
        elif end is not None:
            found.append(_below(layer, entry, end, _reason(view, end, path)))
        elif entry is None:
            found.append(_absent(view, layer, path))
        elif entry.kind == "w":
            why = "a whiteout: whatever the layers below have here is gone"
            found.append(Provenance(layer, entry, WHITEOUT, why, ends=True))
            end = layer
        elif giver is None:
            giver = entry
            ends = entry.kind != "d" or entry.opaque
            end = layer if ends else None
            found.append(Provenance(layer, entry, GIVES, _gives(entry), ends=ends))
        elif entry.kind == "d":
            end = layer if entry.opaque else None
            found.append(Provenance(layer, entry, MERGED, _merges(entry), ends=entry.opaque))
        else:
            end = layer
            why = f"a {NOUNS[entry.kind]} below a directory is not seen"
            found.append(Provenance(layer, entry, SHADOWED, why, _giver(found), ends=True))
    return found


def _giver(found: list[Provenance]) -> int:
    return next(one.layer for one in found if one.role == GIVES)


def _gives(entry: Entry) -> str:
    if entry.kind != "d":
        return f"the {NOUNS[entry.kind]} that is seen"
    if entry.opaque:
        return "an opaque directory: it replaces the directories below"
    return "the directory's mode, owner and times are these"


def _merges(entry: Entry) -> str:
    return "its entries are seen too" + (", and being opaque it hides the directories below" if entry.opaque else "")


def _below(layer: int, entry: Entry | None, by: int, reason: str) -> Provenance:
    """A layer that the look-up does not get to."""
    if entry is None:
        return Provenance(layer, None, NONE, "not in this layer")
    if entry.kind == "w":
        return Provenance(layer, entry, WHITEOUT, f"a whiteout, itself hidden: {reason}", by)
    return Provenance(layer, entry, SHADOWED, f"hidden: {reason}", by)


def _absent(view: MergedView, layer: int, path: str) -> Provenance:
    """A layer that is asked and has nothing of this path: the next is asked, unless this one's directory is opaque."""
    opaque = _opaque_above(view, layer, path)
    if opaque is None:
        return Provenance(layer, None, NONE, "not in this layer")
    why = f"not here, and {_called(opaque)} is opaque: nothing below counts"
    return Provenance(layer, None, OPAQUE, why, ends=True)


def _beside(view: MergedView, layer: int, path: str) -> Provenance:
    """A layer that has no directory of its own where the path would be: nothing, or what stands there instead."""
    parent = path.rpartition("/")[0]
    while parent:
        entry = view.tables[layer].by_path.get(parent)
        if entry and entry.kind == "w":
            return Provenance(layer, None, WHITEOUT, f"{_called(parent)} is whited out here", ends=True)
        if entry and entry.kind != "d":
            return Provenance(layer, None, NONE, f"{_called(parent)} is a {NOUNS[entry.kind]} here", ends=True)
        parent = parent.rpartition("/")[0]
    return Provenance(layer, None, NONE, "not in this layer")


def _reason(view: MergedView, by: int, at: str) -> str:
    """Why a layer ends the look-up at this path."""
    entry = view.tables[by].by_path.get(at)
    kind = entry.kind if entry else "d"
    if kind == "w":
        return f"layer {by} has a whiteout of {_called(at)}"
    if kind == "d":
        return f"{_called(at)} is opaque in layer {by}"
    return f"{_called(at)} is a {NOUNS[kind]} in layer {by}"


def _opaque_above(view: MergedView, layer: int, path: str) -> str | None:
    """The nearest directory above a path that is opaque in this layer."""
    while path:
        path = path.rpartition("/")[0]
        entry = view.tables[layer].by_path.get(path)
        if entry and entry.opaque:
            return path
    return None


def _called(path: str) -> str:
    return "/" + path
