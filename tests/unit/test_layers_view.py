"""The merged view's rules one by one, on the document's own figures; the kernel is asked in tests/kernel."""

from __future__ import annotations

import pytest

from engine.layers.diff import changes
from engine.layers.entry import Entries, Entry, tree_order
from engine.layers.provenance import Provenance
from engine.layers.view import Counts, MergedView, ViewEntry

# One word an entry: path, then "/" for a directory, "!" for an opaque one, "-" for a whiteout.


class Layer:
    """A layer of the entries that these words mean; `a:3` is file `a` of 3 bytes, `a/:700` a directory of mode 700."""

    def __init__(self, words: str) -> None:
        self.entries = Entries(tree_order(_entry(word) for word in words.split()))


def _entry(word: str) -> Entry:
    name, _, number = word.partition(":")
    if name == "/":
        return Entry("", "d", int(number, 8))
    if name.endswith("/"):
        return Entry(name[:-1], "d", int(number or "755", 8))
    if name.endswith("!"):
        return Entry(name[:-1], "d", 0o755, opaque=True)
    if name.endswith("-"):
        return Entry(name[:-1], "w", 0)
    return Entry(name, "f", 0o644, size=int(number or 0))


def view(*layers: str) -> MergedView:
    return MergedView([Layer(words) for words in layers])


def shown(found: MergedView, path: str = "", hidden: bool = False) -> list[str]:
    """The rows of a directory as the explorer's columns: state, layer, name, and what is known of copies."""
    return [_row(row) for row in found.list(path, hidden=hidden)]


def _row(row: ViewEntry) -> str:
    text = f"{row.state} L{row.layer} {row.name}"
    if len(row.merged_from) > 1:
        text += " merged " + ",".join(map(str, row.merged_from))
    if row.copied_up_from is not None:
        text += f" ⇡L{row.copied_up_from}"
    if row.shadows:
        text += " ▒" + ",".join(map(str, row.shadows))
    if row.hidden_by is not None:
        text += f" by L{row.hidden_by}"
    return text


def roles(told: list[Provenance]) -> list[str]:
    """The provenance as the explorer's look-up line: layer, role, who hides it, where the look-up ends."""
    return [
        f"L{one.layer} {one.role}" + ("" if one.by is None else f" by L{one.by}") + (" end" if one.ends else "")
        for one in told
    ]


def test_a_file_of_any_layer_is_seen() -> None:
    assert shown(view("etc/ etc/passwd", "etc/ etc/motd"), "etc") == ["+ L1 motd", "  L0 passwd"]


def test_the_uppermost_file_is_seen_and_names_what_it_shadows() -> None:
    stack = view("conf:1", "conf:2", "other", "conf:3")
    assert shown(stack) == ["~ L3 conf ⇡L1 ▒1,0", "  L2 other"]
    row = stack.get("conf")
    assert row and row.entry.size == 3


def test_a_directory_merges_and_has_the_attributes_of_the_uppermost() -> None:
    stack = view("d/:700 d/low", "x", "d/:711 d/high")
    assert shown(stack) == ["~ L2 d merged 2,0 ⇡L0", "  L1 x"]
    row = stack.get("d")
    assert row and row.entry.mode == 0o711
    assert shown(stack, "d") == ["+ L2 high", "  L0 low"]


def test_a_directory_that_was_only_passed_through_is_not_modified() -> None:
    assert shown(view("d/ d/a", "d/ d/b")) == ["  L1 d merged 1,0 ⇡L0"]


def test_a_whiteout_hides_what_is_below_and_not_what_is_above() -> None:
    assert shown(view("a b", "a- b-", "b")) == ["+ L2 b ▒0"]
    assert shown(view("a", "a-", "x")) == ["+ L2 x"]


def test_a_whiteout_in_the_middle_hides_a_directory_and_another_begins_anew() -> None:
    stack = view("d/ d/old d/sub/ d/sub/x", "d-", "d/ d/new")
    assert shown(stack, "d") == ["+ L2 new"]
    assert shown(stack, "d", hidden=True) == ["+ L2 new", "shadowed L0 old by L1", "shadowed L0 sub by L1"]
    assert shown(stack) == ["+ L2 d ▒0"]
    assert stack.get("d/old") is None
    assert stack.get("d/sub/x") is None
    assert shown(stack, "d/sub") == []
    assert shown(stack, "d/sub", hidden=True) == ["shadowed L0 x by L1"]


def test_an_opaque_directory_hides_the_directories_below_it() -> None:
    stack = view("d/ d/a d/b", "d! d/b", "d/ d/c")
    assert shown(stack) == ["  L2 d merged 2,1 ⇡L1 ▒0"]
    assert shown(stack, "d", hidden=True) == ["shadowed L0 a by L1", "  L1 b ▒0", "shadowed L0 b by L1", "+ L2 c"]
    assert shown(stack.upto(1)) == ["opaque L1 d ▒0"]
    assert shown(stack.upto(1), "d") == ["~ L1 b ▒0"]


