"""Looking at containers: what there is, what they wrote, changed, and use."""

from __future__ import annotations

from engine.faces.face import Face

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from engine.commands.logs import LogLine
    from engine.commands.processes import Process
    from engine.commands.stats import Stats
    from engine.commands.summaries import ContainerSummary
    from engine.commands.top import Top
    from engine.faces.face import Filters
    from engine.layers.diff import Change
    from engine.network.links import Link
    from engine.store.containers import Container


class Looks(Face):
    """One method a verb that looks at containers."""

    def containers(
        self, all: bool = False, filters: Filters | None = None, size: bool = False, last: int = 0
    ) -> list[ContainerSummary]:
        """Newest first; only running ones unless `all`, `last` (so many) or a filter on the state asks for more."""
        from engine.commands.ps import containers

        return containers(self._context, all=all, filters=filters, size=size, last=last)

    def container(self, ref: str) -> Container:
        from engine.commands.lookup import container

        return container(self._context, ref)

    def logs(
        self,
        ref: str,
        follow: bool = False,
        tail: int | None = None,
        since: str | None = None,
        until: str | None = None,
    ) -> Iterator[LogLine]:
        """What it wrote; follow: wait for more until it ends. since, until: RFC 3339."""
        from engine.commands.logs import logs

        return logs(self._context, ref, follow=follow, tail=tail, since=since, until=until)

    def ports(self, ref: str) -> list[tuple[str, str]]:
        """Its published ports: ("80/tcp", "0.0.0.0:8080"), in order."""
        from engine.commands.port import ports

        return ports(self._context, ref)

    def published(self, ref: str, port: str) -> list[str]:
        """Where one of its ports ("80", "80/udp") is published. NotFound when it is not."""
        from engine.commands.port import published

        return published(self._context, ref, port)

    def events(
        self,
        since: str | None = None,
        until: str | None = None,
        *,
        filters: Filters | None = None,
        follow: bool = True,
    ) -> Iterator[dict[str, Any]]:
        """What happened to containers and images: docker's objects. since, until: RFC 3339; without since only what
        comes from now on; follow: wait for more."""
        from engine.commands.events import events

        return events(self._context, since=since, until=until, filters=filters, follow=follow)

    def diff(self, ref: str) -> list[Change]:
        """What a container added (A), changed (C) and deleted (D), sorted by path."""
        from engine.commands.diff import diff

        return diff(self._context, ref)

    def processes(self, ref: str) -> list[Process]:
        """Its processes now, by pid inside; empty when it does not run."""
        from engine.commands.processes import processes

        return processes(self._context, ref)

    def stats(self, ref: str) -> Stats:
        """What it uses now. Raises NotRunning."""
        from engine.commands.stats import stats

        return stats(self._context, ref)

    def top(self, ref: str, options: Sequence[str] = ()) -> Top:
        """Its processes as `ps -ef` shows them, by pid outside; with options as the host's ps does. NotRunning."""
        from engine.commands.top import top

        return top(self._context, ref, options)

    def namespaces(self, ref: str) -> dict[str, int]:
        """Namespace name ("pid", "mnt" …) → inode number, of its pid 1. Raises NotRunning."""
        from engine.commands.processes import namespaces

        return namespaces(self._context, ref)

    def links(self, ref: str) -> list[Link]:
        """Network links of its net namespace with their addresses. Raises NotRunning. Slow to import: pyroute2."""
        from engine.commands.processes import links

        return links(self._context, ref)

    def trace(self, ref: str) -> list[dict[str, Any]]:
        """The real kernel-facing steps of its last start, oldest first (`engine.trace.Step.as_dict`)."""
        from engine.commands.trace import trace

        return trace(self._context, ref)
