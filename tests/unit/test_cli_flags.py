"""Command lines are read as docker (Go's pflag) reads them, down to the words of its errors."""

from __future__ import annotations

import pytest

from app.cli import run as run_verb
from app.cli.flags import Args, HelpWanted, Parser, UsageError, number


def run_parser() -> Parser:
    parser = Parser("strata run")
    run_verb.add_arguments(parser)
    return parser


def parse(*words: str) -> Args:
    return run_parser().parse(words)


def test_flags_stop_at_the_image() -> None:
    args = parse("-it", "--rm", "-e", "A", "img", "sh", "-c", "x", "-it")
    assert (args.interactive, args.tty, args.rm, args.env) == (True, True, True, ["A"])
    assert args.words == ["img", "sh", "-c", "x", "-it"]


@pytest.mark.parametrize("words", [["-eA=b"], ["-e", "A=b"], ["-e=A=b"], ["--env", "A=b"], ["--env=A=b"]])
def test_a_value_is_given_in_any_of_dockers_ways(words: list[str]) -> None:
    assert parse(*words, "img").env == ["A=b"]


def test_short_flags_are_bundled_and_the_last_may_take_a_value() -> None:
    args = parse("-itde", "A=b", "img")
    assert (args.interactive, args.tty, args.detach, args.env) == (True, True, True, ["A=b"])


def test_a_value_may_look_like_a_flag() -> None:
    args = parse("--entrypoint", "-x", "--name", "--rm", "img")
    assert (args.entrypoint, args.name, args.rm) == ("-x", "--rm", False)


def test_a_yes_or_no_takes_a_value_only_after_an_equals_sign() -> None:
    assert parse("--rm=false", "img").rm is False
    assert parse("--rm=1", "img").rm is True
    assert parse("-d=false", "img").detach is False
    assert parse("--rm", "false").words == ["false"]
    assert parse("--sig-proxy=false", "img").sig_proxy is False


def test_two_dashes_end_the_flags_and_one_dash_is_a_word() -> None:
    assert parse("-i", "--", "-t", "img").words == ["-t", "img"]
    assert parse("-", "img").words == ["-", "img"]


def test_flags_may_follow_words_where_no_command_follows() -> None:
    parser = Parser("strata rm")
    parser.describe("[OPTIONS] CONTAINER [CONTAINER...]", least=1, most=None)
    parser.add_argument("-f", "--force", action="store_true")
    args = parser.parse(["a", "-f", "b"])
    assert (args.words, args.force) == (["a", "b"], True)


USAGE = "\n\nUsage:  strata run [OPTIONS] IMAGE [COMMAND] [ARG...]\n\nRun 'strata run --help' for more information"


@pytest.mark.parametrize(
    ("words", "problem", "status"),
    [
        (["--foo", "img"], "unknown flag: --foo", 125),
        (["--detahc", "img"], "unknown flag: --detahc\nDid you mean --detach?", 125),
        (["-iz", "img"], "unknown shorthand flag: 'z' in -iz", 125),
        (["-e"], "flag needs an argument: 'e' in -e", 125),
        (["--name"], "flag needs an argument: --name", 125),
        (["--rm=x", "img"], 'invalid argument "x" for "--rm" flag: not true or false', 125),
        (["--stop-timeout", "x", "i"], 'invalid argument "x" for "--stop-timeout" flag: not a whole number', 125),
        (["-e", "=b", "i"], 'invalid argument "=b" for "-e, --env" flag: invalid environment variable: =b', 125),
        (["-it"], "strata: 'strata run' requires at least 1 argument", 1),
    ],
)
def test_what_cannot_be_read_is_said_in_dockers_words(words: list[str], problem: str, status: int) -> None:
    with pytest.raises(UsageError) as caught:
        parse(*words)
    assert (str(caught.value), caught.value.exit_status) == (problem + USAGE, status)


@pytest.mark.parametrize(
    ("least", "most", "given", "need"),
    [
        (0, 0, 1, "accepts no arguments"),
        (2, 2, 1, "requires 2 arguments"),
        (1, 1, 0, "requires 1 argument"),
        (2, None, 1, "requires at least 2 arguments"),
        (0, 1, 2, "requires at most 1 argument"),
        (1, 2, 3, "requires at least 1 and at most 2 arguments"),
    ],
)
def test_how_many_words_a_verb_takes(least: int, most: int | None, given: int, need: str) -> None:
    parser = Parser("strata x")
    parser.describe("", least=least, most=most)
    with pytest.raises(UsageError, match=f"^strata: 'strata x' {need}\n"):
        parser.parse(["word"] * given)


@pytest.mark.parametrize("flag", ["volume", "publish", "mount"])
def test_what_this_version_cannot_do_is_refused_not_ignored(flag: str) -> None:
    with pytest.raises(UsageError, match=f"^unknown flag: --{flag}\n"):
        parse(f"--{flag}=x", "img")


def test_help_is_asked_for_with_h_only_where_h_means_nothing_else() -> None:
    with pytest.raises(HelpWanted):
        parse("--help")
    assert parse("-h", "web", "img").hostname == "web"
    with pytest.raises(HelpWanted):
        Parser("strata ps").parse(["-h"])


def test_help_shows_usage_aliases_and_every_flag_with_its_default() -> None:
    parser = run_parser()
    parser.description, parser.aliases = "Create and run", ["strata container run", "strata run"]
    text = parser.help_text()
    assert text.startswith("Usage:  strata run [OPTIONS] IMAGE [COMMAND] [ARG...]\n\nCreate and run\n\nAliases:\n")
    assert "-d, --detach Run container in background and print container ID" in " ".join(text.split())
    assert '(default "missing")' in " ".join(text.split())
    assert all(len(line) <= 80 for line in text.splitlines())


def test_numbers_are_whole_and_may_be_negative() -> None:
    assert number("-1") == -1
    with pytest.raises(ValueError, match="not a whole number"):
        number("1.5")
