"""What an ordinary user is told when a layer needs root: owners cannot be given away without it."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from engine.layers.unpack import unpack
from tests.support.archives import File, layer_tar
from tests.support.isolated import isolated
from tests.support.needs import needs_root


def test_an_ordinary_user_is_told_to_try_as_root(tmp_path: Path) -> None:
    needs_root()
    os.chown(tmp_path, 65534, 65534)
    os.chmod(tmp_path, 0o700)
    place = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)

    def act() -> str:
        os.setgroups([])
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)
        with pytest.raises(PermissionError) as told:
            unpack(io.BytesIO(layer_tar([File("etc", b"", uid=1)])), place)
        return str(told.value)

    try:
        assert "unpack etc: Operation not permitted: unpacking needs root, try again with sudo" in isolated(act, 0)
    finally:
        os.close(place)
