"""Reading a command line the way docker does, down to its words (Go's pflag; argparse cannot).

What argparse would read differently, and hands rely on: `-itd`, `-eA=b`, `-e A=b`, `--rm=false`, a flag's value
that begins with a dash (`--entrypoint -x`), no abbreviations, flags that stop at the image (`run -it img sh -c x -it`).
A verb describes itself to a `Parser` with the few methods below, which are named as in argparse where they can be.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

EXIT_FLAG = 125  # docker's status for every flag it cannot read
TRUE = ("1", "t", "T", "true", "TRUE", "True")
FALSE = ("0", "f", "F", "false", "FALSE", "False")


class UsageError(Exception):
    """The words cannot be read. The message is whole: what is wrong, the usage line, and where help is."""

    def __init__(self, message: str, exit_status: int) -> None:
        super().__init__(message)
        self.exit_status = exit_status


class BadChoice(ValueError):
    """Flags that are well written but cannot be obeyed; the text says why."""


class HelpWanted(Exception):
    """--help was given."""


class Flag:
    """One flag. action: "store", "append" or "store_true"; convert: text → value, ValueError when it is bad."""

    __slots__ = ("action", "convert", "default", "dest", "help", "long", "metavar", "short")

    def __init__(
        self,
        long: str,
        short: str,
        action: str,
        dest: str,
        default: Any,
        convert: Callable[[str], Any],
        metavar: str,
        help: str,
    ) -> None:
        self.long = long
        self.short = short
        self.action = action
        self.dest = dest
        self.default = default
        self.convert = convert
        self.metavar = metavar
        self.help = help

    @property
    def spelled(self) -> str:
        return ", ".join(name for name in (self.short and f"-{self.short}", self.long and f"--{self.long}") if name)


class Args:
    """What was read: one attribute a flag (dashes as underscores), and `words`, the rest.

    root: --root, None when it was not given; path: the command as it was typed ("strata container ls"); parser: its.
    """

    def __init__(self, values: dict[str, Any], words: list[str], parser: Parser) -> None:
        self.root: str | None = None
        self.words = words
        self.parser = parser
        self.path = parser.path
        self.__dict__.update(values)

    def __getattr__(self, name: str) -> Any:  # only for names that do not exist; here so that mypy lets the others pass
        raise AttributeError(name)


def number(text: str) -> int:
    """A whole number, as a flag's value."""
    try:
        return int(text, 10)
    except ValueError:
        raise ValueError("not a whole number") from None


def boolean(text: str) -> bool:
    """Go's strconv.ParseBool."""
    if text in TRUE:
        return True
    if text in FALSE:
        return False
    raise ValueError("not true or false")


