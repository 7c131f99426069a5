"""The flags of run and create that say what its processes may do: capabilities, security options, --privileged."""

from __future__ import annotations

from app.cli.flags import BadChoice

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from app.cli.flags import Args, Parser

_BUILT_IN = ("builtin", "unconfined")


def add_flags(parser: Parser) -> None:
    """The flags."""
    parser.add_argument("--cap-add", action="append", metavar="list", help="Add Linux capabilities")
    parser.add_argument("--cap-drop", action="append", metavar="list", help="Drop Linux capabilities")
    parser.add_argument("--privileged", action="store_true", help="Give extended privileges to this container")
    parser.add_argument("--security-opt", action="append", metavar="list", help="Security Options")


def chosen(args: Args) -> dict[str, Any]:
    """The fields of `engine.settings.Settings` that they ask for. BadChoice for what cannot be."""
    found: dict[str, Any] = {}
    if args.cap_add or args.cap_drop:
        found["cap_add"], found["cap_drop"] = _capabilities(args.cap_add, args.cap_drop)
    if args.privileged:
        found["privileged"] = True
    if args.security_opt:
        found["security_opt"] = tuple(_security(option) for option in args.security_opt)
    return found


def _capabilities(add: list[str], drop: list[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Both lists as docker's command makes them: sorted, without doubles; ALL stands alone, what is added is not
    dropped."""
    from engine.runtime.confinement import ALL, normal_capability

    added, dropped = ({normal_capability(name) for name in names} for names in (add, drop))
    if ALL in added:
        added = {ALL}
    if ALL in dropped:
        dropped = {ALL}
    return tuple(sorted(added)), tuple(sorted(dropped - added))


def _security(option: str) -> str:
    """A security option; a seccomp profile's file is read here and becomes its text, as with docker's command."""
    key, equals, value = option.partition("=")
    if not equals and key != "no-new-privileges" and ":" not in option:
        raise BadChoice(f'invalid --security-opt: "{option}"')
    if key != "seccomp" or value in _BUILT_IN:
        return option
    import json

    try:
        with open(value, encoding="utf-8") as file:
            text = file.read()
    except (OSError, ValueError) as error:
        why = (error.strerror or "").lower() if isinstance(error, OSError) else str(error)
        raise BadChoice(f"opening seccomp profile ({value}) failed: open {value}: {why}") from None
    try:
        return "seccomp=" + json.dumps(json.loads(text), separators=(",", ":"))
    except (ValueError, RecursionError) as error:
        raise BadChoice(f"compacting json for seccomp profile ({value}) failed: {error}") from None
