"""`commit -c`: Dockerfile instructions applied to an image's config (docs.docker.com/reference/cli/docker/commit).

Only those that change the config and nothing else: CMD ENTRYPOINT ENV EXPOSE LABEL ONBUILD USER VOLUME WORKDIR.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Sequence

from engine.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

INSTRUCTIONS = ("CMD", "ENTRYPOINT", "ENV", "EXPOSE", "LABEL", "ONBUILD", "USER", "VOLUME", "WORKDIR")
SHELL = ["/bin/sh", "-c"]


def apply_changes(config: dict[str, Any], changes: Sequence[str]) -> dict[str, Any]:
    """A copy of an image's `config` object with the instructions applied, in order. InvalidInput for a bad one."""
    result = {**config}
    lines = [line.strip() for change in changes for line in change.splitlines() if line.strip()]
    commanded = False
    for line in lines:
        word = line.partition(" ")[0].upper()
        _apply(result, line)
        commanded = commanded or word == "CMD"
        if word == "ENTRYPOINT" and not commanded:
            result["Cmd"] = None  # a new entrypoint resets the command that belonged to the old one
    return result


def _apply(config: dict[str, Any], line: str) -> None:
    word, _, rest = line.partition(" ")
    instruction, rest = word.upper(), rest.strip()
    if instruction not in INSTRUCTIONS:
        raise InvalidInput(f"{word} is not a valid change command (these are: {' '.join(INSTRUCTIONS)})")
    if not rest and instruction not in ("CMD", "ENTRYPOINT"):
        raise InvalidInput(f"{instruction} requires at least one argument")
    if instruction in ("CMD", "ENTRYPOINT"):
        key = "Cmd" if instruction == "CMD" else "Entrypoint"
        config[key] = _exec_form(rest) if rest.startswith("[") else [*SHELL, rest] if rest else []
        return
    if instruction == "ONBUILD":
        config["OnBuild"] = [*(config.get("OnBuild") or []), rest]
        return
    variables = dict(item.partition("=")[::2] for item in config.get("Env") or [])
    if instruction in ("ENV", "LABEL"):
        pairs = _pairs(rest, variables)
        if instruction == "ENV":
            config["Env"] = [f"{key}={value}" for key, value in {**variables, **pairs}.items()]
        else:
            config["Labels"] = {**(config.get("Labels") or {}), **pairs}
    elif instruction == "USER":
        config["User"] = _expand(rest, variables)
    elif instruction == "WORKDIR":
        path = posixpath.join(config.get("WorkingDir") or "/", _expand(rest, variables))
        config["WorkingDir"] = posixpath.normpath(path).replace("//", "/")
    else:
        key, default = ("ExposedPorts", "/tcp") if instruction == "EXPOSE" else ("Volumes", "")
        words = _exec_form(rest) if rest.startswith("[") else _words(rest)
        named: dict[str, dict[str, str]] = {_expand(word, variables): {} for word in words}
        if instruction == "EXPOSE":
            named = {_port(name, default): {} for name in named}
        config[key] = {**(config.get(key) or {}), **named}


def _exec_form(text: str) -> list[str]:
    try:
        words = json.loads(text)
    except ValueError:
        words = None
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise InvalidInput(f"not a JSON list of texts: {text}")
    return words


def _port(text: str, default: str) -> str:
    port, slash, protocol = text.partition("/")
    first, dash, last = port.partition("-")
    numbers = (first, last) if dash else (first,)
    if not all(number.isascii() and number.isdecimal() and 0 < int(number) < 65536 for number in numbers):
        raise InvalidInput(f"invalid port: {text}")
    if slash and protocol.lower() not in ("tcp", "udp", "sctp"):
        raise InvalidInput(f"invalid protocol: {text}")
    return f"{port}/{protocol.lower()}" if slash else port + default


def _pairs(text: str, variables: dict[str, str]) -> dict[str, str]:
    """`A=b C="d e"`, or the old form `A the rest`."""
    words = _words(text)
    if "=" not in words[0]:
        key, _, value = text.partition(" ")
        if not value.strip():
            raise InvalidInput(f"must have two arguments: {text}")
        return {key: _expand(value.strip(), variables)}
    pairs = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise InvalidInput(f"can't find = in {word!r}. Must be of the form: name=value")
        pairs[_expand(key, variables)] = _expand(value, variables)
    return pairs


def _words(text: str) -> list[str]:
    """Split at blanks outside quotes; quotes and backslashes stay, `_expand` reads them."""
    words, word, quote, escaped = [], "", "", False
    for char in text:
        if char.isspace() and not quote and not escaped:
            if word:
                words.append(word)
            word = ""
            continue
        word += char
        if escaped:
            escaped = False
        elif char == "\\" and quote != "'":
            escaped = True
        elif char == quote:
            quote = ""
        elif char in "\"'" and not quote:
            quote = char
    if quote:
        raise InvalidInput(f"unexpected end of statement while looking for matching {quote}-quote: {text}")
    return [*words, word] if word else words


def _expand(text: str, variables: dict[str, str]) -> str:
    """Quotes removed, backslashes taken, `$NAME` and `${NAME}` replaced (nothing when unset), as in a Dockerfile."""
    out, quote, at = "", "", 0
    while at < len(text):
        char = text[at]
        at += 1
        if char == "\\" and quote != "'" and at < len(text):
            keep = quote == '"' and text[at] not in '"$\\'
            out += ("\\" if keep else "") + text[at]
            at += 1
        elif char == quote:
            quote = ""
        elif char in "\"'" and not quote:
            quote = char
        elif char == "$" and quote != "'":
            name, at = _name(text, at)
            out += variables.get(name, "") if name else "$"
        else:
            out += char
    return out


def _name(text: str, at: int) -> tuple[str, int]:
    """The variable's name that starts at `at`, and where it ends; "" when there is none."""
    if text[at : at + 1] == "{":
        end = text.find("}", at)
        name = text[at + 1 : end] if end > 0 else ""
        if not name.isidentifier():
            raise InvalidInput(f"unsupported variable in {text!r}: only $NAME and ${{NAME}} are known here")
        return name, end + 1
    end = at
    while end < len(text) and (text[end].isalnum() or text[end] == "_"):
        end += 1
    return text[at:end], end
