"""What the lower panes say, as lines: provenance, the system calls of a start, logs, the metadata sheet, the diff."""

from __future__ import annotations

import json
import textwrap
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from app.tui.drawing import label
from app.tui.model import Live, Shown
from app.tui.paint import Line, Part, files, size
from app.tui.safe_text import safe
from app.tui.widgets.files import mode
from engine.commands.summaries import ContainerSummary, ImageSummary
from engine.layers.diff import Change
from engine.layers.provenance import GIVES, MERGED, NONE, OPAQUE, SHADOWED, WHITEOUT, Provenance
from engine.network.links import Link
from engine.oci.times import nanoseconds

ROLES = {
    GIVES: ("●", "strong"),
    MERGED: ("◐", "directory"),
    SHADOWED: ("▒", "dim"),
    WHITEOUT: ("⊘", "bad"),
    OPAQUE: ("◌", "opaque"),
    NONE: (" ", "faint"),
}
CHANGES = {"A": ("+", "added"), "C": ("~", "modified"), "D": ("⊘", "gone")}


def text_lines(text: str, style: str = "text") -> list[Line]:
    return [Line(((safe(line), style),)) for line in text.split("\n")]


def provenance(found: Sequence[Provenance], shown: Shown, width: int) -> list[Line]:
    """What each layer has to do with a path, top to bottom, then the kernel's look-up. width: of the pane."""

    def called(number: int) -> str:
        return label(number, shown.stack.container, len(shown.layers))

    lines = []
    for one in found:
        if one.role == NONE and not one.ends and one.by is None:
            continue  # says nothing of this path: it is in the look-up below
        glyph, style = ROLES[one.role]
        parts: list[Part] = [(f"{glyph} ", style), (f"{called(one.layer):<4}", style)]
        if one.entry is not None:
            amount = size(one.entry.size) if one.entry.kind == "f" else ""
            parts.append(
                (f"{mode(one.entry)} {one.entry.uid}:{one.entry.gid}  {amount}  ".replace("    ", "  "), "text")
            )
            if one.entry.digest:
                parts.append((f"sha {one.entry.digest[:8]}  ", "dim"))
        why = safe(_with_label(one, called))
        line = Line((*parts, (why, "dim")))
        if line.width <= width:
            lines.append(line)
        else:
            lines.append(Line(tuple(parts)))
            lines += [Line((("      " + part, "dim"),)) for part in textwrap.wrap(why, max(width - 8, 20))]
        if one.entry is not None and one.entry.xattrs:
            names = "  ".join(f"{name}={len(value)} B" for name, value in one.entry.xattrs)
            lines.append(Line((("      ", "dim"), (f"xattrs {safe(names)}", "dim"))))
    lines.append(Line((("look-up: ", "dim"), *_lookup(found, called))))
    return lines


def _with_label(one: Provenance, called: Callable[[int], str]) -> str:
    """The reason with the hiding layer as it is called on the screen; paths in it may read "layer 3" themselves."""
    if one.by is None:
        return one.why
    number = f"layer {one.by}"
    before, found, after = one.why.partition(f": {number} has ")
    if found:
        return f"{before}: {called(one.by)} has {after}"
    return one.why.removesuffix(number) + called(one.by) if one.why.endswith(f" in {number}") else one.why


def _lookup(found: Sequence[Provenance], called: Callable[[int], str]) -> list[Part]:
    """RW ▶ (L7–L3 none) ▶ L2, as far as the kernel looks."""
    parts: list[Part] = []
    nothing: list[int] = []

    def passed() -> None:
        if nothing:
            first, last = called(nothing[0]), called(nothing[-1])
            parts.append((f"({first if first == last else f'{first}–{last}'} none) ▶ ", "dim"))
            nothing.clear()

    for one in found:
        ends = one.ends or (one.role == GIVES and one.entry is not None and one.entry.kind != "d")
        if one.role == NONE and not ends:
            nothing.append(one.layer)
            continue
        passed()
        parts.append((f"{called(one.layer)} {ROLES[one.role][0]}", ROLES[one.role][1]))
        if ends:
            break
        parts.append((" ▶ ", "dim"))
    passed()
    if parts and parts[-1][0].endswith("▶ "):
        parts.append(("end", "dim"))
    return parts


def hood(steps: Sequence[Mapping[str, Any]]) -> list[Line]:
    """The calls of the last start: when, what, result, how long; beneath, a command with the same effect.

    A row of calls that differ only in their last arguments is one line: dropping thirty capabilities is one thought.
    """
    lines = []
    for alike in _alike(steps):
        step, count = alike[0], len(alike)
        at = time.strftime("%H:%M:%S", time.localtime(float(step.get("at", 0))))
        words = ", ".join(map(str, step.get("args") or ()))
        parts: list[Part] = [(f"{at} ", "dim"), (safe(f"{step.get('call')}({words})"), "text")]
        if count > 1:
            parts.append((f" … and {count - 1} more like it", "dim"))
        elif step.get("errno"):
            parts.append((f" = error {step['errno']}", "bad"))
        elif step.get("result") not in (None, "", "0", "None"):
            parts.append((f" = {safe(str(step['result']))}", "dim"))
        took = sum(int(one.get("ns") or 0) for one in alike) / 1000
        parts.append((f"  {took:,.0f} µs", "dim"))
        lines.append(Line(tuple(parts)))
        if step.get("shell") and count == 1:
            lines.append(Line((("         ≈ ", "amber"), (safe(str(step["shell"])), "amber"))))
    return lines


