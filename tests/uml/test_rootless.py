"""An ordinary user's delegated group under pure cgroup v2 (user-mode Linux): its limits are the kernel's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.ordinary import OrdinaryUser, house
from tests.uml.guest import Guest
from tests.uml.rootless import HOUSE_FILE


@pytest.mark.timeout(700)  # more than the guest gets: its own words say more
def test_limits_hold_in_a_delegated_group(directory: Path) -> None:
    own = directory / "rootless"
    own.mkdir()
    guest = Guest(own)
    with OrdinaryUser(subordinate=False) as user:
        (own / HOUSE_FILE).write_text(json.dumps([user.python, house()]))
    facts = guest.run("tests.uml.rootless")
    assert "broke" not in facts, facts["broke"]
    assert facts["limits"] == [str(32 << 20), "12"], facts
    assert facts["frozen"] == "1"
    assert facts["left"] == ["session"], facts
    assert facts["oom"] == "true 137", facts
