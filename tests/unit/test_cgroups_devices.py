"""Device rules that are none are refused before anything is loaded."""

from __future__ import annotations

import pytest

from engine.cgroups.devices import DEFAULT_DEVICES, program


@pytest.mark.parametrize("rule", ["", "c 1:3", "x 1:3 r", "c 1:3 q", "c 1 r", "c 1:2:3 r", "c one:3 r"])
def test_a_bad_rule_is_named(rule: str) -> None:
    with pytest.raises(ValueError, match="not a device rule") as caught:
        program([*DEFAULT_DEVICES, rule])
    assert repr(rule) in str(caught.value)


def test_a_program_is_whole_instructions() -> None:
    assert len(program(DEFAULT_DEVICES)) % 8 == 0
    assert program([]) != program(DEFAULT_DEVICES)
