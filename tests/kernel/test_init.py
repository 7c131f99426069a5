"""--init on real containers: a reaper as first process, which passes signals on and leaves no zombie."""

from __future__ import annotations

from functools import partial

from engine import Engine
from engine.commands.options import CreateOptions, ExecOptions
from engine.settings import Settings
from engine.store.root import Store
from tests.support.command import Strata
from tests.support.needs import needs, needs_root
from tests.support.rootfs import tiny_image
from tests.support.waiting import until


def zombies(strata: Strata, container: str) -> int:
    found = strata("exec", container, "sh", "-c", "cat /proc/[0-9]*/stat 2>/dev/null || true")
    return sum(line.rpartition(")")[2].split()[0] == "Z" for line in found.splitlines())


def test_a_reaper_is_the_first_process() -> None:
    needs_root()
    needs("tini-static")
    with Strata() as strata, Engine(strata.root) as engine:
        tiny_image(Store(strata.root))
        plain, _ = engine.run("tiny", CreateOptions(name="plain", command=("sleep", "1000")))
        settings = Settings(init=True)
        reaped, _ = engine.run("tiny", CreateOptions(name="reaped", command=("sleep", "1000"), settings=settings))
        for container in (plain, reaped):  # a process whose parent has ended before it
            session = engine.exec(container, ExecOptions(command=("sh", "-c", "(sh -c 'exit 0' &)")))
            assert session.wait() == 0
        until(lambda: zombies(strata, plain) == 1)
        until(lambda: zombies(strata, reaped) == 0)
        assert strata("exec", "reaped", "cat", "/proc/1/cmdline") == "/sbin/docker-init\0--\0sleep\x001000\0"
        assert engine.inspect(reaped)["HostConfig"]["Init"] is True
        assert engine.inspect(reaped)["Path"] == "sleep"
        assert engine.diff(reaped) == []
        # It ends by a signal that a first process without a handler would not feel.
        engine.kill(reaped, "TERM")
        until(lambda: not engine.container(reaped).state.running)
        assert engine.container(reaped).state.exit_code == 143
        # Without --init there is no mount point of it either; the command's own status comes through.
        assert strata.run("run", "--rm", "tiny", "ls", "/sbin/docker-init").returncode != 0
        run = partial(strata.run, "run", "--rm", "--init", "tiny")
        assert [run("sh", "-c", "exit 9").returncode, run("/missing").returncode] == [9, 127]
        assert strata("system", "check") == "The store is whole."
