"""What `strata run` loads: the standard library and us, and of that nothing big. Every start pays for an addition."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator

import pytest

from engine.store.root import Store
from tests.support.command import Strata
from tests.support.needs import needs_root
from tests.support.rootfs import tiny_image

# The short list: all of the standard library that a start or a listing may load; every addition is paid for each time.
SHORT_LIST = set(
    "__future__ _collections _collections_abc _operator collections keyword operator reprlib "
    "_ctypes _io _json _sha256 _signal _socket _stat _struct _weakrefset abc array ast "
    "codecs encodings errno fcntl genericpath io importlib ipaddress itertools marshal os posixpath runpy select stat "
    "struct termios time types warnings weakref zipimport".split()
)

# What no verb needs that only asks a monitor or reads files: the C library (3 ms), and what brings half of the rest.
HEAVY = {
    "_ctypes",
    "dataclasses",
    "enum",
    "functools",
    "inspect",
    "json",
    "pathlib",
    "re",
    "signal",
    "subprocess",
    "typing",
}


@pytest.fixture
def strata() -> Iterator[Strata]:
    needs_root()
    with Strata() as command:
        tiny_image(Store(command.root))
        yield command


def importtime(command: list[str], env: dict[str, str]) -> list[str]:
    """What a command imports, in the order in which the imports end."""
    argv = [command[0], "-X", "importtime", *command[1:]]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=True)
    return [match[1].strip() for match in re.finditer(r"^import time: +\d+ \| +\d+ \|(.+)$", done.stderr, re.M)]


def used(strata: Strata, *words: str) -> set[str]:
    """The top-level packages that a command loads beyond what the interpreter and pip's script do before it."""
    found = importtime(strata.argv(*words), strata.env)
    ours = found[found.index("app") + 1 :]
    assert "engine.store.root" in ours, "the measurement sees nothing"
    assert not any(name.startswith("app.tui") for name in ours)
    return {name.split(".")[0] for name in ours} - {"app", "engine"}


def test_verbs_load_a_short_list_of_modules(strata: Strata) -> None:
    for words in (("run", "--rm", "tiny", "true"), ("run", "-d", "--name", "box", "tiny", "sleep", "1000")):
        assert used(strata, *words) <= SHORT_LIST
    for line in ("ps -a", "exec box true", "pause box", "unpause box", "stop -t 0 box", "rm box"):
        found = used(strata, *line.split())
        assert found <= SHORT_LIST and not found & HEAVY, (
            f"strata {line} loads {sorted(found - SHORT_LIST | found & HEAVY)}"
        )
