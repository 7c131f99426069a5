"""What `strata run` loads: the standard library and us, and of that nothing big. Every start pays for an addition."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from engine.store.root import Store
from tests.support.command import Strata
from tests.support.needs import needs_root
from tests.support.rootfs import tiny_image

# The short list: all of the standard library that a start or a listing may load. json and dataclasses bring most of it
# (and re, enum, inspect with them); every addition is paid for at every start.
SHORT_LIST = set(
    "__future__ _abc _ast _collections _collections_abc _ctypes _functools _io _json _opcode _operator _sha256 "
    "_signal _socket _sre _stat _struct _weakrefset abc ast codecs collections contextlib copy copyreg "
    "dataclasses dis encodings enum errno fcntl functools genericpath importlib inspect io itertools json keyword "
    "linecache marshal opcode operator os posixpath re reprlib runpy select signal stat struct termios token "
    "tokenize types warnings weakref".split()
)

# `copy`, which dataclasses loads, asks in vain for Jython's org.python.core.
IN_VAIN = {"org"}


@pytest.fixture
def strata() -> Iterator[Strata]:
    needs_root()
    with Strata() as command:
        tiny_image(Store(command.root))
        yield command


def loaded(stderr: str) -> set[str]:
    return {match[1].strip() for match in re.finditer(r"^import time: +\d+ \| +\d+ \|(.+)$", stderr, re.M)}


def importtime(command: list[str], env: dict[str, str]) -> set[str]:
    argv = [command[0], "-X", "importtime", *command[1:]]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=True)
    return loaded(done.stderr)


def test_run_loads_a_short_list_of_modules(strata: Strata) -> None:
    # What the interpreter loads by itself in this environment is not ours.
    bare = importtime([sys.executable, "-c", "pass"], strata.env)
    for words in (("run", "--rm", "tiny", "true"), ("ps", "-a")):
        ours = importtime(strata.argv(*words), strata.env) - bare
        assert "engine.store.root" in ours, "the measurement sees nothing"
        packages = {name.split(".")[0] for name in ours}
        more = packages - SHORT_LIST - {"app", "engine"} - IN_VAIN
        assert not more, f"strata {words[0]} loads {sorted(more)}"
        assert not any(name.startswith("app.tui") for name in ours)
