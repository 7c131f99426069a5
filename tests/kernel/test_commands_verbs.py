"""attach, rename, restart, wait, port, and the verbs with several targets, as docker has them."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Iterator

import pytest

from engine.store.root import Store
from tests.support.command import Strata
from tests.support.needs import needs_root
from tests.support.rootfs import tiny_image
from tests.support.terminal import Terminal
from tests.support.waiting import until

TRAPS = "trap 'echo usr1' USR1; trap 'echo term; exit 9' TERM; echo ready; while :; do sleep 0.05; done"


@pytest.fixture(scope="module")
def strata() -> Iterator[Strata]:
    needs_root()
    with Strata() as command:
        tiny_image(Store(command.root))
        yield command


def field(strata: Strata, name: str, path: str) -> str:
    return strata("inspect", "--format", f"{{{{{path}}}}}", name)


def test_attach_joins_a_terminal_and_leaves_by_keys_or_with_its_status(strata: Strata) -> None:
    strata("run", "-dit", "--name", "desk", "tiny", "sh")
    with Terminal(strata, "attach", "desk") as one, Terminal(strata, "attach", "desk") as other:
        until(lambda: attached(strata, "desk") == 2)
        one.type("echo bo''th; stty size\n")
        for terminal in (one, other):
            terminal.expect(r"both\r\n")
            terminal.expect(r"33 101\r\n")
        other.type("\x10\x11")
        assert other.ends() == 0
        one.type("echo st''ill\n")
        one.expect(r"still\r\n")
        assert strata.run("attach", "--sig-proxy=false", "desk").stderr.startswith("cannot attach stdin to a TTY")
    with Terminal(strata, "attach", "--no-stdin", "desk") as watcher:
        with Terminal(strata, "container", "attach", "--detach-keys", "ctrl-e,e", "desk") as typist:
            until(lambda: attached(strata, "desk") == 2)
            typist.type("echo se''en\n")
            typist.expect(r"seen\r\n")
            watcher.expect(r"seen\r")
            assert not watcher.raw()
            typist.type("\x05e")
            assert typist.ends() == 0
        with Terminal(strata, "attach", "desk") as last:
            last.type("exit 6\n")
            assert last.ends() == 6
        assert watcher.ends() == 6
    for state, word in ((("stop", "desk"), "stopped"), (("start", "desk"), ""), (("pause", "desk"), "paused")):
        strata(*state)
        if word:
            done = strata.run("attach", "desk")
            assert (done.returncode, done.stdout) == (1, "")
            assert f"cannot attach to a {word} container" in done.stderr
    strata("rm", "-f", "desk")
    assert "No such container: desk" in strata.run("attach", "desk").stderr


def test_attach_passes_signals_and_input_on_unless_told_not_to(strata: Strata) -> None:
    strata("run", "-d", "-i", "--name", "worker", "tiny", "sh", "-c", TRAPS)
    until(lambda: strata("logs", "worker") == "ready")
    process = subprocess.Popen(
        strata.argv("attach", "worker"), env=strata.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    )
    with subprocess.Popen(
        strata.argv("attach", "--sig-proxy=false", "--no-stdin", "worker"),
        env=strata.env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    ) as deaf:
        assert process.stdout
        assert deaf.stdout
        until(lambda: attached(strata, "worker") == 2)
        process.send_signal(signal.SIGUSR1)
        assert process.stdout.readline() == b"usr1\n"
        assert deaf.stdout.readline() == b"usr1\n"
        deaf.send_signal(signal.SIGUSR1)
        assert deaf.wait(30) == -signal.SIGUSR1
    process.terminate()
    assert process.stdout.read() == b"term\n"
    process.stdout.close()
    assert process.wait(30) == 9
    strata("rm", "worker")


def attached(strata: Strata, name: str) -> object:
    from engine.engine import Engine
    from engine.runtime.client import Monitor

    store = Engine(strata.root).store.containers
    return Monitor(store.path(store.resolve(name), "control.sock")).info()["attached"]


def test_run_attaches_the_streams_that_it_is_told_to(strata: Strata) -> None:
    script = ("tiny", "sh", "-c", "cat; echo out; echo err >&2; exit 4")
    for flags, fed, out, err in (
        (("-a", "stdout"), "", "out\n", ""),
        (("-a", "STDERR"), "", "", "err\n"),
        (("-i", "-a", "stdin", "-a", "stdout"), "in\n", "in\nout\n", ""),
    ):
        done = strata.run("run", "--rm", *flags, *script, stdin=fed)
        assert (done.returncode, done.stdout, done.stderr) == (4, out, err)
    done = strata.run("run", "--name", "fed", "-i", "-a", "stdin", *script, stdin="words\n")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() == field(strata, "fed", ".Id")
    assert strata("wait", "fed") == "4"
    assert strata.run("logs", "fed").stdout == "words\nout\n"
    done = strata.run("run", "-d", "-a", "stdout", "tiny")
    assert (done.returncode, done.stderr.splitlines()[0]) == (
        125,
        "strata: conflicting options: cannot specify both --attach and --detach",
    )
    done = strata.run("run", "-a", "stdnone", "tiny")
    assert done.returncode == 125
    assert '"-a, --attach" flag: valid streams are STDIN, STDOUT and STDERR' in done.stderr
    strata("create", "-i", "-a", "stdin", "--name", "made", "tiny")
    shown = [field(strata, "made", f".Config.{key}") for key in ("AttachStdin", "AttachStdout", "StdinOnce")]
    assert shown == ["true", "false", "true"]
    strata("rm", "fed", "made")


def test_rename(strata: Strata) -> None:
    strata("run", "-d", "--name", "old", "tiny", "sleep", "1000")
    strata("create", "--name", "taken", "tiny")
    assert strata("rename", "old", "new") == ""
    assert strata("container", "ls", "-f", "name=new", "--format", "{{.Names}}") == "new"
    assert field(strata, "new", ".Name") == "/new"
    taken, same = strata.run("rename", "new", "taken"), strata.run("rename", "new", "new")
    assert taken.returncode == same.returncode == 1
    assert 'Conflict. The container name "/taken" is already in use by container "' in taken.stderr
    assert "Renaming a container with the same name as its current name" in same.stderr
    assert "Invalid container name (a b)" in strata.run("rename", "new", "a b").stderr
    assert "Neither old nor new names may be empty" in strata.run("rename", "new", "").stderr
    assert "No such container: old" in strata.run("rename", "old", "x1").stderr
    strata("pause", "new")
    assert "container is paused" in strata.run("rm", "new").stderr
    told = strata("events", "--since", "1h", "--until", "0s", "-f", "container=new", "--format", "{{json .}}")
    events = {event["Action"]: event["Actor"]["Attributes"] for event in map(json.loads, told.splitlines())}
    assert (events["rename"]["oldName"], events["rename"]["name"]) == ("/old", "new")
    assert events["pause"]["name"] == "new"  # the monitor's own word
    strata("rm", "-f", "new", "taken")


def test_restart_stops_and_starts(strata: Strata) -> None:
    strata("run", "-d", "--name", "again", "tiny", "sh", "-c", TRAPS)
    until(lambda: strata("logs", "again") == "ready")
    first = field(strata, "again", ".State.Pid")
    strata("create", "--name", "cold", "tiny", "sleep", "1000")
    done = strata.run("restart", "again", "nosuch", "cold")
    assert (done.returncode, done.stdout) == (1, "again\ncold\n")
    assert "No such container: nosuch" in done.stderr
    assert strata("logs", "again").splitlines()[:2] == ["ready", "term"]
    assert field(strata, "again", ".State.Pid") != first
    assert field(strata, "cold", ".State.Status") == "running"
    until(lambda: strata("logs", "again").splitlines() == ["ready", "term", "ready"])
    assert strata("container", "restart", "-s", "USR1", "-t", "1", "again") == "again"
    assert "usr1" in strata("logs", "again").splitlines()
    assert strata("restart", "--time=0", "cold") == "cold"
    strata("pause", "again")
    assert strata("restart", "again") == "again"
    assert field(strata, "again", ".State.Status") == "running"
    strata("rm", "-f", "again", "cold")


def test_one_that_removes_itself_survives_a_restart_but_not_its_end(strata: Strata) -> None:
    strata("run", "-d", "--rm", "--name", "brief", "tiny", "sh", "-c", TRAPS)
    known = field(strata, "brief", ".Id")
    until(lambda: strata("logs", "brief") == "ready")
    assert strata("restart", "brief") == "brief"
    assert field(strata, "brief", ".Id") == known
    strata("stop", "-t", "0", "brief")
    until(lambda: strata("ps", "-aq", "-f", "name=brief") == "")


def test_several_targets_are_all_tried_and_answered_in_order(strata: Strata) -> None:
    for name in ("one", "two"):
        strata("create", "--name", name, "tiny", "sh", "-c", f"trap 'exit {len(name)}' TERM; {TRAPS}")
    for verb, flags in (("start", ()), ("kill", ("-s", "USR1")), ("stop", ("-s", "USR1", "-t", "0"))):
        done = strata.run(verb, *flags, "one", "nosuch", "two")
        assert (done.returncode, done.stdout) == (1, "one\ntwo\n")
        assert "No such container: nosuch" in done.stderr
        assert ("failed to start containers: nosuch" in done.stderr) is (verb == "start")
    done = strata.run("wait", "two", "nosuch", "one")
    assert (done.returncode, done.stdout) == (1, "137\n137\n")
    strata("rm", "one", "two")


def test_logs_shows_what_it_is_asked_for(strata: Strata) -> None:
    strata("run", "--name", "said", "tiny", "sh", "-c", "echo one; echo two >&2; printf three")
    done = strata.run("logs", "said")
    assert (done.stdout, done.stderr) == ("one\nthree", "two\n")
    assert strata.run("logs", "--details", "-n", "1", "said").stdout == " three"
    stamped = strata.run("container", "logs", "-t", "--details", "said")
    assert re.fullmatch(r"\S+Z  one\n\S+Z  three", stamped.stdout)
    assert re.fullmatch(r"\S+Z  two\n", stamped.stderr)
    moment = stamped.stderr.split()[0]
    assert strata.run("logs", "--since", moment, "--until", moment, "said").stderr == "two\n"
    for flags, out in (
        (("--since", "-1h"), ""),
        (("--since", "24h"), "one\nthree"),
        (("--until", "1136073600"), ""),
        (("--tail", "0"), ""),
        (("--tail=-1",), "one\nthree"),
        (("-n", "all"), "one\nthree"),
    ):
        assert strata.run("logs", *flags, "said").stdout == out, flags
    done = strata.run("logs", "--since", "x", "said")
    assert done.returncode == 125
    assert 'failed to parse value as time or duration: "x"' in done.stderr
    strata("rm", "said")


def test_ps_in_dockers_forms(strata: Strata) -> None:
    ids = [strata("create", "--name", f"row{number}", "tiny") for number in range(3)]
    assert strata("ps", "-q") == ""
    assert strata("ps", "-aq", "--no-trunc", "-f", "name=^row").splitlines() == ids[::-1]
    assert strata("ps", "-lq") == strata("ps", "-n", "1", "-q") == ids[2][:12]
    assert strata("ps", "-n", "2", "--format", "{{.Names}}").splitlines() == ["row2", "row1"]
    assert strata("ps", "-a", "-f", "before=row1", "-f", "name=row", "--format", "{{.Names}}") == "row0"
    assert strata("ps", "-a", "-f", "since=row1", "-f", "status=created", "--format", "{{.Names}}") == "row2"
    assert strata("ps", "-asq", "-f", "name=row1") == ids[1][:12]
    header, row = strata("ps", "-as", "-f", "name=row1").splitlines()
    assert header.split()[-2:] == ["NAMES", "SIZE"]
    assert re.search(r"0B \(virtual \S+B\)$", row)
    assert strata("container", "ls", "-a", "-q", "-f", "label=none") == ""
    strata("rm", *(f"row{number}" for number in range(3)))


def test_port_says_what_is_not_published(strata: Strata) -> None:
    strata("create", "--name", "closed", "tiny")
    assert strata("port", "closed") == ""
    for port in ("80", "80/udp"):
        done = strata.run("port", "closed", port)
        assert (done.returncode, done.stderr) == (1, f"Error: No public port '{port}' published for closed\n")
    assert strata.run("port", "closed", "http").stderr == "Error: invalid port (http)\n"
    assert strata.run("container", "port", "nosuch").returncode == 1
    strata("rm", "closed")


def test_the_group_knows_every_verb_and_mistakes_get_a_hint(strata: Strata) -> None:
    for word, near in (("restrat", "restart"), ("atach", "attach"), ("renam", "rename")):
        for words in ((word,), ("container", word)):
            done = strata.run(*words, "x")
            assert done.returncode == 1
            assert f"\t{near}\n" in done.stderr
