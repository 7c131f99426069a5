"""The life of containers: created, started, stopped, gone."""

from __future__ import annotations

from engine.faces.face import Face

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from engine.commands.options import CreateOptions, ExecOptions
    from engine.runtime.client import Session
    from engine.store.container import Container


class Life(Face):
    """One method a verb that changes a container."""

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
        *,
        warn: Callable[[str], None] | None = None,
    ) -> tuple[str, Session | None]:
        """Create, then start: (id, a Session when attached). One that cannot start stays, as `created`, unless it
        was to remove itself. warn: as in `create`."""
        from engine.commands.create import create

        _ = self._context.launcher  # gets ready while the container is made
        container = create(self._context, image, options, warn=warn)
        stdin = bool(options and options.open_stdin)
        return container, self.start(container, attach=attach, stdin=stdin, size=size)

    def update(
        self,
        ref: str,
        changes: Mapping[str, Any],
        *,
        restart: tuple[str, int] | None = None,
        warn: Callable[[str], None] = lambda text: None,
    ) -> None:
        """Other limits (fields of `engine.settings.Limits`) or restart policy (name, most restarts); it may run.

        warn: told of what this machine cannot hold.
        """
        from engine.commands.update import update

        update(self._context, ref, changes, restart=restart, warn=warn)

    def stop(self, ref: str, timeout: int | None = None, signal: str | None = None) -> None:
        """Stop signal, grace (seconds; None = the container's or 10; negative = for ever), then SIGKILL."""
        from engine.commands.stop import stop

        stop(self._context, ref, timeout, signal)

    def restart(self, ref: str, timeout: int | None = None, signal: str | None = None) -> None:
        """`stop`, then `start`; one that removes itself stays this time."""
        from engine.commands.restart import restart

        restart(self._context, ref, timeout, signal)

    def kill(self, ref: str, signal: str = "KILL") -> None:
        """Send a signal; SIGKILL waits for the end, any other returns at once."""
        from engine.commands.kill import kill

        kill(self._context, ref, signal)

    def restartable(self) -> list[Container]:
        """The containers that do not run though their restart policy wants them to, oldest first."""
        from engine.commands.living import restartable

        return restartable(self._context)

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

    def rename(self, ref: str, name: str) -> None:
        """Give it another name. Conflict when that is taken."""
        from engine.commands.rename import rename

        rename(self._context, ref, name)

    def copy_from(
        self,
        ref: str,
        path: str,
        target: str | int,
        *,
        archive: bool = False,
        follow: bool = False,
        warn: Callable[[str], None] | None = None,
    ) -> int:
        """Copy a file or directory out of it: to a path of the host, or as a tar stream to a descriptor.

        archive: with owners, set-id bits and devices; follow: a link's target; returns the bytes that travelled.
        """
        from engine.commands.copy import copy_from
        from engine.commands.lookup import container
        from engine.commands.telling import container_event

        count = copy_from(self._context, ref, path, target, archive=archive, follow=follow, warn=warn)
        container_event(self._context, container(self._context, ref).config, "archive-path")
        return count

    def copy_to(
        self,
        ref: str,
        source: str | int,
        path: str,
        *,
        archive: bool = False,
        follow: bool = False,
        warn: Callable[[str], None] | None = None,
    ) -> int:
        """Copy a file or directory of the host, or what is in a tar stream, into it. As `copy_from` otherwise."""
        from engine.commands.copy import copy_to
        from engine.commands.lookup import container
        from engine.commands.telling import container_event

        count = copy_to(self._context, ref, source, path, archive=archive, follow=follow, warn=warn)
        container_event(self._context, container(self._context, ref).config, "extract-to-dir")
        return count

    def attach(self, ref: str, stdin: bool = False, size: tuple[int, int] = (0, 0)) -> Session:
        """A Session on a running container's streams from now on. size: (rows, columns) of a terminal."""
        from engine.commands.attach import attach

        return attach(self._context, ref, stdin=stdin, size=size)

    def exec(self, ref: str, options: ExecOptions, size: tuple[int, int] = (0, 0)) -> Session:
        """One more process in a running container's namespaces and cgroup. size: (rows, columns) of a terminal."""
        from engine.commands.exec import execute

        return execute(self._context, ref, options, size)
