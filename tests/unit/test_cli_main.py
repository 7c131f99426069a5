"""From words to a verb: every verb has its file, its help and its place in docker's groups; mistakes get a hint."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from app.cli import catalog, main

HOUSE = Path(__file__).resolve().parents[2]


def run(capfd: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    status = main.run(words)
    sys.stdout.flush()
    done = capfd.readouterr()
    return status, done.out, done.err


@pytest.mark.parametrize("verb", catalog.COMMANDS)
def test_every_verb_has_help(verb: str, capfd: pytest.CaptureFixture[str]) -> None:
    status, text, problems = run(capfd, verb, "--help")
    assert (status, problems) == (0, "")
    assert text.startswith(f"Usage:  strata {verb} ")
    assert catalog.COMMANDS[verb][1] in text


@pytest.mark.parametrize(
    ("group", "word"), [(group, word) for group in catalog.GROUPS for word in catalog.GROUPS[group][1]]
)
def test_every_word_of_a_group_leads_to_its_verb(group: str, word: str, capfd: pytest.CaptureFixture[str]) -> None:
    status, text, _ = run(capfd, group, word, "--help")
    assert status == 0
    assert text.startswith(f"Usage:  strata {group} {word} ")


@pytest.mark.parametrize(
    "words",
    [("container", "ls"), ("container", "ps"), ("container", "list"), ("container", "remove"), ("image", "list"),
     ("image", "remove"), ("image", "ls"), ("image", "rm"), ("help", "ps")],
)  # fmt: skip
def test_dockers_other_words_for_the_same(words: tuple[str, str], capfd: pytest.CaptureFixture[str]) -> None:
    assert run(capfd, *words, "--help")[0] == 0


def test_help_lists_every_verb_and_group(capfd: pytest.CaptureFixture[str]) -> None:
    status, text, _ = run(capfd, "--help")
    listed = {line.split()[0] for line in text.splitlines() if line.startswith("  ") and line.split()}
    assert status == 0
    assert listed >= {*catalog.COMMANDS, *catalog.GROUPS, "--root"}
    for group, (_, words) in catalog.GROUPS.items():
        text = run(capfd, group)[1]
        assert {line.split()[0] for line in text.splitlines() if line.startswith("  ")} == set(words)


def test_a_mistyped_verb_gets_the_nearest_ones(capfd: pytest.CaptureFixture[str]) -> None:
    status, said, problem = run(capfd, "imagse")
    assert (status, said) == (1, "")
    assert problem.startswith("strata: unknown command: strata imagse\n\nDid you mean this?\n")
    assert "\timages\n" in problem
    status, _, problem = run(capfd, "container", "strat")
    assert status == 1
    assert "\tstart\n" in problem


def test_a_flag_before_the_verb_must_be_one_of_ours(capfd: pytest.CaptureFixture[str]) -> None:
    status, _, problem = run(capfd, "--rot", "/x", "ps")
    assert status == 125
    assert problem.startswith("unknown flag: --rot\nDid you mean --root?\n")


def test_the_version(capfd: pytest.CaptureFixture[str]) -> None:
    for flag in ("--version", "-v"):
        status, text, _ = run(capfd, flag)
        assert status == 0
        assert text.startswith("Strata version ")


def test_the_root_is_made_where_it_is_asked_for(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for words in (["--root", str(tmp_path / "a")], [f"--root={tmp_path / 'b'}"]):
        status, text, _ = run(capfd, *words, "ps")
        assert status == 0
        assert text == "CONTAINER ID   IMAGE     COMMAND   CREATED   STATUS    PORTS     NAMES\n"
    assert (tmp_path / "a" / "containers").is_dir()
    assert (tmp_path / "b" / "containers").is_dir()


ABSENT = [
    (["inspect", "x"], 1, "[]\n", "error: no such object: x\n"),
    (["inspect", "-f", "{{.Id}}", "x"], 1, "\n", "error: no such object: x\n"),
    (["container", "inspect", "x"], 1, "[]\n", "Error: No such container: x\n"),
    (["image", "inspect", "x"], 1, "[]\n", "Error: No such image: x\n"),
    (["inspect", "-f", "{{.Id", "x"], 64, "", "template parsing error: template: :1: unclosed action\n"),
    (["inspect", "--type", "foo", "x"], 1, "", 'unknown type: "foo": must be one of "container", "image", "layer"\n'),
    (["rm", "x", "y"], 1, "", "Error: No such container: x\nError: No such container: y\n"),
    (["rm", "-f", "x"], 0, "", ""),
    (["rmi", "x"], 1, "", "Error: No such image: x\n"),
    (["rmi", "-f", "x"], 0, "", "Error: No such image: x\n"),
    (["start", "x"], 1, "", "Error: No such container: x\nfailed to start containers: x\n"),
    (["stop", "x"], 1, "", "Error: No such container: x\n"),
    (["kill", "x"], 1, "", "Error: No such container: x\n"),
    (["kill", "-s", "NOSUCH", "x"], 1, "", "Error: Invalid signal: NOSUCH\n"),
    (["pause", "x"], 1, "", "Error: No such container: x\n"),
    (["logs", "x"], 1, "", "Error: No such container: x\n"),
    (["wait", "x"], 1, "", "Error: No such container: x\n"),
    (["exec", "x", "true"], 1, "", "Error: No such container: x\n"),
    (["commit", "x"], 1, "", "Error: No such container: x\n"),
    (["history", "x"], 1, "", "Error: No such image: x\n"),
    (["tag", "x", "y"], 1, "", "Error: No such image: x\n"),
    (["tag", "x", "Y"], 1, "", "Error: invalid reference format: repository name (library/Y) must be lowercase\n"),
    (
        ["create", "127.0.0.1:1/x"],
        1,
        "",
        "Unable to find image '127.0.0.1:1/x:latest' locally\n"
        "latest: Pulling from x\nError: cannot reach the registry 127.0.0.1:1: Connection refused\n",
    ),
    (["create", "--pull", "never", "x"], 1, "", "Error: No such image: x:latest\n"),
    (["ps", "-f", "nope=1"], 1, "", "Error: invalid filter 'nope'\n"),
    (["ps", "-f", "status=odd"], 1, "", "Error: invalid filter 'status=odd'\n"),
    (["images", "-f", "nope=1"], 1, "", "Error: invalid filter 'nope'\n"),
    (["ps", "--format", "{{.Names"], 1, "", "failed to parse template: template: :1: unclosed action\n"),
    (["load", "-i", "/nonexistent"], 1, "", "Error: /nonexistent: No such file or directory\n"),
]


@pytest.mark.parametrize(("words", "status", "said", "problem"), ABSENT, ids=lambda value: str(value)[:30])
def test_what_is_not_there(
    words: list[str], status: int, said: str, problem: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    if words[0] == "start" and __import__("os").geteuid():
        pytest.skip("needs root: start gets the launcher ready first")
    assert run(capfd, "--root", str(tmp_path), *words) == (status, said, problem)


HINT = "\n\nRun 'strata run --help' for more information\n"
TAKEN = "container ID file found, make sure the other container isn't running or delete {}/cid"


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--cidfile", "{}/cid", "x"], TAKEN),
        (["--env-file", "/nonexistent", "x"], "/nonexistent: No such file or directory"),
        (["--pull", "never", "x"], "No such image: x:latest"),
    ],
)
def test_run_ends_with_125_for_whatever_stands_in_the_way(
    words: list[str], problem: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cid").write_text("taken")
    words = [word.format(tmp_path) for word in words]
    done = run(capfd, "--root", str(tmp_path / "root"), "run", *words)
    assert done == (125, "", f"strata: {problem.format(tmp_path)}{HINT}")


def test_a_terminal_cannot_be_fed_from_a_pipe(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "app", "--root", str(tmp_path), "run", "-it", "x"],
        cwd=HOUSE, input="hello", capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "cannot attach stdin to a TTY-enabled container because stdin is not a terminal\n"


def test_a_reader_who_leaves_ends_the_command_quietly(tmp_path: Path) -> None:
    done = subprocess.run(
        f"{sys.executable} -m app --root {tmp_path} --help | true; echo ${{PIPESTATUS[0]}}",
        cwd=HOUSE, shell=True, executable="/bin/bash", capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout in ("141\n", "0\n")  # 0: it had written everything before the reader left
    assert done.stderr == ""


def test_writing_to_a_full_device_is_an_error_not_a_success(tmp_path: Path) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "app", "--root", str(tmp_path), "images"],
            cwd=HOUSE, stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert "No space left on device" in done.stderr


def test_a_verb_loads_nothing_of_the_others(tmp_path: Path) -> None:
    script = f"import sys; before = {{*sys.modules}}; from app.cli.main import run; run(['--root', {str(tmp_path)!r}, "
    script += "'ps']); print(*{*sys.modules} - before)"  # before: an editable installation loads modules of its own
    done = subprocess.run([sys.executable, "-c", script], cwd=HOUSE, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    verbs = {f"app.cli.{module}" for module, _ in catalog.COMMANDS.values()}
    assert loaded & verbs == {"app.cli.ps"}
    unwanted = {"argparse", "asyncio", "subprocess", "tempfile", "pathlib", "shutil", "difflib", "textwrap", "typing"}
    assert not loaded & (unwanted | {"engine.runtime.client", "engine.layers.unpack", "engine.archive.load"})


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_standard_streams_do_not_become_files_of_the_store(closed: str, tmp_path: Path) -> None:
    command = f"{sys.executable} -m app --root {tmp_path} ps {closed}"
    done = subprocess.run(command, cwd=HOUSE, shell=True, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("CONTAINER ID") or ">&-" in closed.replace("2>&-", "")
