"""A test that lacks something skips with the reason; in CI it fails."""

from __future__ import annotations

import pytest

from tests.support.needs import needs


def test_a_missing_tool_skips_with_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STRATA_CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="not installed: no-such-tool"):
        needs("sh", "no-such-tool")


def test_in_ci_a_missing_tool_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRATA_CI", "1")
    with pytest.raises(pytest.fail.Exception, match="not installed: no-such-tool"):
        needs("no-such-tool")
    needs("sh")
