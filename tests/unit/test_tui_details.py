"""What the lower panes say is what the engine says, in words for people, and every word of it is safe."""

from __future__ import annotations

from typing import Any

from app.tui import details
from app.tui.model import Layer, Live, Shown
from app.tui.paint import Line
from engine.commands.stack import Stack, StackLayer
from engine.commands.summaries import ContainerSummary
from engine.layers.diff import Change
from engine.layers.entry import Entries, Entry
from engine.layers.view import MergedView
from engine.network.links import Link

HOSTILE = "[/x]\x1b[2J\x9b\u202e\udcff\n"
DANGER = {"\x1b", "\x9b", "\u202e", "\udcff", "\n"}


def stack_layer(number: int, entries: list[Entry], *, rw: bool = False) -> Layer:
    about = StackLayer(
        id=f"{number:064x}",
        kind="rw" if rw else "ro",
        parent=f"{number - 1:064x}" if number else "",
        diff_path=f"/root/layers/{number}/diff",
        size=12,
        created="2026-01-02T03:04:05Z",
        created_by=f"RUN {number} {HOSTILE}",
        shared_by=(HOSTILE,),
        look=lambda: entries,
    )
    return Layer(about, Entries(entries))


def shown() -> Shown:
    """etc/conf in three layers, the top one read-write; etc/gone deleted by the middle one."""
    layers = (
        stack_layer(
            0,
            [
                Entry("", "d", 0o755),
                Entry("etc", "d", 0o755),
                Entry("etc/conf", "f", 0o644, size=1),
                Entry("etc/gone", "f", 0o644),
            ],
        ),
        stack_layer(
            1,
            [
                Entry("", "d", 0o755),
                Entry("etc", "d", 0o755),
                Entry("etc/conf", "f", 0o644, size=2, digest="88ab" * 16),
                Entry("etc/gone", "w", 0),
            ],
        ),
        stack_layer(
            2, [Entry("", "d", 0o755), Entry("etc", "d", 0o755), Entry("etc/conf", "f", 0o600, size=3)], rw=True
        ),
    )
    about = tuple(layer.about for layer in layers)
    return Shown(Stack("box", "b" * 64, "box", True, about), layers, MergedView(layers))


def text(lines: list[Line]) -> str:
    return "\n".join(line.text for line in lines)


def harmless(lines: list[Line]) -> bool:
    return not any(DANGER & set(line.text) for line in lines)


def provenance(path: str, width: int = 120) -> str:
    about = shown()
    return text(details.provenance(about.view.provenance(path), about, width))


def test_provenance_names_the_layers_as_the_stack_does() -> None:
    top, middle, bottom, lookup = provenance("etc/conf").split("\n")
    assert top.startswith("● RW") and "-rw-------" in top and "3 B" in top
    assert middle.startswith("▒ L2") and "is a file in RW" in middle and "sha 88ab88ab" in middle
    assert bottom.startswith("▒ L1")
    assert lookup == "look-up: RW ●"


def test_provenance_of_what_is_deleted() -> None:
    lines = provenance("etc/gone").split("\n")
    assert lines[0].startswith("⊘ L2") and "whiteout" in lines[0]
    assert lines[1].startswith("▒ L1") and "L2 has a whiteout of /etc/gone" in lines[1]
    assert lines[-1] == "look-up: (RW none) ▶ L2 ⊘"


def test_a_path_that_reads_like_a_layer_is_left_alone() -> None:
    layers = (
        stack_layer(0, [Entry("", "d", 0o755), Entry("in layer 1", "f", 0o644)]),
        stack_layer(1, [Entry("", "d", 0o755), Entry("in layer 1", "w", 0)]),
    )
    about = Shown(Stack("i", "i", "i", False, tuple(layer.about for layer in layers)), layers, MergedView(layers))
    lines = text(details.provenance(about.view.provenance("in layer 1"), about, 200))
    assert "L2 has a whiteout of /in layer 1" in lines


def test_under_the_hood_are_call_result_time_and_the_command_that_does_the_same() -> None:
    step: dict[str, Any] = {
        "at": 0.0,
        "call": "mount",
        "args": [HOSTILE, "/x"],
        "result": "7",
        "errno": 0,
        "ns": 12_000,
        "shell": f"mount {HOSTILE}",
    }
    lines = details.hood([step, {**step, "call": "umount2", "errno": 22}])
    assert "mount([/x]" in lines[0].text and "= 7" in lines[0].text and "12 µs" in lines[0].text
    assert lines[1].text.strip().startswith("≈ mount [/x]")
    assert "umount2" in text(lines) and "error 22" in text(lines)
    assert harmless(lines)


def test_logs_tell_the_streams_apart_without_colour() -> None:
    lines = details.logs([("stdout", "2026-01-02T03:04:05Z", "out"), ("stderr", "2026-01-02T03:04:05Z", HOSTILE)])
    assert "!" in lines[1].parts[0][0] and "!" not in lines[0].text and lines[0].text.endswith("out")
    assert harmless(lines)


def test_diff_is_in_dockers_letters_and_in_glyphs() -> None:
    lines = details.diff([Change("a", "A"), Change("c", "C"), Change(HOSTILE, "D")])
    assert lines[0].text == "+ A /a" and lines[1].text == "~ C /c" and lines[2].text.startswith("⊘ D /[/x]")
    assert harmless(lines)


def test_the_sheet_of_a_layer_has_its_metadata_and_the_pointer_to_its_parent() -> None:
    container = ContainerSummary(
        id="b" * 64,
        name="box",
        image=HOSTILE,
        image_id="sha256:" + "c" * 64,
        command=HOSTILE,
        created="2026-01-02T03:04:05Z",
        status="running",
        exit_code=0,
        started="2026-01-02T03:04:05Z",
        finished="",
        pid=4711,
        labels={HOSTILE: HOSTILE},
    )
    link = Link(1, "lo", "loopback", True, 65536, "", ("127.0.0.1/8",))
    about = shown()
    lines = details.sheet(container, about, 1, None, {"Id": HOSTILE}, [link], 120)
    sheet = text(lines)
    assert about.layers[1].about.id in sheet and f"L1 {about.layers[0].about.id}" in sheet
    for word in ("RUN 1", "12 B", "/root/layers/1/diff", "4711 outside", "127.0.0.1/8", "2026-01-0"):
        assert word in sheet, word
    assert "none: the bottom" in text(details.sheet(container, about, 0, None, None, [], 120))
    assert "out of memory" not in sheet
    live = Live(container.id, "running", memory=5_000_000, oom_kills=2)
    assert "5.0 MB; ran out: the kernel killed 2" in text(details.sheet(container, about, 1, live, None, [], 120))
    dead = container.replaced(status="exited", exit_code=137, oom_killed=True)
    assert "137: out of memory, the kernel killed it" in text(details.sheet(dead, about, 1, None, None, [], 120))
    assert harmless(lines)
