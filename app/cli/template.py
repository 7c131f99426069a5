"""Go's text/template, as far as `--format` needs it (pkg.go.dev/text/template): parse once, execute for each row.

Fields (`.State.Pid`, `$.Name`), variables, pipes, parentheses, `if`/`else if`/`else`, `range`/`else`, `with`, `break`,
`continue`, comments, trim markers, and the functions of `template_functions`. Data: dicts, lists, texts, numbers, None,
and `Row`s, whose fields may be made when they are named and which may have methods (`.Label "k"`).
"""

from __future__ import annotations

from collections.abc import Mapping

from app.cli.template_functions import FUNCTIONS, NO_VALUE, MapOfAny, Row, TemplateError, text_of, truth
from app.cli.template_parser import parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from app.cli.template_parser import Node


class _Break(Exception):
    pass


class _Continue(Exception):
    pass


class Template:
    """A parsed template. Raises TemplateError, with Go's words, when the text is none."""

    def __init__(self, source: str) -> None:
        self._nodes = parse(source)

    def execute(self, data: Any, functions: Mapping[str, Any] | None = None) -> str:
        """The text it makes of `data`. functions: replacements for some of the built-in ones."""
        out: list[str] = []
        scope = _Scope({**FUNCTIONS, **functions} if functions else FUNCTIONS, data)
        _run(self._nodes, data, scope, out)
        return "".join(out)


class _Scope:
    """Variables, innermost block last; `$` is the data the template was given."""

    def __init__(self, functions: Mapping[str, Any], root: Any) -> None:
        self.functions = functions
        self.blocks: list[dict[str, Any]] = [{"$": root}]

    def get(self, name: str) -> Any:
        for block in reversed(self.blocks):
            if name in block:
                return block[name]
        raise TemplateError(f'undefined variable "{name}"')

    def assign(self, name: str, value: Any) -> None:
        for block in reversed(self.blocks):
            if name in block:
                block[name] = value
                return
        raise TemplateError(f'undefined variable "{name}"')


def _run(nodes: list[Node], dot: Any, scope: _Scope, out: list[str]) -> None:
    for node in nodes:
        kind = node[0]
        if kind == "text":
            out.append(node[1])
        elif kind == "out":
            value = _pipe(node[1], dot, scope)
            if not node[1][1]:
                out.append(text_of(value))
        elif kind == "break":
            raise _Break
        elif kind == "continue":
            raise _Continue
        else:
            scope.blocks.append({})
            try:
                _block(node, dot, scope, out)
            finally:
                scope.blocks.pop()


def _block(node: Node, dot: Any, scope: _Scope, out: list[str]) -> None:
    kind, pipe, body, other = node
    if kind != "range":
        value = _pipe(pipe, dot, scope)
        if truth(value):
            _run(body, value if kind == "with" else dot, scope, out)
        else:
            _run(other, dot, scope, out)
        return
    value = _pipe(("pipe", [], "", pipe[3]), dot, scope)
    if isinstance(value, Mapping):
        pairs: list[tuple[Any, Any]] = sorted(value.items())
    elif isinstance(value, list | tuple):
        pairs = list(enumerate(value))
    elif isinstance(value, int) and not isinstance(value, bool):
        pairs = [(at, at) for at in range(value)]
    elif value is None or value is NO_VALUE:
        pairs = []
    else:
        raise TemplateError(f"range can't iterate over {text_of(value)}")
    for key, item in pairs:
        scope.blocks[-1].update(zip(pipe[1], (key, item) if len(pipe[1]) == 2 else (item,), strict=False))
        try:
            _run(body, item, scope, out)
        except _Continue:
            continue
        except _Break:
            break
    if not pairs:
        _run(other, dot, scope, out)


def _pipe(pipe: Node, dot: Any, scope: _Scope) -> Any:
    _, names, mark, commands = pipe
    value: tuple[Any, ...] = ()
    for command in commands:
        value = (_command(command, value, dot, scope),)
    if names and mark == "=":
        scope.assign(names[0], value[0])
    elif names:
        scope.blocks[-1][names[0]] = value[0]
    return value[0]


def _command(operands: list[Node], piped: tuple[Any, ...], dot: Any, scope: _Scope) -> Any:
    first, arguments = operands[0], operands[1:]
    if first[0] == "function":
        name = first[1]
        if name in ("and", "or"):  # these stop at the first argument that decides
            value: Any = None
            for argument in [*arguments, *(("value", item) for item in piped)]:
                value = _evaluate(argument, dot, scope)
                if truth(value) is (name == "or"):
                    break
            return value
        values = [_evaluate(argument, dot, scope) for argument in arguments]
        try:
            return scope.functions[name](*values, *piped)
        except TemplateError as error:
            raise TemplateError(f"error calling {name}: {error}") from None
        except (TypeError, ValueError, AttributeError, LookupError, ArithmeticError):
            raise TemplateError(f"error calling {name}: wrong arguments") from None
    if arguments or piped:
        if first[0] == "chain":
            values = [_evaluate(argument, dot, scope) for argument in arguments]
            return _field(first, [*values, *piped], dot, scope)
        raise TemplateError("can't give argument to non-function")
    return _evaluate(first, dot, scope)


def _evaluate(node: Node, dot: Any, scope: _Scope) -> Any:
    kind = node[0]
    if kind == "value":
        return node[1]
    if kind == "dot":
        return dot
    if kind == "variable":
        return scope.get(node[1])
    if kind == "chain":
        return _field(node, [], dot, scope)
    if kind == "pipe":
        return _pipe(node, dot, scope)
    return _command([node], (), dot, scope)


def _field(node: Node, arguments: list[Any], dot: Any, scope: _Scope) -> Any:
    """The value of a ("chain", of what, name) node."""
    _, of, name = node
    value = _evaluate(of, dot, scope)
    if isinstance(value, Row) and name in value.methods:
        return value.methods[name](*arguments)
    where = f'executing "" at <{_spelled(node)}>:'
    if not isinstance(value, Mapping):
        raise TemplateError(f"{where} can't evaluate field {name} in type {type(value).__name__}")
    if name not in value:
        if isinstance(value, MapOfAny):
            return NO_VALUE
        if isinstance(value, Row):
            raise TemplateError(f"{where} can't evaluate field {name} in type {value.kind}")
        raise TemplateError(f'{where} map has no entry for key "{name}"')
    if arguments:
        raise TemplateError(f"{where} {name} has arguments but cannot be invoked as function")
    found = value[name]
    return found() if callable(found) else found


def _spelled(node: Node) -> str:
    """A chain of fields as it was written."""
    if node[0] == "chain":
        return f"{_spelled(node[1])}.{node[2]}"
    return str(node[1]) if node[0] == "variable" else "(…)" if node[0] == "pipe" else ""
