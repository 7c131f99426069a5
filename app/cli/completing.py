"""What could come next on a command line: verbs, flags, their values, names of containers and images.

`suggestions` answers the scripts that `strata completion` prints. It reads no more of the store than names (and states,
where only some containers will do), makes nothing, and needs neither root nor the user namespace of a store.
"""

from __future__ import annotations

import os

from app.cli import catalog
from app.cli.flags import Flag, Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from engine.store.root import Store

    Suggestion = tuple[str, str]
    """A word, and what it is for ("" = nothing to say)."""

FILES = ":files"
"""A suggestion that stands for the names of files, which the shell knows best."""

RUNNING, STOPPED, PAUSED = ("running", "paused", "restarting"), ("created", "exited", "restarting"), ("paused",)

# What a verb's words are: of the first ones each its own, the last again and again.
WORDS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("commit", "diff", "export", "logs", "port", "rename"), ("containers", "")),
    **dict.fromkeys(("inspect",), ("containers images",)),
    **dict.fromkeys(("restart", "rm", "update", "wait"), ("containers",)),
    **dict.fromkeys(("kill", "stop", "stats"), ("running",)),
    **dict.fromkeys(("attach", "exec", "top"), ("running", "files")),
    **dict.fromkeys(("create", "run"), ("images", "files")),
    **dict.fromkeys(("history",), ("images", "")),
    **dict.fromkeys(("rmi", "save"), ("images",)),
    **dict.fromkeys(("push", "tag"), ("images", "images")),
    **dict.fromkeys(("images", "pull"), ("images", "")),
    "completion": ("shells", ""),
    "cp": ("paths", "paths", ""),
    "import": ("files", ""),
    "pause": ("unpaused",),
    "start": ("stopped",),
    "unpause": ("paused",),
}

# Values of flags: by the long name, what can stand there.
VALUES: dict[str, str] = {
    "attach": "stdin stdout stderr",
    "cgroupns": "host private",
    "format": "table json",
    "ipc": "host none private shareable",
    "network": "none host",
    "pid": "host",
    "pull": "always missing never",
    "restart": "no always unless-stopped on-failure",
    "security-opt": "no-new-privileges seccomp=unconfined apparmor=unconfined",
    "signal": "HUP INT QUIT KILL USR1 USR2 TERM CONT STOP",
    "stop-signal": "HUP INT QUIT KILL USR1 USR2 TERM",
    "type": "container image layer",
    "userns": "auto host",
    "uts": "host",
}
FILE_FLAGS = ("cidfile", "env-file", "iidfile", "input", "output", "root")
SHELLS = ("bash", "fish", "zsh")


def suggestions(words: Sequence[str]) -> list[Suggestion]:
    """words: those after `strata`, the last being the one that is typed, perhaps empty. Sorted; FILES for files."""
    *before, typed = words or ("",)
    top = Parser("strata")
    top.add_argument("--root", help="Where images and containers are kept")
    top.add_argument("-v", "--version", action="store_true", help="Print version information and quit")
    root, at = _root(before)
    if at > len(before):
        return [(FILES, "")]
    rest = before[at:]
    if not rest:
        return _matching(typed, _flags(top)) if typed.startswith("-") else _matching(typed, _verbs())
    command = rest[0]
    rest = rest[1:]
    if command in catalog.GROUPS:
        group = command
        if not rest:
            return _matching(typed, [(word, catalog.line_of(group, word)) for word in catalog.GROUPS[group][1]])
        word = catalog.SYNONYMS[group].get(rest[0], rest[0])
        command = catalog.GROUPS[group][1].get(word, "")
        rest = rest[1:]
        if command == "inspect":
            return _of_kind("images" if group == "image" else "containers", typed, root)
    elif command == "help":
        return _matching(typed, _verbs()) if not rest else []
    if command not in catalog.COMMANDS and command not in catalog.INSIDE:
        return []
    return _of_verb(command, rest, typed, root)


def _root(before: Sequence[str]) -> tuple[str, int]:
    """(the store's root, at which word the verb stands; one past the end while --root waits for its value)."""
    from engine.commands.context import default_root

    root, at = "", 0
    while at < len(before) and before[at].startswith("-"):
        if before[at] == "--root":
            root = before[at + 1] if at + 1 < len(before) else ""
            at += 2
        else:
            root = before[at].removeprefix("--root=") if before[at].startswith("--root=") else root
            at += 1
    return root or default_root(), at


def _verbs() -> list[Suggestion]:
    groups = [(group, line) for group, (line, _) in catalog.GROUPS.items()]
    return [*((word, line) for word, (_, line) in catalog.COMMANDS.items()), *groups]