class Parser:
    """The flags and the arity of one verb. path: "strata run"; usage: what follows it, "[OPTIONS] IMAGE [ARG...]"."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.usage = "[OPTIONS]"
        self.description = ""
        self.aliases: Sequence[str] = ()
        self.flags: list[Flag] = []
        self.least = 0
        self.most: int | None = 0
        self.interspersed = True

    def describe(
        self, usage: str, description: str = "", *, least: int = 0, most: int | None = 0, interspersed: bool = True
    ) -> None:
        """least, most: how many words besides flags (most None = any number). interspersed: flags may follow words.
        description: one line for --help; "" = as it is."""
        self.usage, self.description = usage, description or self.description
        self.least, self.most, self.interspersed = least, most, interspersed

    def add_argument(
        self,
        *names: str,
        action: str = "store",
        default: Any = None,
        type: Callable[[str], Any] = str,
        metavar: str = "string",
        help: str = "",
    ) -> None:
        """A flag: names like "-d", "--detach". action "append" collects a list, "store_true" takes no value.

        help: "" hides it from --help (an old name that hands still know).
        """
        long = next((name[2:] for name in names if name.startswith("--")), "")
        short = next((name[1:] for name in names if not name.startswith("--")), "")
        if action == "store_true":
            default, type, metavar = bool(default), boolean, ""
        dest = (long or short).replace("-", "_")
        self.flags.append(Flag(long, short, action, dest, default, type, metavar, help))

    # Reading.

    def parse(self, words: Sequence[str]) -> Args:
        """Raises UsageError or HelpWanted."""
        values = {flag.dest: [] if flag.action == "append" else flag.default for flag in self.flags}
        rest: list[str] = []
        queue = list(words)
        while queue:
            word = queue.pop(0)
            if word == "--":
                rest += queue
                break
            if word.startswith("--"):
                self._long(word, queue, values)
            elif word.startswith("-") and word != "-":
                self._shorts(word, queue, values)
            else:
                rest.append(word)
                if not self.interspersed:
                    rest += queue
                    break
        self._count(len(rest))
        return Args(values, rest, self)

    def _long(self, word: str, queue: list[str], values: dict[str, Any]) -> None:
        name, equals, value = word[2:].partition("=")
        flag = next((flag for flag in self.flags if flag.long == name), None)
        if flag is None:
            if name == "help":
                raise HelpWanted
            raise self.wrong(f"unknown flag: --{name}{self._nearest(name)}")
        if not equals:
            if flag.action == "store_true":
                value = "true"
            elif not queue:
                raise self.wrong(f"flag needs an argument: --{name}")
            else:
                value = queue.pop(0)
        self._set(flag, value, values)

    def _shorts(self, word: str, queue: list[str], values: dict[str, Any]) -> None:
        letters = word[1:]
        while letters:
            letter, letters = letters[0], letters[1:]
            flag = next((flag for flag in self.flags if flag.short == letter), None)
            if flag is None:
                if letter == "h":
                    raise HelpWanted
                raise self.wrong(f"unknown shorthand flag: '{letter}' in {word}")
            if flag.action == "store_true":
                value = "true"
                if letters.startswith("="):
                    value, letters = letters[1:], ""
            elif letters:
                value, letters = letters.removeprefix("="), ""
            elif queue:
                value = queue.pop(0)
            else:
                raise self.wrong(f"flag needs an argument: '{letter}' in {word}")
            self._set(flag, value, values)

    def _set(self, flag: Flag, text: str, values: dict[str, Any]) -> None:
        try:
            value = flag.convert(text)
        except ValueError as problem:
            raise self.wrong(f'invalid argument "{text}" for "{flag.spelled}" flag: {problem}') from None
        if flag.action == "append":
            values[flag.dest].append(value)
        else:
            values[flag.dest] = value

    def _count(self, count: int) -> None:
        if count >= self.least and (self.most is None or count <= self.most):
            return
        if self.most == 0:
            need = "accepts no arguments"
        elif self.most == self.least:
            need = f"requires {self.least} {_plural(self.least)}"
        elif self.most is None:
            need = f"requires at least {self.least} {_plural(self.least)}"
        elif self.least == 0:
            need = f"requires at most {self.most} {_plural(self.most)}"
        else:
            need = f"requires at least {self.least} and at most {self.most} arguments"
        raise self.wrong(f"strata: '{self.path}' {need}", 1)

    def _nearest(self, name: str) -> str:
        from difflib import get_close_matches

        close = get_close_matches(name, [flag.long for flag in self.flags if flag.long] + ["help"], 1)
        return f"\nDid you mean --{close[0]}?" if close else ""

    def wrong(self, problem: str, exit_status: int = EXIT_FLAG) -> UsageError:
        """The error docker would make of a problem: with the usage line, and where help is."""
        return UsageError(
            f"{problem}\n\nUsage:  {self.path} {self.usage}\n\nRun '{self.path} --help' for more information",
            exit_status,
        )

    # Help.

    def help_text(self) -> str:
        """What --help prints."""
        parts = [f"Usage:  {self.path} {self.usage}", self.description]
        if self.aliases:
            parts.append("Aliases:\n  " + ", ".join(self.aliases))
        if any(flag.help for flag in self.flags):
            parts.append("Options:\n" + self.options_text())
        return "\n\n".join(part for part in parts if part) + "\n"

    def options_text(self) -> str:
        """The flags, in two columns, by name."""
        ordered = sorted((flag for flag in self.flags if flag.help), key=lambda flag: flag.long or flag.short)
        return "\n".join(columns([(_left(flag), _right(flag)) for flag in ordered]))


def columns(rows: Sequence[tuple[str, str]], width: int = 80) -> list[str]:
    """Two columns for help: the first as wide as it must be, the second wrapped at `width`."""
    import textwrap

    indent = max(len(left) for left, _ in rows) + 3
    lines = []
    for left, right in rows:
        wrapped = textwrap.wrap(right, max(width - indent, 30)) or [""]
        lines.append(f"{left:<{indent}}{wrapped[0]}".rstrip())
        lines += [" " * indent + more for more in wrapped[1:]]
    return lines


def _left(flag: Flag) -> str:
    short = f"-{flag.short}, " if flag.short else "    "
    return f"  {short}--{flag.long} {flag.metavar}".rstrip()


def _right(flag: Flag) -> str:
    if flag.default in (None, "", False, []):
        return flag.help
    shown = {True: "true"}.get(
        flag.default, f'"{flag.default}"' if isinstance(flag.default, str) else str(flag.default)
    )
    return f"{flag.help} (default {shown})"


def _plural(count: int) -> str:
    return "argument" if count == 1 else "arguments"
