"""Capability sets: by number, by name, and as the kernel has them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.kernel import capabilities
from tests.support.isolated import isolated


def kernel_sets() -> dict[str, int]:
    """CapInh, CapPrm, CapEff, CapBnd and CapAmb as /proc tells them."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return {line[:6]: int(line.split()[1], 16) for line in lines if line.startswith("Cap")}


def test_names_have_the_kernels_numbers() -> None:
    assert len(capabilities.CAPS) == 41
    some = {"CAP_CHOWN": 0, "CAP_KILL": 5, "CAP_SYS_ADMIN": 21, "CAP_MKNOD": 27, "CAP_SETFCAP": 31, "CAP_BPF": 39}
    assert some.items() <= capabilities.CAPS.items()
    assert capabilities.CAPS["CAP_CHECKPOINT_RESTORE"] == 40


def test_the_highest_capability_is_the_kernels() -> None:
    assert capabilities.last_cap() == int(Path("/proc/sys/kernel/cap_last_cap").read_text())


@given(st.sets(st.sampled_from(sorted(capabilities.CAPS))))
def test_a_mask_and_its_names_are_the_same_set(chosen: set[str]) -> None:
    assert set(capabilities.names(capabilities.mask(chosen))) == chosen


def test_a_number_without_a_name_is_still_shown() -> None:
    assert capabilities.names(1 << 62 | 1) == ["CAP_CHOWN", "CAP_62"]


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(KeyError):
        capabilities.mask(["CAP_EVERYTHING"])


def test_get_and_bounding_tell_what_proc_tells() -> None:
    sets = kernel_sets()
    assert capabilities.get() == (sets["CapEff"], sets["CapPrm"], sets["CapInh"])
    assert capabilities.bounding() == sets["CapBnd"]


def test_nobody_gives_itself_what_it_does_not_hold() -> None:
    def act() -> tuple[tuple[int, int, int], str]:
        capabilities.set(0, 0, 0)
        capabilities.clear_ambient()
        try:
            capabilities.set(1 << 21, 1 << 21, 0)
        except PermissionError as error:
            return capabilities.get(), str(error.strerror)
        return capabilities.get(), "allowed"

    sets, said = isolated(act, 0)
    assert sets == (0, 0, 0)
    assert said == "capset(CAP_SYS_ADMIN, CAP_SYS_ADMIN, none): Operation not permitted"
