"""import: a flat tar of a file system becomes an image of one layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from engine.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, BinaryIO

    from engine.commands.context import Context
    from engine.oci.references import Reference
    from engine.progress import Report
    from engine.store.blobs import Readable

XZ, BZIP2 = b"\xfd7zXZ\x00", b"BZh"
STEP = 1 << 22  # bytes between two reports


def import_image(
    context: Context,
    source: BinaryIO | str,
    name: str = "",
    *,
    message: str = "",
    changes: Sequence[str] = (),
    platform: str = "",
    report: Report | None = None,
) -> str:
    """Make an image of a tar archive, plain or compressed, and return its id.

    source: an open file or pipe, a path, or an address (http, https). message: the comment of its one history row, ""
    for docker's "Imported from …". changes: as in `commit`. platform: os/architecture[/variant] that it says it is for,
    "" = this machine's. InvalidInput for an archive that is none, damaged or hostile, and the store as before.
    """
    from engine.archive.assemble import add_image, layer_from_archive, stage_archive
    from engine.commands.changes import apply_changes
    from engine.commands.telling import image_event
    from engine.oci.platforms import parse_platform
    from engine.oci.times import rfc3339

    names = [_name(name)] if name else []
    settings = {key: value for key, value in apply_changes({}, changes).items() if value is not None}
    system, architecture, variant = parse_platform(platform)
    if system != "linux":
        raise InvalidInput(f"operating system is not supported: {system}")
    store = context.store
    store.clean_tmp()
    with _opened(source, report) as (stream, origin), store.tmp_dir() as staging:
        archive, digest, size = stage_archive(staging, "layer", _storable(stream))
        if not size:
            raise InvalidInput("there is nothing to import: the archive is empty")
        created = rfc3339()
        layer = layer_from_archive(store, staging, archive, digest, None, created=created, what="the archive")
        comment = message or f"Imported from {origin}"
        document: dict[str, Any] = {
            "architecture": architecture,
            **({"variant": variant} if variant else {}),
            "comment": comment,
            "config": settings,
            "created": created,
            "history": [{"created": created, "comment": comment}],
            "os": system,
        }
        image_id = add_image(store, document, [layer], names)
    image_event(context, "import", image_id)
    if names:
        image_event(context, "tag", image_id, names[0].familiar())
    return image_id


def _name(text: str) -> Reference:
    from engine.oci.references import parse_reference

    name = parse_reference(text)
    if name.digest:
        raise InvalidInput("cannot import digest reference")
    return name


@contextmanager
def _opened(source: BinaryIO | str, report: Report | None) -> Iterator[tuple[Readable, str]]:
    """The archive's stream, and what the history says of where it came from: "-" for all but an address, as docker."""
    if not isinstance(source, str):
        yield _Reported(source, report, "Importing", 0), "-"
    elif source.lower().startswith(("http://", "https://")):  # what docker takes for an address
        from engine.archive.web import Download

        with Download(source) as download:
            yield _Reported(download, report, "Downloading", max(download.size, 0)), download.shown
    else:
        import os

        with open(source, "rb", buffering=0) as file:
            yield _Reported(file, report, "Importing", os.fstat(file.fileno()).st_size), "-"


class _Reported:
    """A stream that tells how far it is."""

    def __init__(self, stream: Readable, report: Report | None, action: str, total: int) -> None:
        self._stream = stream
        self._report = report
        self._action = action
        self._total = total
        self._taken = self._told = 0

    def read(self, size: int = -1, /) -> bytes:
        data = self._stream.read(size)
        self._taken += len(data)
        if self._report and (self._taken - self._told >= STEP or not data or not self._told):
            from engine.progress import Progress

            self._told = self._taken
            self._report(Progress("archive", self._action, self._taken, self._total))
        return data


class _Headed:
    """A stream with its first bytes, which were read already, in front again."""

    def __init__(self, head: bytes, stream: Readable) -> None:
        self._head = head
        self._stream = stream

    def read(self, size: int = -1, /) -> bytes:
        if self._head:
            count = len(self._head) if size < 0 else size
            data, self._head = self._head[:count], self._head[count:]
            return data
        return self._stream.read(size)


def _storable(stream: Readable) -> Readable:
    """The archive as a layer can be kept: xz and bzip2, for which OCI has no media type, are unpacked, others stay."""
    head = b""
    while len(head) < len(XZ) and (more := stream.read(len(XZ) - len(head))):
        head += more
    whole = _Headed(head, stream)
    if head.startswith((XZ, BZIP2)):
        from engine.archive.compression import plain

        return plain(whole, "the archive")[0]  # type: ignore[arg-type]
    return whole
