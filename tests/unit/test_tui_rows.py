"""The file tree is the engine's merged view, and nothing else: opened, hidden, only, filtered."""

from __future__ import annotations

from app.tui.rows import FileRows, Row
from app.tui.widgets.files import Columns, row_parts
from engine.layers.entry import Entries, Entry, tree_order
from engine.layers.view import MergedView


class Layer:
    """A layer as a view takes it: `a/b=12` a file of 12 bytes, `a/` a directory, `a!` a whiteout, `a/o` opaque."""

    def __init__(self, *specs: str) -> None:
        entries = {"": Entry("", "d", 0o755)}
        for spec in specs:
            path, _, size = spec.partition("=")
            if path.endswith("!"):
                entries[path[:-1]] = Entry(path[:-1], "w", 0)
            elif path.endswith("/"):
                entries[path[:-1]] = Entry(path[:-1], "d", 0o755, opaque=size == "opaque")
            else:
                entries[path] = Entry(path, "f", 0o644, size=int(size or 0), mtime_ns=hash(spec) & 0xFFFF)
        self.entries = Entries(tree_order(entries.values()))


BASE = Layer("etc/", "etc/conf=1", "etc/passwd=2", "cache/", "cache/a=3", "cache/b=3", "old=9")
MIDDLE = Layer("etc/", "etc/conf=4", "cache/=opaque", "cache/new=1", "old!")
TOP = Layer("etc/", "etc/conf=5", "tmp/", "tmp/x=6")
VIEW = MergedView([BASE, MIDDLE, TOP])


def paths(rows: FileRows) -> list[str]:
    return [row.entry.path for row in rows.rows]


def shown(row: Row, layers: int = 3, container: bool = True) -> str:
    return "".join(text for text, _ in row_parts(row, Columns(5, False, container, layers)))


def row(rows: FileRows, path: str, layer: int | None = None) -> Row:
    return next(one for one in rows.rows if one.entry.path == path and layer in (None, one.entry.layer))


def test_directories_are_closed_until_they_are_opened() -> None:
    rows = FileRows(VIEW, hidden=False)
    assert paths(rows) == ["cache", "etc", "tmp"]
    assert rows.toggle(1)
    assert paths(rows) == ["cache", "etc", "etc/conf", "etc/passwd", "tmp"]
    assert rows.toggle(1)
    assert paths(rows) == ["cache", "etc", "tmp"]


def test_a_file_cannot_be_opened() -> None:
    rows = FileRows(VIEW)
    rows.reveal("etc/conf")
    before = paths(rows)
    assert not rows.toggle(before.index("etc/passwd"))
    assert paths(rows) == before


def test_hidden_entries_are_shown_as_what_they_are() -> None:
    rows = FileRows(VIEW, hidden=True)
    rows.reveal("cache/new")
    rows.reveal("etc/conf")
    assert "⊘" in shown(row(rows, "old", 1)) and "whiteout" in shown(row(rows, "old", 1))
    assert "◌" in shown(row(rows, "cache", 1)) and "opaque" in shown(row(rows, "cache", 1))
    assert "▒" in shown(row(rows, "cache/a")) and "shadowed" in shown(row(rows, "cache/a"))
    copied = shown(row(rows, "etc/conf", 2))
    assert copied.startswith("~") and "⇡L2" in copied and "▒L2" in copied and "RW" in copied
    assert shown(row(rows, "tmp", 2)).startswith("+")


def test_without_hidden_only_what_the_kernel_would_show() -> None:
    rows = FileRows(VIEW, hidden=False)
    for path in ("cache/new", "etc/conf", "tmp/x"):
        rows.reveal(path)
    assert paths(rows) == [entry.path for entry in VIEW.walk() if entry.path]


def test_the_view_up_to_a_layer() -> None:
    rows = FileRows(VIEW.upto(0), hidden=False)
    rows.reveal("cache/a")
    assert paths(rows) == ["cache", "cache/a", "cache/b", "etc", "old"]


def test_only_what_a_layer_adds() -> None:
    rows = FileRows(VIEW, only=1)
    rows.reveal("etc/conf")
    rows.reveal("cache/new")
    assert paths(rows) == ["cache", "cache/new", "etc", "etc/conf", "old"]
    assert {one.entry.layer for one in rows.rows} == {1}
    assert shown(row(rows, "old")).startswith("⊘")
    assert shown(row(rows, "etc/conf")).startswith("~")
    assert shown(row(rows, "cache/new")).startswith("+")


def test_a_filter_finds_paths_in_closed_directories() -> None:
    rows = FileRows(VIEW, hidden=False, query="CONF")
    assert paths(rows) == ["etc/conf"] and rows.rows[0].name == "etc/conf"


def test_the_cursor_finds_its_path_again_in_a_new_view() -> None:
    rows = FileRows(VIEW, hidden=True)
    rows.reveal("etc/conf")
    key = row(rows, "etc/conf", 2).key
    again = FileRows(MergedView([BASE, MIDDLE, Layer("etc/", "etc/conf=7", "etc/aaa=1")]), hidden=True)
    again.opened = rows.opened
    again.build()
    assert again.rows[again.find(key)].entry.path == "etc/conf"
    assert again.find(("gone", -1, False)) == -1


def test_a_path_of_a_thousand_directories() -> None:
    deep = ["d/" * depth for depth in range(1, 1001)]
    rows = FileRows(MergedView([Layer(*deep)]))
    rows.reveal("d/" * 1000)
    assert len(rows.rows) == 1000 and rows.rows[-1].depth == 999


def test_hostile_names_are_rows_like_any_other() -> None:
    names = ["[x]", "[bold]", "\x1b[2J", "\u202egpj.exe", "\udcff", "a\nb", "n" * 255, "漢字"]
    rows = FileRows(MergedView([Layer(*(f"{name}=1" for name in names))]))
    assert sorted(paths(rows)) == sorted(names)
    for one in rows.rows:
        assert not {"\x1b", "\u202e", "\n", "\udcff"} & set(shown(one, 1, False))