def _of_verb(command: str, before: Sequence[str], typed: str, root: str) -> list[Suggestion]:
    parser = Parser(f"strata {command}")
    __import__(f"app.cli.{catalog.described(command)[0]}", fromlist=["add_arguments"]).add_arguments(parser)
    place, waiting, literal = 0, None, False
    for word in before:
        if waiting is not None:
            waiting = None
        elif literal or not word.startswith("-") or word == "-":
            place += 1
            literal = literal or not parser.interspersed
        elif word == "--":
            literal = True
        else:
            waiting = _waits(parser, word)
    if waiting is not None:
        return _values(waiting, typed, root)
    if typed.startswith("-") and not literal:
        name, equals, value = typed.partition("=")
        flag = next((flag for flag in parser.flags if equals and f"--{flag.long}" == name), None)
        if flag is not None:
            return [(f"{name}={word}", line) for word, line in _values(flag, value, root) if word != FILES]
        return _matching(typed, _flags(parser))
    kinds = WORDS.get(command, ())
    return _of_kind(kinds[min(place, len(kinds) - 1)], typed, root) if kinds else [(FILES, "")] * (parser.most != 0)


def _waits(parser: Parser, word: str) -> Flag | None:
    """The flag that takes the next word for its value, if this one ends with such a flag."""
    if word.startswith("--"):
        flag = next((flag for flag in parser.flags if f"--{flag.long}" == word), None)
        return flag if flag is not None and flag.action != "store_true" else None
    for at, letter in enumerate(word[1:], 2):
        flag = next((flag for flag in parser.flags if flag.short == letter), None)
        if flag is not None and flag.action != "store_true":
            return flag if at == len(word) else None
    return None


def _flags(parser: Parser) -> list[Suggestion]:
    return [(f"--{flag.long}", flag.help) for flag in parser.flags if flag.help and flag.long] + [("--help", "")]


def _values(flag: Flag, typed: str, root: str) -> list[Suggestion]:
    found: list[Suggestion] = [(word, "") for word in VALUES.get(flag.long, "").split()]
    if flag.long in ("network", "pid", "ipc"):
        found += [(f"container:{name}", "") for name, _ in _containers(root, RUNNING)]
    if flag.long in FILE_FLAGS:
        return [(FILES, "")]
    return _matching(typed, found)


def _of_kind(kinds: str, typed: str, root: str) -> list[Suggestion]:
    """What the words of a verb are: kinds of things, with blanks between."""
    look: dict[str, Callable[[], Iterable[Suggestion]]] = {
        "containers": lambda: _named(_containers(root), typed),
        "running": lambda: _named(_containers(root, RUNNING), typed),
        "unpaused": lambda: _named(_containers(root, ("running",)), typed),
        "stopped": lambda: _named(_containers(root, STOPPED), typed),
        "paused": lambda: _named(_containers(root, PAUSED), typed),
        "images": lambda: _images(root, typed),
        "paths": lambda: [*((f"{name}:", "") for name, _ in _containers(root)), (FILES, "")],
        "shells": lambda: [(shell, "") for shell in SHELLS],
        "files": lambda: [(FILES, "")],
    }
    return _matching(typed, [found for kind in kinds.split() for found in look[kind]()])


def _containers(root: str, states: Sequence[str] = ()) -> list[tuple[str, str]]:
    """(name, id) of the containers, of those in one of these states only, if any are given."""
    store = _store(root)
    if store is None:
        return []
    from engine.errors import StrataError

    found = []
    for container_id, name in store.containers.names():
        try:
            if not states or store.containers.state(container_id).status in states:
                found.append((name, container_id))
        except StrataError:
            continue  # removed since, or broken
    return found


def _named(containers: Iterable[tuple[str, str]], typed: str) -> Iterable[Suggestion]:
    """Names; ids only for who has begun to type one."""
    for name, container_id in containers:
        if typed and container_id.startswith(typed) and not name.startswith(typed):
            yield (container_id if len(typed) > 12 else container_id[:12]), name
        yield name, container_id[:12]


def _images(root: str, typed: str) -> Iterable[Suggestion]:
    """Tags as people write them; ids for who has begun to type one."""
    store = _store(root)
    if store is None:
        return
    from engine.errors import StrataError
    from engine.oci.references import familiar

    try:
        names, images = store.images.read()
    except StrataError:
        return
    for name, image_id in names.items():
        if "@" not in name:
            yield familiar(name), image_id.removeprefix("sha256:")[:12]
    for image_id in images:
        digits = image_id.removeprefix("sha256:")
        if typed and digits.startswith(typed):
            yield (digits if len(typed) > 12 else digits[:12]), ""


def _store(root: str) -> Store | None:
    """The store, if there is one: looking for names must not make it."""
    if not os.path.isdir(os.path.join(root, "containers")):
        return None
    from engine.store.root import Store

    try:
        return Store(os.path.realpath(root))
    except OSError:
        return None


def _matching(typed: str, found: Iterable[Suggestion]) -> list[Suggestion]:
    return sorted({one for one in found if one[0] == FILES or one[0].startswith(typed)})
