"""`strata demo` says what it needs before it makes anything."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from app.cli.main import run


def test_without_root_it_says_how_to_get_it_and_makes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(sys, "argv", ["/opt/venv/bin/strata", "demo"])
    assert run(["--root", str(tmp_path / "root"), "demo"]) == 1
    printed = capsys.readouterr()
    assert "needs root" in printed.err and "sudo /opt/venv/bin/strata demo" in printed.err
    assert not (tmp_path / "root").exists()
