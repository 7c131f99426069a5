"""Reading a Go template: from its text to nodes (pkg.go.dev/text/template/parse), for `app.cli.template` to execute."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from app.cli.template_functions import FUNCTIONS, TemplateError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Token = tuple[str, str]
    # ("text", s) ("out", pipe) ("if" or "with" or "range", pipe, body, other) ("break",) …: the first says which
    Node = tuple[Any, ...]

_ACTION = re.compile(
    r"\{\{(-\s)?((?:\"(?:[^\"\\\n]|\\.)*\"|`[^`]*`|'(?:[^'\\\n]|\\.)'|/\*.*?\*/|(?!\}\})[^\"`'])*?)(\s-)?\}\}", re.S
)
_TOKEN = re.compile(
    r"""(?P<space>\s+)|(?P<string>"(?:[^"\\\n]|\\.)*")|(?P<raw>`[^`]*`)|(?P<char>'(?:[^'\\\n]|\\.)')|(?P<number>[+-]?\d[\w.]*)"""
    r"""|(?P<field>\.[^\W\d]\w*)|(?P<dot>\.)|(?P<variable>\$\w*)|(?P<word>[^\W\d]\w*)|(?P<mark>:=|=|\||\(|\)|,)""",
    re.X,
)


def parse(source: str) -> list[Node]:
    """The nodes of a template. TemplateError, with Go's words, when the text is none."""
    try:
        return _parse_body(_split(source), (), False)[0]
    except RecursionError:
        raise TemplateError("nested too deeply") from None


def _split(source: str) -> Iterator[tuple[str, str]]:
    """("text", …) and ("action", inside) in turn, trim markers applied."""
    at, trim = 0, False
    while True:
        start = source.find("{{", at)
        text = source[at:] if start < 0 else source[at:start]
        match = _ACTION.match(source, start) if start >= 0 else None
        if start >= 0 and match is None:
            raise TemplateError("unclosed action")
        if trim:
            text = text.lstrip()
        if match and match[1]:
            text = text.rstrip()
        if text:
            yield "text", text
        if match is None:
            return
        yield "action", match[2].strip()
        at, trim = match.end(), bool(match[3])


def _tokens(action: str) -> list[Token]:
    tokens: list[Token] = []
    at = 0
    while at < len(action):
        match = _TOKEN.match(action, at)
        if match is None:
            raise TemplateError(
                f"unexpected {action[at]!r} in command" if action[at] != '"' else "unterminated quoted string"
            )
        tokens.append((str(match.lastgroup), match[0]))
        at = match.end()
    return tokens


def _parse_body(items: Iterator[tuple[str, str]], ends: Sequence[str], looping: bool) -> tuple[list[Node], str]:
    """Nodes up to one of the closing words ("end", "else …"), and that word with what follows it.

    looping: inside a range, where break and continue mean something.
    """
    nodes: list[Node] = []
    for kind, content in items:
        if kind == "text":
            nodes.append(("text", content))
            continue
        if content.startswith("/*"):
            continue
        word, _, rest = content.partition(" ")
        if word in ("end", "else"):
            if word not in ends:
                raise TemplateError(f"unexpected {{{{{word}}}}}")
            return nodes, content
        if word in ("if", "with", "range"):
            nodes.append(_parse_block(word, rest, items, looping))
        elif word in ("break", "continue"):
            if not looping:
                raise TemplateError(f"{{{{{word}}}}} outside {{{{range}}}}")
            nodes.append((word,))
        elif not content:
            raise TemplateError("missing value for command")
        else:
            nodes.append(("out", _parse_pipe(_tokens(content))))
    if ends:
        raise TemplateError("unexpected EOF")
    return nodes, ""


def _parse_block(word: str, condition: str, items: Iterator[tuple[str, str]], looping: bool) -> Node:
    if not condition.strip():
        raise TemplateError(f"missing value for {word}")
    pipe = _parse_pipe(_tokens(condition.strip()))
    body, ended = _parse_body(items, ("end", "else"), looping or word == "range")
    other: list[Node] = []
    if ended.startswith("else"):
        again, _, rest = ended[4:].strip().partition(" ")
        if again in ("if", "with"):
            other = [_parse_block(again, rest, items, looping)]
        else:
            other, _ = _parse_body(items, ("end",), looping)
    return (word, pipe, body, other)


def _parse_pipe(tokens: list[Token]) -> Node:
    """("pipe", names declared or assigned, ":=" or "=" or "", commands)."""
    solid = [token for token in tokens if token[0] != "space"]
    names: list[str] = []
    mark = ""
    for count in (1, 2):
        at = 2 * count - 1
        if len(solid) > at and solid[at][1] in (":=", "=") and all(solid[2 * n][0] == "variable" for n in range(count)):
            names, mark = [solid[2 * n][1] for n in range(count)], solid[at][1]
            skip = tokens.index(("mark", mark)) + 1
            tokens = tokens[skip:]
            break
    commands: list[list[Node]] = [[]]
    position = 0
    previous = "space"
    while position < len(tokens):
        kind, text = tokens[position]
        position += 1
        if (kind, text) == ("mark", "|"):
            if not commands[-1]:
                raise TemplateError("missing value for command")
            commands.append([])
        elif (kind, text) == ("mark", "("):
            depth, end = 1, position
            while depth:
                if end >= len(tokens):
                    raise TemplateError("unclosed left paren")
                depth += {"(": 1, ")": -1}.get(tokens[end][1], 0) if tokens[end][0] == "mark" else 0
                end += 1
            commands[-1].append(_parse_pipe(tokens[position : end - 1]))
            position = end
        elif kind == "field" and previous not in ("space", "mark"):
            commands[-1][-1] = ("chain", commands[-1][-1], text[1:])
        elif kind == "mark":
            raise TemplateError(f'unexpected "{text}" in operand')
        elif kind != "space":
            commands[-1].append(_operand(kind, text))
        previous = "paren" if text in "()" else kind
    if not commands[-1]:
        raise TemplateError("missing value for command")
    return ("pipe", names, mark, commands)


def _operand(kind: str, text: str) -> Node:
    if kind == "field":
        return ("chain", ("dot",), text[1:])
    if kind in ("dot", "variable"):
        return (kind, text)
    if kind == "string":
        try:
            return ("value", re.sub(r"\\(x..|u.{4}|U.{8}|[0-7]{3}|.)", _unescape, text[1:-1]))
        except ValueError:
            raise TemplateError(f"invalid syntax: {text}") from None
    if kind == "raw":
        return ("value", text[1:-1])
    if kind == "char":
        return ("value", ord(re.sub(r"\\(.)", _unescape, text[1:-1])))
    if kind == "number":
        try:
            return ("value", int(text, 0))
        except ValueError:
            try:
                return ("value", float(text))
            except ValueError:
                raise TemplateError(f'bad number syntax: "{text}"') from None
    if text in ("true", "false", "nil"):
        return ("value", {"true": True, "false": False, "nil": None}[text])
    if text not in FUNCTIONS:
        raise TemplateError(f'function "{text}" not defined')
    return ("function", text)


def _unescape(match: re.Match[str]) -> str:
    code = match[1]
    if len(code) > 1:
        return chr(int(code, 8) if code[0].isdigit() else int(code[1:], 16))
    return {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}.get(code, code)
