"""The document's figures as lines: layers as boxes with arrows to their parents, the read-write box on top drawn
unlike the others, and the box of the processes standing on the stack when it runs.

Pure: a picture (what is) goes in, lines (what is seen) come out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from app.tui.paint import Line, Part, cut, files, fit, size
from app.tui.safe_text import safe

PROCESSES = "processes"  # the target of the process box's lines; a layer's lines have its number
GLYPHS = {"running": "▶", "paused": "❄", "exited": "■", "created": "○", "dead": "■"}
STATUS_STYLES = {"running": "run", "paused": "ice", "exited": "exited", "created": "created", "dead": "bad"}
ARROW = " parent ▼ "
SHORT_NAME = 6  # columns of a process's name below which its number outside gives it its room


@dataclass(frozen=True, slots=True)
class LayerPicture:
    """One layer. number: in the stack, 0 = bottom; rw: the read-write one; size: bytes of its own files.

    added, modified, deleted: paths, None = not counted yet; opaque: opaque directories.
    """

    number: int
    id: str
    rw: bool
    size: int
    files: int
    command: str
    added: int | None = None
    modified: int = 0
    deleted: int = 0
    opaque: int = 0

    @property
    def label(self) -> str:
        return "RW" if self.rw else f"L{self.number + 1}"


@dataclass(frozen=True, slots=True)
class ProcessPicture:
    """One process of the box. memory: resident bytes; state: its letter in /proc."""

    pid: int
    host_pid: int
    name: str
    state: str
    memory: int


@dataclass(frozen=True, slots=True)
class StackPicture:
    """A stack, top layer first. status: the container's, "" = an image; namespace: inode of its pid namespace.

    room: lines of the process box at least, so that the stack stands still while processes come and go. oom_kills: how
    many processes the kernel killed because memory ran out.
    """

    layers: tuple[LayerPicture, ...]
    status: str = ""
    namespace: int | None = None
    processes: tuple[ProcessPicture, ...] = ()
    room: int = 1
    oom_kills: int = 0

    @property
    def alive(self) -> bool:
        return self.status in ("running", "paused")


def label(number: int, container: bool, count: int) -> str:
    """What a layer is called: L1 at the bottom, RW for a container's own on top."""
    return "RW" if container and number == count - 1 else f"L{number + 1}"


def height_of(picture: StackPicture, density: str) -> int:
    """Lines that `draw` makes."""
    box = (2 + (1 if density == "lines" else max(len(picture.processes), picture.room))) if picture.alive else 0
    count = len(picture.layers)
    own = 1 if density == "lines" and count > 1 and picture.layers[0].rw else 0
    return box + own + {"boxes": 3 * count, "low": 2 * count + 1, "lines": count + 1}[density]


def draw(picture: StackPicture, width: int, shown: Sequence[bool], density: str = "boxes") -> list[Line]:
    """The whole figure in `width` columns.

    shown: by layer number, whether it takes part in the view (else faint); density: "boxes" three lines a layer, "low"
    two (neighbours share a border), "lines" one.
    """
    lines: list[Line] = []
    if picture.alive:
        lines += _process_box(picture, width, one_line=density == "lines")
    for place, layer in enumerate(picture.layers):
        above = picture.alive if place == 0 else True
        below = place + 1 < len(picture.layers)
        if density == "lines":
            one = _layer_line(layer, width, above, below)
        elif density == "low":
            one = _low_box(layer, width, above, below, picture.layers[place - 1].rw if place else False)
        else:
            one = _layer_box(layer, width, above, below)
        faint = not shown[layer.number]
        lines += [Line(line.parts, line.target, faint) for line in one]
    return lines


def _joint(width: int) -> int:
    """The column where the boxes hang together."""
    return 16 if width < 60 else 26


def _edge(
    width: int,
    corners: str,
    fill: str,
    title: Sequence[Part],
    tail: Sequence[Part],
    joint: str,
    note: str = "",
    icy: bool = False,
) -> list[Part]:
    """A border: a title at its left, the joint (and a note) in the filling, a tail at its right; icy: frosted."""
    style = title[0][1]
    head = sum(len(text) for text, _ in title)
    if head > width - 2:
        title, head = cut(title, width - 2), width - 2
    rest = sum(len(text) for text, _ in tail)
    if rest > width - 2 - head:
        tail, rest = (), 0  # too narrow for sums: the title matters more
    gap = width - 2 - head - rest
    line = ((fill * 3 + "❄") * gap)[:gap] if icy else fill * gap
    mark = joint + note
    column = _joint(width) - 1 - head
    if note and column + len(mark) > gap:
        mark = joint + ("▼" if joint else "")
    if joint and column >= 0 and column + len(mark) <= gap:
        line = line[:column] + mark + line[column + len(mark) :]
    return [(corners[0], style), *title, (line, style), *tail, (corners[1], style)]


def _process_box(picture: StackPicture, width: int, one_line: bool) -> list[Line]:
    frozen = picture.status == "paused"
    style = "ice" if frozen else "run"
    title = " ❄ process space, frozen " if frozen else " ▶ process space "
    space = f" pid ns {picture.namespace} " if picture.namespace and width > 44 else ""
    titles = [(title, style)]
    if picture.oom_kills:
        titles.append((f" out of memory: {picture.oom_kills} killed ", "bad"))
        space = ""
    lines = [_edge(width, "╔╗", "═", titles, [(space, style)], "", icy=frozen)]
    inner = width - 4
    rows: list[list[Part]] = []
    if one_line:
        names = "  ".join(f"{process.pid} {safe(process.name)}" for process in picture.processes)
        rows.append([(names or "…", style)])
    else:
        rows += _process_rows(picture.processes, inner, style, frozen)
        rows += [[(" ", "text")]] * (picture.room - len(rows))
    lines += [[("║ ", style), *cut(row, inner), (" ║", style)] for row in rows]
    lines.append(_edge(width, "╚╝", "═", [("", style)], [], "╤", icy=frozen))
    return [Line(tuple(parts), PROCESSES) for parts in lines]


