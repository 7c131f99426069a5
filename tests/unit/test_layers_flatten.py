"""The quick merge of a whole stack is the merged view's own account of it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.layers.entry import Entries, Entry, tree_order
from engine.layers.flatten import merged
from engine.layers.view import MergedView


class Layer:
    def __init__(self, entries: list[Entry]) -> None:
        self.entries = Entries(tree_order(entries))


@st.composite
def layers(draw: st.DrawFn) -> Layer:
    """A tree of directories (some opaque), files and whiteouts; its root is there, as it always is on disk."""
    paths = st.lists(st.sampled_from(["a", "b", "a.b"]), min_size=1, max_size=4).map("/".join)
    found = {"": Entry("", "d", draw(st.sampled_from([0o755, 0o700])), opaque=draw(st.integers(0, 9)) == 0)}
    for path in draw(st.lists(paths, max_size=10, unique=True)):
        parts = path.split("/")
        above = ["/".join(parts[:end]) for end in range(1, len(parts))]
        if path in found or any(parent in found and found[parent].kind != "d" for parent in above):
            continue
        for parent in above:
            found.setdefault(parent, Entry(parent, "d", 0o755, opaque=draw(st.integers(0, 3)) == 0))
        kind = draw(st.sampled_from("fdw"))
        found[path] = Entry(path, kind, 0o640, opaque=kind == "d" and draw(st.booleans()))
    return Layer(list(found.values()))


@settings(max_examples=1000)
@given(st.lists(layers(), min_size=1, max_size=4))
def test_the_merge_is_the_views(stack: list[Layer]) -> None:
    view = MergedView(stack)
    assert merged([layer.entries for layer in stack]) == [(row.layer, row.entry) for row in view.walk()]
