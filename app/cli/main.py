"""From the words on the command line to the one verb they name; what goes wrong becomes words and an exit status."""

from __future__ import annotations

import os
import sys

from app.cli import catalog
from app.cli.flags import HelpWanted, Parser, UsageError
from app.cli.output import FormatError, said
from engine.errors import StrataError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

EXIT_BROKEN_PIPE = 141  # what a shell shows for a process that SIGPIPE ended
EXIT_INTERRUPTED = 130


def run(words: Sequence[str]) -> int:
    """Do what the words say; returns the exit status. Never raises for what a person can cause."""
    try:
        status = _dispatch(list(words))
        sys.stdout.flush()
        return status
    except UsageError as error:
        return _say(str(error), error.exit_status)
    except FormatError as error:
        return _say(str(error), 1)
    except StrataError as error:
        return _say(f"Error: {error}", error.exit_status)
    except BrokenPipeError:
        # Nobody reads our output. Python would say so once more when it closes stdout: give it another one.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return EXIT_BROKEN_PIPE
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except OSError as error:
        return _say(f"Error: {said(error)}", 1)


def _say(text: str, status: int) -> int:
    from app.cli.output import words

    try:
        words(text)
    except BrokenPipeError:
        return EXIT_BROKEN_PIPE
    return status


def _dispatch(words: list[str]) -> int:
    top = Parser("strata")
    top.describe(
        "[OPTIONS] COMMAND", "See and drive the layers that containers are made of", most=None, interspersed=False
    )
    top.add_argument(
        "--root",
        metavar="path",
        help="Where images and containers are kept (default: $STRATA_ROOT, else /var/lib/strata, "
        "else an ordinary user's own data directory)",
    )
    top.add_argument("-v", "--version", action="store_true", help="Print version information and quit")
    try:
        args = top.parse(words)
    except HelpWanted:
        return _print(_help(top))
    if args.version:
        from engine.commands.info import strata_version

        return _print(f"Strata version {strata_version()}\n")
    if not args.words:
        return _explore(args.root)
    word, rest = args.words[0], args.words[1:]
    if word == "__complete":
        from app.cli.completion import complete

        return complete([*(["--root", args.root] if args.root else []), *rest])
    if word == "help":
        if not rest:
            return _print(_help(top))
        word, rest = rest[0], [*rest[1:], "--help"]
    if word in catalog.GROUPS:
        return _group(word, rest, args.root)
    if word not in catalog.COMMANDS:
        raise _unknown("strata", word, [*catalog.COMMANDS, *catalog.GROUPS])
    return _command(word, f"strata {word}", rest, args.root)


def _command(command: str, path: str, words: list[str], root: str | None) -> int:
    module, line = catalog.described(command)
    verb = __import__(f"app.cli.{module}", fromlist=["run"])  # importlib would load `warnings`
    parser = Parser(path)
    parser.description = line
    parser.aliases = catalog.spellings(command)
    verb.add_arguments(parser)
    try:
        args = parser.parse(words)
    except HelpWanted:
        return _print(parser.help_text())
    args.root = root if command in catalog.WITHOUT_STORE else _own_store(root)
    status: int = verb.run(args)
    return status


def _group(group: str, words: list[str], root: str | None) -> int:
    line, known = catalog.GROUPS[group]
    if not words or words[0] in ("--help", "-h", "help"):
        return _print(_group_help(group))
    word = catalog.SYNONYMS[group].get(words[0], words[0])
    if word.startswith("-"):
        parser = Parser(f"strata {group}")
        parser.describe("COMMAND", line)
        parser.parse([word])
    if word not in known:
        raise _unknown(f"strata {group}", word, list(known))
    return _command(known[word], f"strata {group} {words[0]}", words[1:], root)


def _explore(root: str | None) -> int:
    root = _own_store(root)
    from app.tui.app import run as explore
    from engine.engine import Engine

    with Engine(root) as engine:
        return explore(engine)


def _own_store(root: str | None) -> str | None:
    """Who is not root becomes it in the user namespace of his store, before there is a second thread; the store's root.

    What does not need the store is done without: help, and errors of the command line.
    """
    if os.geteuid() == 0:
        return root
    from app.cli.output import words
    from engine.commands.context import default_root
    from engine.rootless import enter

    own = os.path.realpath(root or default_root())
    for word in enter(own):
        words(f"strata: {word}")
    return own


def _unknown(path: str, word: str, known: list[str]) -> UsageError:
    from difflib import get_close_matches

    close = get_close_matches(word, known, 3)
    hint = "\n\nDid you mean this?" + "".join(f"\n\t{other}" for other in close) if close else ""
    return UsageError(f"strata: unknown command: {path} {word}{hint}\n\nRun '{path} --help' for more information", 1)


def _print(text: str) -> int:
    from app.cli.output import out

    out(text)
    return 0


def _help(top: Parser) -> str:
    common = [(f"  {word}", catalog.COMMANDS[word][1]) for word in catalog.COMMON]
    groups = [(f"  {word}", line) for word, (line, _) in catalog.GROUPS.items()]
    others = [(f"  {word}", line) for word, (_, line) in catalog.COMMANDS.items() if word not in catalog.COMMON]
    return (
        f"Usage:  strata {top.usage}\n\n{top.description}\n\nWithout a command, the explorer opens.\n\n"
        f"Common Commands:\n{_aligned(common)}\n\nManagement Commands:\n{_aligned(groups)}\n\n"
        f"Commands:\n{_aligned(others)}\n\n"
        f"Global Options:\n{top.options_text()}\n\nRun 'strata COMMAND --help' for more information on a command.\n"
    )


def _group_help(group: str) -> str:
    line, known = catalog.GROUPS[group]
    rows = [(f"  {word}", catalog.line_of(group, word)) for word in sorted(known)]
    return (
        f"Usage:  strata {group} COMMAND\n\n{line}\n\nCommands:\n{_aligned(rows)}\n\n"
        f"Run 'strata {group} COMMAND --help' for more information on a command.\n"
    )


def _aligned(rows: list[tuple[str, str]]) -> str:
    wide = max(len(left) for left, _ in rows) + 3
    return "\n".join(f"{left:<{wide}}{right}" for left, right in rows)