def test_an_opaque_directory_that_hides_nothing_is_just_new() -> None:
    """overlayfs makes every new directory opaque."""
    assert shown(view("a", "d! d/x")) == ["  L0 a", "+ L1 d"]


def test_a_file_hides_a_directory_and_what_is_in_it() -> None:
    stack = view("d/ d/x", "d")
    assert shown(stack) == ["~ L1 d ▒0"]
    assert stack.get("d/x") is None
    assert shown(stack, "d", hidden=True) == ["shadowed L0 x by L1"]


def test_a_directory_over_a_file_does_not_merge_with_what_is_further_down() -> None:
    stack = view("d/ d/x", "d", "d/ d/y")
    assert shown(stack, "d") == ["+ L2 y"]
    assert shown(stack, hidden=True) == ["~ L2 d ▒1,0", "shadowed L1 d by L2", "shadowed L0 d by L1"]


def test_the_roots_attributes_are_the_uppermosts() -> None:
    root = view("/:700 a", "b", "/:755 c").get("")
    assert root and (root.entry.mode, root.layer, root.merged_from) == (0o755, 2, (2, 1, 0))
    root = view("/:700 a", "b").get("")
    assert root and (root.entry.mode, root.layer) == (0o700, 0)


def test_an_opaque_root_hides_every_layer_below() -> None:
    stack = MergedView([Layer("a"), Layer("b")])
    stack.tables[1] = Entries([Entry("", "d", 0o755, opaque=True), *stack.tables[1]])
    assert shown(stack, hidden=True) == ["shadowed L0 a by L1", "+ L1 b"]
    assert roles(stack.provenance("a")) == ["L1 opaque end", "L0 shadowed by L1"]


def test_hidden_rows_are_beside_what_hides_them() -> None:
    stack = view("boot.log conf:1 gone", "gone- conf:2", "boot.log-")
    assert shown(stack) == ["  L1 conf ▒0"]
    assert shown(stack, hidden=True) == [
        "whiteout L2 boot.log",
        "shadowed L0 boot.log by L2",
        "  L1 conf ▒0",
        "shadowed L0 conf by L1",
        "whiteout L1 gone",
        "shadowed L0 gone by L1",
    ]


def test_a_whiteout_that_is_itself_covered_says_by_what() -> None:
    assert shown(view("a", "a-", "a"), hidden=True) == ["+ L2 a ▒0", "whiteout L1 a by L2", "shadowed L0 a by L2"]


def test_names_that_sort_around_the_separator_stay_in_their_directory() -> None:
    stack = view("a/ a/x a.b a-b")
    assert shown(stack) == ["+ L0 a", "+ L0 a-b", "+ L0 a.b"]
    assert [row.path for row in stack.walk()] == ["", "a", "a/x", "a-b", "a.b"]


def test_provenance_tells_of_every_layer() -> None:
    stack = view("etc/ etc/conf:1", "etc/ etc/conf:2", "etc/", "etc/ etc/conf:3")
    assert roles(stack.provenance("etc/conf")) == ["L3 gives end", "L2 none", "L1 shadowed by L3", "L0 shadowed by L3"]
    assert roles(stack.provenance("etc")) == ["L3 gives", "L2 merged", "L1 merged", "L0 merged"]
    assert roles(stack.provenance("nowhere")) == ["L3 none", "L2 none", "L1 none", "L0 none"]


def test_provenance_tells_of_whiteouts() -> None:
    stack = view("d/ d/x", "d/ d/x-", "d/")
    told = stack.provenance("d/x")
    assert roles(told) == ["L2 none", "L1 whiteout end", "L0 shadowed by L1"]
    assert told[2].why == "hidden: layer 1 has a whiteout of /d/x"
    above = view("d/ d/x", "d-", "y").provenance("d/x")
    assert roles(above) == ["L2 none", "L1 whiteout end", "L0 shadowed by L1"]
    assert above[1].why == "/d is whited out here"
    assert above[2].why == "hidden: layer 1 has a whiteout of /d"


def test_provenance_tells_of_opaque_directories() -> None:
    told = view("d/ d/x", "d! d/y", "d/ d/z").provenance("d/x")
    assert roles(told) == ["L2 none", "L1 opaque end", "L0 shadowed by L1"]
    assert told[1].why == "not here, and /d is opaque: nothing below counts"
    assert told[2].why == "hidden: /d is opaque in layer 1"
    told = view("d/", "d!", "d/").provenance("d")
    assert roles(told) == ["L2 gives", "L1 merged end", "L0 shadowed by L1"]


def test_provenance_tells_of_files_and_directories_in_each_others_place() -> None:
    told = view("d/ d/x", "d", "d/ d/x").provenance("d/x")
    assert roles(told) == ["L2 gives end", "L1 none end", "L0 shadowed by L1"]
    assert told[2].why == "hidden: /d is a file in layer 1"
    told = view("d/", "d", "d/").provenance("d")
    assert roles(told) == ["L2 gives", "L1 shadowed by L2 end", "L0 shadowed by L1"]