def _alike(steps: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """Neighbours of the same call with the same first of several arguments, together."""
    groups: list[list[Mapping[str, Any]]] = []
    for step in steps:
        last = groups[-1][0] if groups else {}
        first, before = step.get("args") or (), last.get("args") or ()
        same = step.get("call") == last.get("call") and len(first) > 1 and first[:1] == before[:1]
        if same and not step.get("errno") and not last.get("errno"):
            groups[-1].append(step)
        else:
            groups.append([step])
    return groups


def logs(found: Sequence[tuple[str, str, str]]) -> list[Line]:
    lines = []
    for stream, at, text in found:
        when = _clock(at)
        style = "text" if stream == "stdout" else "bad"
        mark = " " if stream == "stdout" else "!"  # the standard error stream, where there is no colour
        lines.append(Line(((f"{when}{mark}", "dim"), (safe(text), style))))
    return lines


def diff(changes: Sequence[Change]) -> list[Line]:
    """What the container changed, as `strata diff` lists it."""
    lines = []
    for change in changes:
        glyph, style = CHANGES[change.kind]
        weak = change.passing
        lines.append(Line(((f"{glyph} {change.kind} ", style), (f"/{safe(change.path)}", "dim" if weak else style))))
    return lines


def sheet(
    about: ContainerSummary | ImageSummary,
    shown: Shown | None,
    layer: int,
    live: Live | None,
    document: Mapping[str, Any] | None,
    links: Sequence[Link],
    width: int,
) -> list[Line]:
    """The metadata sheets: of the selected layer, of its container or image, and the whole document.

    width: of the pane, in which the tables are broken into lines.
    """
    lines: list[Line] = []
    if shown is not None and 0 <= layer < len(shown.layers):
        lines += _layer_sheet(shown, layer, width)
    if isinstance(about, ContainerSummary):
        rows = [("id", about.id), ("image", about.image), ("command", about.command), ("state", about.status)]
        rows += [("created", _moment(about.created)), ("started", _moment(about.started))]
        rows += [("finished", _moment(about.finished))]
        if about.status == "exited":
            why = ": out of memory, the kernel killed it or a process of it" if about.oom_killed else ""
            rows.append(("exit code", f"{about.exit_code}{why}"))
        if about.running:
            rows.append(("pid", f"{about.pid} outside, 1 inside"))
        if live is not None and live.memory is not None:
            killed = f"; ran out: the kernel killed {live.oom_kills}" if live.oom_kills else ""
            rows.append(("memory", f"{size(live.memory)}{killed}"))
        rows += [
            (f"link {link.name}", " ".join((link.kind, "up" if link.up else "down", *link.addresses))) for link in links
        ]
        title = f"container {about.name}"
    else:
        rows = [("id", about.id), ("names", ", ".join(about.names)), ("created", _moment(about.created))]
        rows += [("size", size(about.size)), ("layers", str(len(about.layers))), ("containers", str(about.containers))]
        title = f"image {', '.join(about.names) or about.id.removeprefix('sha256:')[:12]}"
    rows += [(f"label {key}", value) for key, value in about.labels.items()]
    lines += _table(title, rows, "strong", width)
    if document is not None:
        lines.append(Line((("── the whole document ──", "dim"),)))
        # json escapes nothing but what it must; safe() does the rest, so that names stay readable
        lines += text_lines(json.dumps(document, indent=2, ensure_ascii=False), "dim")
    return lines


def _layer_sheet(shown: Shown, number: int, width: int) -> list[Line]:
    layer = shown.layers[number]
    about = layer.about
    name = label(number, shown.stack.container, len(shown.layers))
    below = label(number - 1, shown.stack.container, len(shown.layers)) if number else ""
    rows = [("id", about.id), ("parent", f"{below} {about.parent}" if number else "none: the bottom")]
    rows += [("command", about.created_by), ("created", _moment(about.created))]
    count = sum(1 for entry in layer.entries if entry.kind not in "dw")
    rows += [("holds", f"{files(count)}, {size(about.size)}"), ("on disk", about.diff_path)]
    if about.kind == "ro":
        rows.append(("used by", ", ".join(about.shared_by)))
    kind = "the read-write layer" if about.kind == "rw" else "a read-only layer"
    return _table(f"{name}, {kind}", rows, "rw" if about.kind == "rw" else "ro", width)


def _table(title: str, rows: Sequence[tuple[str, str]], style: str, width: int) -> list[Line]:
    """A title, and beneath it keys with their values, these in as many lines as they need."""
    lines = [Line(((f"▪ {safe(title)}", style),))]
    room = max(width - 15, 20)
    for key, value in rows:
        for number, part in enumerate(textwrap.wrap(safe(value), room) if value else ()):
            lines.append(Line(((f"  {safe(key) if not number else '':<11} ", "dim"), (part, "text"))))
    return [*lines, Line((("", "text"),))]


def _moment(text: str) -> str:
    """An RFC 3339 time as local time and how long ago."""
    if not text or text.startswith("0001"):
        return ""
    import humanize

    seconds = nanoseconds(text) / 1e9
    ago = humanize.naturaltime(time.time() - seconds)
    return f"{time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(seconds))}, {ago}"


def _clock(text: str) -> str:
    try:
        return time.strftime("%H:%M:%S", time.localtime(nanoseconds(text) // 1_000_000_000))
    except ValueError:
        return safe(text, 8)