def _process_rows(processes: Sequence[ProcessPicture], width: int, style: str, frozen: bool) -> Iterator[list[Part]]:
    """pid inside, name, pid outside (left out where the name would have no room), memory, state."""
    texts = [(f"pid {one.pid} ", f"host {one.host_pid} ", f"{size(one.memory)} ") for one in processes]
    pids, hosts, amounts = ([len(max(column, key=len)) for column in zip(*texts, strict=True)]) if texts else (0, 0, 0)
    room = width - pids - amounts - 1
    if room - hosts < SHORT_NAME:
        hosts = 0
    for one, (pid, host, amount) in zip(processes, texts, strict=True):
        name = fit(safe(one.name), max(room - hosts - 1, 1)) + " "
        found: list[Part] = [(pid.ljust(pids), style), (name, "strong"), (host.ljust(hosts) if hosts else "", "dim")]
        yield [*found, (amount.rjust(amounts), "text"), ("❄" if frozen else safe(one.state), style)]


def _marks(layer: LayerPicture) -> list[Part]:
    """What a layer does to the view below it: +added ~modified ⊘deleted ◌opaque; nothing of what it does not."""
    if layer.added is None:
        return []
    every = [(layer.added, "+", "added"), (layer.modified, "~", "modified")]
    every += [(layer.deleted, "⊘", "bad"), (layer.opaque, "◌", "opaque")]
    marks: list[Part] = []
    for count, glyph, style in every:
        if count or glyph == "+":
            marks.append((f"{' ' if marks else ''}{glyph}{count}", style))
    return marks


def _title(layer: LayerPicture, width: int) -> str:
    if layer.rw:
        return f" {layer.label} {'upper' if width < 60 else 'read-write'} "
    return f" {layer.label} ro {layer.id[: 8 if width >= 44 else 4]} "


def _summary(layer: LayerPicture) -> str:
    return f" {files(layer.files)}  {size(layer.size)} "


def _body(layer: LayerPicture, width: int) -> list[Part]:
    style, side = ("rw", "┃") if layer.rw else ("ro", "│")
    marks = _marks(layer)
    room = width - 4 - sum(len(text) for text, _ in marks) - 1
    words = fit("read-write: where changes land" if layer.rw else safe(layer.command), room)
    return [(f"{side} ", style), (words, "amber" if layer.rw else "text"), (" ", "text"), *marks, (f" {side}", style)]


def _layer_box(layer: LayerPicture, width: int, above: bool, below: bool) -> list[Line]:
    style = "rw" if layer.rw else "ro"
    corners, fill = ("┏┓┗┛", "━") if layer.rw else ("┌┐└┘", "─")
    joint = ("┷" if layer.rw else "┴") if above else ""
    top = _edge(width, corners[:2], fill, [(_title(layer, width), style)], [(_summary(layer), "text")], joint)
    joint = ("┯" if layer.rw else "┬") if below else ""
    bottom = _edge(width, corners[2:], fill, [("", style)], [], joint, ARROW if below else "")
    return [Line(tuple(parts), layer.number) for parts in (top, _body(layer, width), bottom)]


def _low_box(layer: LayerPicture, width: int, above: bool, below: bool, after_rw: bool) -> list[Line]:
    """A box whose top is also the bottom of the box above it; the read-write box keeps a bottom of its own weight."""
    style = "rw" if layer.rw else "ro"
    first = not layer.rw and not after_rw and above
    corners = "┏┓" if layer.rw else "├┤" if first else "┡┩" if after_rw else "┌┐"
    fill = "━" if layer.rw or after_rw else "─"
    joint = "┷" if layer.rw and above else "▼" if above else ""
    edge = style if not after_rw else "rw"
    title: list[Part] = [("", edge), (_title(layer, width), style)]
    lines = [_edge(width, corners, fill, title, [(_summary(layer), "text")], joint), _body(layer, width)]
    if not below:
        ends = "┗┛" if layer.rw else "└┘"
        lines.append(_edge(width, ends, "━" if layer.rw else "─", [("", style)], [], ""))
    return [Line(tuple(parts), layer.number) for parts in lines]


def _layer_line(layer: LayerPicture, width: int, above: bool, below: bool) -> list[Line]:
    """A layer in one line; the read-write one keeps its heavy border, with what it says in it; the last one closes."""
    marks = _marks(layer)
    style, ends, fill = ("rw", "┗┛", "━") if layer.rw else ("ro", "└┘", "─")
    lines: list[list[Part]] = []
    if layer.rw:
        title: list[Part] = [(f" {layer.label} ", style), (f"{size(layer.size)} ", "text")]
        lines.append(_edge(width, "┏┓", fill, title, [(" ", style), *marks, (" ", style)], "┷" if above else ""))
    else:
        amount = f" {size(layer.size):>8} " if width >= 44 else " "
        room = width - 7 - len(amount) - sum(len(text) for text, _ in marks)
        words: list[Part] = [(fit(safe(layer.command), max(room, 0)), "text"), (amount, "dim"), *marks]
        lines.append([*cut([(f"│{layer.label:<4}", style), *words], width - 1), ("│", style)])
    if layer.rw and below:
        lines.append(_edge(width, "┡┩", fill, [("", style)], [], ""))
    elif not below:
        lines.append(_edge(width, ends, fill, [("", style)], [], ""))
    return [Line(tuple(parts), layer.number) for parts in lines]
