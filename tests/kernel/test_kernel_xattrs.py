"""Extended attributes of the very file named, links and odd names included."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.kernel import xattrs
from tests.support.needs import needs_root

needs_root()


@pytest.fixture
def here(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path, os.O_PATH)
    yield fd
    os.close(fd)


def test_a_symlinks_own_attributes_are_its_own(here: int, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    xattrs.set(here, "link", "trusted.strata", b"the link's")
    assert xattrs.list(here, "file") == []
    assert xattrs.list(here, "link") == ["trusted.strata"]
    assert xattrs.get(here, "link", "trusted.strata") == b"the link's"


def test_names_and_values_may_be_any_bytes(here: int, tmp_path: Path) -> None:
    name, value = b"\xff\n ", bytes(range(256))
    os.close(os.open(name, os.O_CREAT | os.O_WRONLY, dir_fd=os.open(tmp_path, os.O_PATH)))
    xattrs.set(here, name, b"trusted.\xfe", value)
    assert xattrs.list(here, name) == ["trusted.\udcfe"]
    assert xattrs.get(here, name, "trusted.\udcfe") == value


def test_an_empty_name_is_the_descriptors_own_file(here: int, tmp_path: Path) -> None:
    xattrs.set(here, "", "trusted.overlay.opaque", b"y")
    assert os.getxattr(tmp_path, "trusted.overlay.opaque") == b"y"
    xattrs.remove(here, "", "trusted.overlay.opaque")
    assert os.listxattr(tmp_path) == []


def test_a_missing_attribute_is_an_error_with_the_file_and_its_name(here: int, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for act in (xattrs.get, xattrs.remove):
        with pytest.raises(OSError, match=rf"\(\d+<{tmp_path}>, file, trusted.none\): No data available") as caught:
            act(here, "file", "trusted.none")
        assert caught.value.errno == errno.ENODATA
