"""What a container sees of a loaded image is what the peer that saved it sees, entry by entry."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator

import pytest

from tests.peers.conftest import Saved
from tests.peers.trees import differences, read_container_tree, read_tree
from tests.support.command import Strata

# Every fact in which the trees differ on purpose, all of them of the root directory itself: a container's root is its
# read-write layer's, made at another moment than the peer's; and containers/storage gives the root of every layer mode
# 0555 whatever its archive says (its pull request 743), where Strata does what the archive says, or 0755 as docker.
ON_PURPOSE = {".": ("mtime_ns", "mode")}


@pytest.fixture
def strata() -> Iterator[Strata]:
    with Strata() as command:
        yield command


@pytest.mark.timeout(900)  # mmdebstrap asks the network
def test_debian_runs_with_the_very_tree_that_podman_sees(strata: Strata, debian: Saved) -> None:
    assert_same_tree(strata, debian)


def test_ten_layers_add_up_to_the_very_tree_that_podman_sees(strata: Strata, ten_layers: Saved) -> None:
    assert_same_tree(strata, ten_layers)


def assert_same_tree(strata: Strata, image: Saved) -> None:
    loaded = strata("load", "--input", str(image.archive))
    match = re.search(r"Loaded image(?: ID)?: (\S+)", loaded)
    assert match, loaded
    container = strata("run", "--detach", match.group(1), "sleep", "1000")
    ours = read_container_tree(strata.pid(container))
    theirs = read_tree(image.tree)
    assert len(theirs) > 100
    assert differences(ours, theirs, ON_PURPOSE) == []
    assert ours["."].mode == stat.S_IFDIR | 0o755
