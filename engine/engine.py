"""The public face of the engine: `Engine`, one method a verb.

Every method imports its command when it is called, so that naming the Engine costs nothing; `ref` is a name,
an id or a unique prefix of an id, as people type it. Errors are those of `engine.errors`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from engine.commands.context import Context

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, BinaryIO

    from engine.archive.load import Loaded
    from engine.commands.check import CheckReport
    from engine.commands.history import HistoryRow
    from engine.commands.logs import LogLine
    from engine.commands.options import CreateOptions, ExecOptions
    from engine.commands.processes import Process, Stats
    from engine.commands.prune import Pruned
    from engine.commands.pull import Pulled
    from engine.commands.push import Pushed
    from engine.commands.stack import Stack
    from engine.commands.summaries import ContainerSummary, ImageSummary
    from engine.commands.usage import DiskUsage
    from engine.layers.diff import Change
    from engine.network.links import Link
    from engine.progress import Report
    from engine.runtime.client import Launcher, Session
    from engine.store.containers import Container
    from engine.store.images import ImageRecord
    from engine.store.root import Store

Filters = Mapping[str, Sequence[str]]


class Engine:
    """A daemonless container engine over one root directory. A context manager: leaving it ends the launcher."""

    def __init__(self, root: str | None = None) -> None:
        """root: None = STRATA_ROOT, or /var/lib/strata, or the user's own data directory when not root."""
        self._context = Context(root)

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """End the launcher. Containers and their monitors go on."""
        self._context.close()

    @property
    def root(self) -> str:
        return self._context.root

    @property
    def store(self) -> Store:
        return self._context.store

    @property
    def launcher(self) -> Launcher:
        """The warm launcher, started when it is first named."""
        return self._context.launcher

    # Containers: their life.

    def create(
        self, image: str, options: CreateOptions | None = None, *, warn: Callable[[str], None] | None = None
    ) -> str:
        """A read-write layer on the image's top layer, and a configuration; nothing is started. Returns the id.

        warn: told of choices that this machine cannot hold.
        """
        from engine.commands.create import create

        return create(self._context, image, options, warn=warn)

    def start(
        self, ref: str, attach: bool = False, stdin: bool = False, size: tuple[int, int] = (0, 0)
    ) -> Session | None:
        """Start a created or exited container; already running is fine. attach: a Session on its streams;
        stdin: that session also feeds its standard input; size: (rows, columns) of a terminal."""
        from engine.commands.start import start

        return start(self._context, ref, attach=attach, stdin=stdin, size=size)

    def run(
        self,
        image: str,
        options: CreateOptions | None = None,
        attach: bool = False,
        size: tuple[int, int] = (0, 0),
    ) -> tuple[str, Session | None]:
        """Create, then start: (id, a Session when attached). One that cannot start stays, as `created`, unless it
        was to remove itself."""
        from engine.commands.create import create

        _ = self._context.launcher  # gets ready while the container is made
        container = create(self._context, image, options)
        stdin = bool(options and options.open_stdin)
        return container, self.start(container, attach=attach, stdin=stdin, size=size)

    def stop(self, ref: str, timeout: int | None = None, signal: str | None = None) -> None:
        """Stop signal, grace (seconds; None = the container's or 10; negative = for ever), then SIGKILL."""
        from engine.commands.stop import stop

        stop(self._context, ref, timeout, signal)

    def kill(self, ref: str, signal: str = "KILL") -> None:
        """Send a signal; SIGKILL waits for the end, any other returns at once."""
        from engine.commands.kill import kill

        kill(self._context, ref, signal)

    def pause(self, ref: str) -> None:
        """Freeze its cgroup: no signal, the processes cannot notice."""
        from engine.commands.pause import pause

        pause(self._context, ref)

    def unpause(self, ref: str) -> None:
        from engine.commands.pause import unpause

        unpause(self._context, ref)

    def remove(self, ref: str, force: bool = False, volumes: bool = False) -> None:
        """Remove a stopped container and its read-write layer; force: kill it first."""
        from engine.commands.remove import remove

        remove(self._context, ref, force=force, volumes=volumes)

    def wait(self, ref: str) -> int:
        """Block until it has ended: its exit status."""
        from engine.commands.wait import wait

        return wait(self._context, ref)

    def exec(self, ref: str, options: ExecOptions, size: tuple[int, int] = (0, 0)) -> Session:
        """One more process in a running container's namespaces and cgroup. size: (rows, columns) of a terminal."""
        from engine.commands.exec import execute

        return execute(self._context, ref, options, size)

    # Containers: looking at them.

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
        from engine.commands.processes import stats

        return stats(self._context, ref)

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

    # Images and layers.

    def images(self, all: bool = False, filters: Filters | None = None, name: str = "") -> list[ImageSummary]:
        """Newest first. all: also the intermediate images and every read-only layer that is no listed image's top."""
        from engine.commands.images import images

        return images(self._context, all=all, filters=filters, name=name)

    def image(self, ref: str) -> ImageRecord:
        from engine.commands.lookup import image

        return image(self._context, ref)

    def history(self, ref: str) -> list[HistoryRow]:
        """The steps that made an image, newest first."""
        from engine.commands.history import history

        return history(self._context, ref)

    def commit(
        self,
        ref: str,
        name: str | None = None,
        message: str = "",
        author: str = "",
        changes: Sequence[str] = (),
        pause: bool = True,
    ) -> str:
        """A new image: the container's, with its read-write layer, turned read-only, on top. Returns the image id."""
        from engine.commands.commit import commit

        return commit(self._context, ref, name, message=message, author=author, changes=changes, pause=pause)

    def tag(self, source: str, target: str) -> None:
        from engine.commands.tag import tag

        tag(self._context, source, target)

    def remove_image(self, ref: str, force: bool = False, prune: bool = True) -> list[str]:
        """Untag or delete. Returns what happened, in order: "Untagged: demo:latest", "Deleted: sha256:…"."""
        from engine.commands.rmi import remove_image

        return remove_image(self._context, ref, force=force, prune=prune)

    def load(self, source: BinaryIO | str, *, platform: str = "", report: Report | None = None) -> list[Loaded]:
        """Images out of a docker-archive or an OCI layout, compressed or not: an open file or pipe, or a directory.

        platform: os/architecture[/variant], "" = this machine's.
        """
        from engine.archive.load import load

        return load(self._context.store, source, platform=platform, report=report)

    def save(self, refs: Sequence[str], out: BinaryIO, *, platform: str = "") -> None:
        """Write images, with all layers and metadata, as one archive; by name with the name, by id without.

        platform: what each must be of, "" = whatever it is.
        """
        from engine.commands.save import save

        save(self._context, refs, out, platform=platform)

    def export(self, ref: str, out: BinaryIO, *, warn: Callable[[str], None] | None = None) -> None:
        """A container's merged view as one flat tar, running or not. warn: told of files that change meanwhile."""
        from engine.commands.export import export

        export(self._context, ref, out, warn=warn)

    def import_image(
        self,
        source: BinaryIO | str,
        name: str = "",
        *,
        message: str = "",
        changes: Sequence[str] = (),
        platform: str = "",
        report: Report | None = None,
    ) -> str:
        """An image of one layer out of a flat tar: a stream, a path or a URL. Returns its id."""
        from engine.commands.import_image import import_image

        return import_image(
            self._context, source, name, message=message, changes=changes, platform=platform, report=report
        )

    # To and from elsewhere.

    def pull(
        self, ref: str, *, platform: str = "", all_tags: bool = False, report: Report | None = None
    ) -> list[Pulled]:
        """Images from a registry, or from `docker-daemon:`, `podman:`, `oci:` and `docker-archive:` places."""
        from engine.commands.pull import pull

        return pull(self._context, ref, platform=platform, all_tags=all_tags, report=report)

    def push(
        self,
        ref: str,
        target: str = "",
        *,
        all_tags: bool = False,
        compression: str = "",
        chunk: int = 0,
        report: Report | None = None,
    ) -> list[Pushed]:
        """An image to the registry its name says, or to `target` (another name, or a place as in `pull`).

        compression: of layers that are plain tars, "gzip" (also ""), "zstd" or "none"; chunk: bytes of a request, 0 = a
        layer in one.
        """
        from engine.commands.push import push

        return push(self._context, ref, target, all_tags=all_tags, compression=compression, chunk=chunk, report=report)

    def login(self, server: str, username: str, password: str) -> str:
        """Check a name and password at a registry and keep them where docker does. Returns where."""
        from engine.commands.login import login

        return login(server, username, password)

    def logout(self, server: str) -> bool:
        """Forget what login kept; whether there was anything."""
        from engine.commands.login import logout

        return logout(server)

    # What it all takes, and what nobody needs.

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

    # Anything.

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
