"""A store with a tiny image for a whole module: the command and the engine on the same root.

`strata` and `engine` are fixtures of the tests that import them.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from engine import Engine
from tests.support.command import Strata
from tests.support.needs import needs_root
from tests.support.rootfs import tiny_image


@pytest.fixture(scope="module")
def strata() -> Iterator[Strata]:
    needs_root()
    with Strata() as command:
        yield command


@pytest.fixture(scope="module")
def engine(strata: Strata) -> Iterator[Engine]:
    with Engine(strata.root) as engine:
        tiny_image(engine.store)
        yield engine
