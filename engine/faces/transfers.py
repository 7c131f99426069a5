"""To and from registries and other engines."""

from __future__ import annotations

from engine.faces.face import Face

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.commands.pull import Pulled
    from engine.commands.push import Pushed
    from engine.progress import Report


class Transfers(Face):
    """One method a verb that goes elsewhere."""

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