def test_counts_are_of_what_changed_not_of_what_was_passed() -> None:
    stack = view("etc/ etc/a etc/b var/ var/log/", "etc/ etc/a etc/b- new/ new/x", "var/:700 etc! etc/c")
    assert stack.counts(0) == Counts(5, 0, 0)
    assert stack.counts(1) == Counts(2, 1, 1)
    assert stack.counts() == Counts(1, 2, 1)


def difference(lower: str, upper: str) -> list[str]:
    return [f"{one.kind} {one.path}" for one in changes(Layer(upper).entries, view(lower))]


@pytest.mark.parametrize(
    ("lower", "upper", "expected"),
    [
        ("etc/ etc/a", "etc/ etc/b", ["C etc", "A etc/b"]),
        ("etc/ etc/a", "etc/ etc/a:5", ["C etc", "C etc/a"]),
        ("etc/ etc/a", "etc/ etc/a-", ["C etc", "D etc/a"]),
        ("etc/ etc/a", "etc/", []),
        ("etc/ etc/a", "etc/:700", ["C etc"]),
        ("a", "a- b-", ["D a"]),  # a whiteout of nothing deletes nothing
        ("d/ d/x d/y d/s/ d/s/z", "d! d/y d/n", ["C d", "A d/n", "D d/s", "D d/x", "C d/y"]),
        ("d/ d/s/ d/s/x d/s/y", "d! d/s/ d/s/y", ["C d", "C d/s", "D d/s/x", "C d/s/y"]),  # as opaque inside
        ("d/ d/x", "d", ["C d"]),
        ("d", "d/ d/x", ["C d", "A d/x"]),
        ("", "d! d/e! d/e/x", ["A d", "A d/e", "A d/e/x"]),
        ("a/ a/b/ a/b/c/ a/b/c/d", "a/ a/b/ a/b/c/ a/b/c/d-", ["C a", "C a/b", "C a/b/c", "D a/b/c/d"]),
        ("a/ a.b", "a/ a/x a.b", ["C a", "A a/x", "C a.b"]),
    ],
)
def test_the_diff_of_a_layer_speaks_dockers_words(lower: str, upper: str, expected: list[str]) -> None:
    assert sorted(difference(lower, upper)) == sorted(expected)
    order = difference(lower, upper)
    assert [line[2:] for line in order] == sorted(
        (line[2:] for line in order), key=lambda path: path.replace("/", "\0")
    )


def test_an_opaque_root_deletes_whatever_it_does_not_have() -> None:
    upper = [Entry("", "d", 0o755, opaque=True), Entry("kept", "f", 0o644), Entry("d", "d", 0o755)]
    stack = MergedView([Layer("gone/ gone/x kept d/ d/y"), Layer("")])
    stack.tables[1] = Entries(tree_order(upper))
    told = [f"{one.kind} {one.path}" for one in changes(stack.tables[1], stack.upto(0))]
    assert told == ["C d", "D d/y", "D gone", "C kept"]
    assert stack.counts() == Counts(0, 2, 2)


def test_a_time_alone_shows_as_a_change_but_does_not_count() -> None:
    lower = Layer("")
    lower.entries = Entries([Entry("d", "d", 0o755, mtime_ns=1)])
    upper = Layer("")
    upper.entries = Entries([Entry("d", "d", 0o755, mtime_ns=2)])
    stack = MergedView([lower, upper])
    assert [(one.kind, one.path) for one in changes(upper.entries, stack.upto(0))] == [("C", "d")]
    assert stack.counts() == Counts(0, 0, 0)


def test_a_view_of_no_layers_is_an_empty_root() -> None:
    nothing = MergedView([])
    assert [row.path for row in nothing.walk()] == [""]
    assert nothing.get("x") is None
    assert nothing.provenance("x") == []


def test_a_directory_opens_without_looking_at_the_rest() -> None:
    """What a list costs is its own rows: no walk over 40,000 entries (counted, not timed)."""
    big = Layer("")
    big.entries = Entries(
        tree_order(
            [Entry(f"d{number}", "d", 0o755) for number in range(400)]
            + [Entry(f"d{number % 400}/f{number}", "f", 0o644) for number in range(40_000)]
        )
    )
    stack = MergedView([big, Layer("d7/ d7/x")])
    assert len(stack.list("d7")) == 101
    assert len(stack._merges) == 2, "directories were merged that nobody asked for"


def test_a_view_keeps_to_its_layers_whatever_order_their_entries_come_in() -> None:
    layer = Layer("")
    layer.entries = Entries([])
    unordered = [Entry("b", "f", 0), Entry("a/x", "f", 0), Entry("a", "d", 0)]

    class Plain:
        entries = unordered

    assert [row.path for row in MergedView([Plain()]).walk()] == ["", "a", "a/x", "b"]
