"""Images and layers, and files that hold them."""

from __future__ import annotations

from engine.faces.face import Face

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import BinaryIO

    from engine.archive.load import Loaded
    from engine.commands.history import HistoryRow
    from engine.commands.summaries import ImageSummary
    from engine.faces.face import Filters
    from engine.progress import Report
    from engine.store.images import ImageRecord


class Images(Face):
    """One method a verb for images."""

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
        warn: Callable[[str], None] | None = None,
    ) -> str:
        """A new image: the container's, with its read-write layer, turned read-only, on top. Returns the image id."""
        from engine.commands.commit import commit

        return commit(self._context, ref, name, message=message, author=author, changes=changes, pause=pause, warn=warn)

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
        from engine.commands.telling import image_event

        loaded = load(self._context.store, source, platform=platform, report=report)
        for image in loaded:
            image_event(self._context, "load", image.image)
        return loaded

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
