"""The machine's side of Strata: a daemonless container engine.

It reads and writes image layers, mounts them with overlayfs, and runs processes on them in namespaces and
cgroups. It never imports `app`, textual or rich. `Engine` is the public face; it is imported when it is
named, so that `import engine.kernel.mounts` costs no more than that module.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.engine import Engine

__all__ = ["Engine"]


def __getattr__(name: str) -> object:
    if name == "Engine":
        from engine.engine import Engine

        return Engine
    raise AttributeError(f"module 'engine' has no attribute {name!r}")
