"""What it all takes, what nobody needs, and what holds for anything."""

from __future__ import annotations

from engine.faces.face import Face

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from engine.commands.check import CheckReport
    from engine.commands.prune import Pruned
    from engine.commands.stack import Stack
    from engine.commands.usage import DiskUsage
    from engine.faces.face import Filters


class Upkeep(Face):
    """One method a verb for the store and the system."""

    def disk_usage(self) -> DiskUsage:
        from engine.commands.usage import disk_usage

        return disk_usage(self._context)

    def prune_images(self, *, all: bool = False, filters: Filters | None = None) -> Pruned:
        """Remove dangling images; with `all` every image that no container uses."""
        from engine.commands.prune import prune_images

        return prune_images(self._context, all=all, filters=filters)

    def prune_containers(self, *, filters: Filters | None = None) -> Pruned:
        """Remove every container that is not running."""
        from engine.commands.prune import prune_containers

        return prune_containers(self._context, filters=filters)

    def prune_system(self, *, all: bool = False, filters: Filters | None = None) -> Pruned:
        """Containers, images, and what no command needs any more: garbage, broken downloads, dead writers' files."""
        from engine.commands.prune import prune_system

        return prune_system(self._context, all=all, filters=filters)

    def check(self, *, repair: bool = False, deep: bool = False) -> CheckReport:
        """Look whether the store keeps its invariants. deep: read and compare every byte; repair: mend what can be."""
        from engine.commands.check import check

        return check(self._context, repair=repair, deep=deep)

    def stack(self, ref: str) -> Stack:
        """The layers of a container or an image, bottom → top."""
        from engine.commands.stacks import stack

        return stack(self._context, ref)

    def inspect(self, ref: str, type: str | None = None, size: bool = False) -> dict[str, Any]:
        """docker's fields of a container, an image or (by its id) a layer. type: "container", "image", "layer"."""
        from engine.commands.inspect import inspect

        return inspect(self._context, ref, type, size=size)

    def info(self) -> dict[str, Any]:
        from engine.commands.info import info

        return info(self._context)

    def version(self) -> dict[str, Any]:
        from engine.commands.info import version

        return version(self._context)
