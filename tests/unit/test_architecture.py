"""The floors of the house hold: a module imports from its own package and from lower floors, never up or sideways.

Imports are read with `ast` from every file, those inside functions too: a lazy import is still a dependency.
"""

from __future__ import annotations

import ast
import importlib.metadata
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

HOUSE = Path(__file__).resolve().parents[2]

# Longest prefix wins. Packages of one floor are neighbours and must not know each other.
FLOORS = {
    "app": 9,
    "engine.engine": 8,
    "engine": 8,
    "engine.faces": 7,
    "engine.commands": 6,
    "engine.network": 5,
    "engine.build": 5,
    "engine.archive": 5,
    "engine.copying": 5,
    "engine.rootless": 5,
    "engine.runtime": 4,
    "engine.store": 4,
    "engine.layers": 3,
    "engine.cgroups": 3,
    "engine.registry": 3,
    "engine.seccomp": 2,
    "engine.oci": 2,
    "engine.kernel": 2,
    "engine.trace": 1,
    "engine.progress": 1,
    "engine.errors": 1,
    "engine.settings": 1,
    "engine.jsons": 0,
    "engine.values": 0,
}

# What the monitor may hold in memory as long as its container lives; more of the standard library is too big.
LIGHT = set(
    "__future__ __main__ _abc _codecs _collections_abc _ctypes _imp _io _json _signal _socket _stat _struct _thread "
    "_warnings _weakref abc builtins codecs ctypes ctypes._endian errno fcntl gc genericpath io marshal os os.path "
    "posix posixpath select site stat struct sys termios time types warnings zipimport".split()
)


def modules() -> Iterator[tuple[str, Path]]:
    for package in ("app", "engine"):
        for path in sorted((HOUSE / package).rglob("*.py")):
            name = ".".join(path.relative_to(HOUSE).with_suffix("").parts)
            yield name.removesuffix(".__init__"), path


def imports(name: str, path: Path, lazy: bool = True) -> Iterator[tuple[int, str]]:
    """(line, absolute dotted name) of what a file imports; `from a import b` gives `a.b` where that is a module.

    lazy: also the imports inside functions and conditions.
    """
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    tree = ast.parse(path.read_bytes(), str(path))
    for node in ast.walk(tree) if lazy else tree.body:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parents, base]).rstrip(".")
            for alias in node.names:
                as_module = HOUSE.joinpath(*base.split("."), alias.name)
                is_module = as_module.with_suffix(".py").exists() or (as_module / "__init__.py").exists()
                yield node.lineno, f"{base}.{alias.name}" if is_module else base


def room(name: str) -> str:
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        if ".".join(parts[:end]) in FLOORS:
            return ".".join(parts[:end])
    raise AssertionError(f"{name}: a room without a floor; add it to FLOORS")


def test_imports_only_go_down() -> None:
    wrong = []
    for name, path in modules():
        own = room(name)
        for line, target in imports(name, path):
            if target.split(".")[0] not in ("app", "engine") or (name, target) == ("engine", "engine.engine"):
                continue  # not ours, or the lazy public face
            other = room(target)
            if other != own and FLOORS[other] >= FLOORS[own]:
                where = f"{path.relative_to(HOUSE)}:{line}"
                wrong.append(f"{where}: {own} (floor {FLOORS[own]}) imports {target} (floor {FLOORS[other]})")
    assert not wrong, "\n".join(wrong)


def importers(of: set[str]) -> list[tuple[str, str]]:
    """(module, where it imports one of these top-level packages)."""
    return [
        (name, f"{path.relative_to(HOUSE)}:{line}: {target}")
        for name, path in modules()
        for line, target in imports(name, path)
        if target.split(".")[0] in of
    ]


def test_the_engine_never_imports_the_peoples_side() -> None:
    wrong = [where for name, where in importers({"app", "textual", "rich"}) if room(name) != "app"]
    assert not wrong, "\n".join(wrong)


def test_only_the_explorer_knows_textual() -> None:
    wrong = [where for name, where in importers({"textual", "rich"}) if not name.startswith("app.tui")]
    assert not wrong, "\n".join(wrong)


def test_each_required_dependency_is_used() -> None:
    for dependency in ("textual", "pyroute2", "humanize", "watchfiles", "isal", "zstandard"):
        assert importers({dependency}), f"{dependency} is required, but nothing imports it"


def test_no_circle_of_imports_at_load_time() -> None:
    paths = dict(modules())
    graph = {
        name: {target for _, target in imports(name, path, lazy=False) if target in paths and target != name}
        for name, path in paths.items()
    }
    for start in graph:
        seen: set[str] = set()
        queue = list(graph[start])
        while queue:
            here = queue.pop()
            assert here != start, f"{start} imports itself by way of some of {sorted(seen)}"
            if here not in seen:
                seen.add(here)
                queue.extend(graph[here])


def test_the_launcher_and_monitor_stay_light() -> None:
    code = f"import sys; sys.path.insert(0, {str(HOUSE)!r}); import engine.runtime.launcher; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    loaded = {name for name in done.stdout.split() if not name.startswith(("engine", "_frozen_", "encodings"))}
    heavy = loaded - LIGHT
    assert not heavy, f"the monitor would hold these for as long as its container lives: {sorted(heavy)}"


def test_the_runtime_dependencies_bring_no_pth_file() -> None:
    """A `.pth` file is run at every start of every Python in the environment."""
    queue = ["textual", "pyroute2", "humanize", "watchfiles", "isal", "zstandard"]
    seen: set[str] = set()
    while queue:
        name = queue.pop()
        if name in seen:
            continue
        seen.add(name)
        distribution = importlib.metadata.distribution(name)
        files = [str(file) for file in distribution.files or () if str(file).endswith(".pth")]
        assert not files, f"{name} installs {files}"
        for requirement in distribution.requires or ():
            match = re.match(r"[A-Za-z0-9_.-]+", requirement)
            if match and "extra ==" not in requirement and applies(requirement):
                queue.append(match.group())


def applies(requirement: str) -> bool:
    """Whether a requirement's marker speaks of this machine (only the markers in use are understood)."""
    marker = requirement.partition(";")[2]
    return not any(word in marker for word in ("win32", "Windows", "darwin", "python_version <", "full_version <"))


def test_files_stay_small() -> None:
    long = [
        f"{path.relative_to(HOUSE)}: {lines} lines"
        for _, path in modules()
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > 400
    ]
    assert not long, "\n".join(long)
