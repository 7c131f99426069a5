"""Completion: what could come next, from names on disk only; and the scripts by which shells ask."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.cli import catalog
from app.cli.completing import FILES, WORDS, suggestions
from app.cli.completion import SCRIPTS
from engine.store.container import ContainerConfig, ContainerState
from engine.store.root import Store
from tests.support.command import HOUSE
from tests.support.needs import needs

IDS = {"web": "ab12" + "0" * 60, "worker": "cd34" + "0" * 60}
IMAGE = "ef56" + "0" * 60


@pytest.fixture
def root(tmp_path: Path) -> str:
    store = Store(str(tmp_path / "store"))
    for name, container_id in IDS.items():
        store.containers.create(ContainerConfig(id=container_id, name=name, created="2026-01-01T00:00:00Z"))
    store.containers.set_state(IDS["worker"], ContainerState("exited"))
    names = {"docker.io/library/demo:latest": f"sha256:{IMAGE}", f"docker.io/library/demo@sha256:{IMAGE}": "x"}
    Path(store.path("images.json")).write_text(json.dumps({"names": names, "images": {f"sha256:{IMAGE}": {}}}))
    return str(tmp_path / "store")


def words(root: str, *typed: str) -> list[str]:
    return [word for word, _ in suggestions(["--root", root, *typed])]


def test_verbs_groups_and_their_words(root: str) -> None:
    assert {*catalog.COMMANDS, *catalog.GROUPS} == set(words(root, ""))
    assert words(root, "rest") == ["restart"]
    assert words(root, "container", "re") == ["rename", "restart"]
    assert words(root, "--v") == ["--version"]
    assert words(root, "help", "pa") == ["pause"]
    assert words(root, "nosuch", "") == []
    assert ("kill", catalog.COMMANDS["kill"][1]) in suggestions(["ki"])


def test_every_verb_that_takes_words_says_which() -> None:
    silent = {"demo", "events", "info", "load", "login", "logout", "ps", "version"}
    assert set(catalog.COMMANDS) - silent == set(WORDS) - set(catalog.INSIDE)


def test_names_and_ids_of_containers(root: str) -> None:
    assert words(root, "rm", "") == ["web", "worker"]
    assert words(root, "container", "remove", "wo") == ["worker"]
    assert words(root, "rm", "web", "ab") == [IDS["web"][:12]]
    assert words(root, "rm", IDS["web"][:20]) == [IDS["web"]]
    assert words(root, "stop", "") == []
    assert words(root, "start", "") == ["web", "worker"]
    assert words(root, "rename", "web", "") == []
    assert words(root, "cp", "w") == [FILES, "web:", "worker:"]
    assert words(root, "inspect", "") == ["demo:latest", "web", "worker"]
    assert words(root, "container", "inspect", "") == ["web", "worker"]


def test_names_and_ids_of_images(root: str) -> None:
    assert words(root, "run", "") == words(root, "rmi", "") == ["demo:latest"]
    assert words(root, "image", "inspect", "ef") == [IMAGE[:12]]
    assert words(root, "run", "-it", "--name", "x", "--rm", "de") == ["demo:latest"]
    assert words(root, "run", "demo", "") == words(root, "run", "demo", "-") == [FILES]


def test_flags_and_their_values(root: str) -> None:
    assert words(root, "run", "--pul") == ["--pull"]
    assert words(root, "run", "--pull", "") == ["always", "missing", "never"]
    assert words(root, "run", "--pull=m") == ["--pull=missing"]
    assert words(root, "run", "--name", "") == []
    assert words(root, "run", "--env-file", "") == [FILES]
    assert words(root, "kill", "-s", "US") == ["USR1", "USR2"]
    assert "--time" not in words(root, "stop", "--t")
    assert words(root, "rm", "-f", "we") == ["web"]
    assert words(root, "--root", "") == [FILES]
    assert "--help" in words(root, "ps", "--")


def test_looking_for_names_makes_no_store(tmp_path: Path) -> None:
    assert words(str(tmp_path / "none"), "rm", "") == []
    assert words(str(tmp_path / "none"), "run", "") == []
    assert os.listdir(tmp_path) == []


def test_an_answer_loads_little(root: str) -> None:
    argv = [sys.executable, "-X", "importtime", "-m", "app", "__complete", "--root", root, "rm", ""]
    done = subprocess.run(argv, env={**os.environ, "PYTHONPATH": HOUSE}, capture_output=True, text=True, check=True)
    assert done.stdout == f"web\t{IDS['web'][:12]}\nworker\t{IDS['worker'][:12]}\n"
    loaded = {line.rpartition("|")[2].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert "engine" in loaded
    assert not loaded & {"textual", "rich", "dataclasses", "subprocess", "socket", "threading", "inspect", "typing"}


def strata_in(directory: Path) -> dict[str, str]:
    """An environment in which `strata` is a program."""
    program = directory / "strata"
    program.write_text(f'#!/bin/sh\nPYTHONPATH={HOUSE} exec {sys.executable} -m app "$@"\n')
    program.chmod(0o755)
    return {**os.environ, "PATH": f"{directory}:{os.environ['PATH']}"}


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("strata --root ROOT rm w", ["web", "worker"]),
        ("strata --root ROOT inspect demo:l", ["latest"]),
        ("strata --root ROOT run --pull=al", ["always"]),
        ("strata --root ROOT cp we", ["web:"]),
        ("strata contai", ["container"]),
        ("strata run --env-file fi", ["file one", "file two"]),
        ("strata --root ROOT restart web ", ["web", "worker"]),
    ],
)
def test_bash_completes(root: str, tmp_path: Path, line: str, found: list[str]) -> None:
    needs("bash")
    for name in ("file one", "file two"):
        (tmp_path / name).touch()
    line = line.replace("ROOT", root)
    script = f'{SCRIPTS["bash"]}\nCOMP_LINE="$1"; COMP_POINT=${{#1}}; _strata; printf "%s\\n" "${{COMPREPLY[@]}}"'
    argv = ["bash", "--norc", "-c", script, "bash", line]
    done = subprocess.run(argv, env=strata_in(tmp_path), cwd=tmp_path, capture_output=True, text=True)
    assert (sorted(done.stdout.splitlines()), done.stderr) == (found, "")


@pytest.mark.parametrize("shell", sorted(SCRIPTS))
def test_the_script_is_one_that_its_shell_reads(shell: str, tmp_path: Path) -> None:
    needs(shell)
    script = tmp_path / "script"
    argv = [sys.executable, "-m", "app", "completion", shell]
    env = {**os.environ, "PYTHONPATH": HOUSE}
    script.write_text(subprocess.run(argv, env=env, capture_output=True, text=True, check=True).stdout)
    subprocess.run([shell, "-n", str(script)], check=True)


def test_fish_completes(root: str, tmp_path: Path) -> None:
    needs("fish")
    asked = "for line in 'strata sta' 'strata --root ROOT restart w' 'strata run --rest'; complete -C $line; end"
    script = f"{SCRIPTS['fish']}\n{asked.replace('ROOT', root)}"
    env = {**strata_in(tmp_path), "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    done = subprocess.run(["fish", "-c", script], env=env, cwd=tmp_path, capture_output=True, text=True)
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == [
        "start",
        "stats",
        "web",
        "worker",
        "--restart",
    ]


def test_another_shell_is_refused(capfd: pytest.CaptureFixture[str]) -> None:
    from app.cli.main import run

    assert run(["completion", "tcsh"]) == 1
    assert 'unknown shell "tcsh"' in capfd.readouterr().err
