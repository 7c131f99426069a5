"""The pictures in `screenshots/` are all there, load nothing, and say nothing of the machine that made them."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

HOUSE = Path(__file__).resolve().parents[2]
PICTURES = sorted((HOUSE / "screenshots").glob("*.svg"))
FIGURES = {"figure-1-image", "figure-2-container", "figure-3-running", "figure-4-write", "figure-5-layer"}


def test_each_figure_and_each_picture_of_the_readme_is_there() -> None:
    shown = set(re.findall(r"screenshots/([\w-]+)\.svg", (HOUSE / "README.md").read_text(encoding="utf-8")))
    assert shown >= FIGURES
    assert {path.stem for path in PICTURES} >= shown | {"main-80x24", "main-120x40"}


@pytest.mark.parametrize("picture", PICTURES, ids=lambda path: path.stem)
def test_a_picture_loads_nothing_and_names_no_place_outside_the_container(picture: Path) -> None:
    text = picture.read_text(encoding="utf-8")
    ElementTree.fromstring(text)
    assert "@font-face" not in text and "url(http" not in text and "href" not in text
    words = "".join(ElementTree.fromstring(text).itertext())
    assert not re.search(r"/(work|opt|home|root/\.|tmp/pytest|var/tmp)", words)
    assert "strata" in words
