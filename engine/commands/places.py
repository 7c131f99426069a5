"""Places beside registries that images come from and go to, named as skopeo names them:

docker-daemon:NAME    podman:NAME    oci:DIR[:TAG]    oci-archive:FILE[:TAG]    docker-archive:FILE[:NAME]

`containers-storage:` is another word for `podman:`. One of these words before a colon always means the place; a
repository that is called `podman` is named with its registry: `docker.io/library/podman:latest`. Only a registry's host
of such a name is told by its port, the digits and the slash: `oci:5000/demo` (the directory is `oci:./5000/demo`).
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from engine.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

    from engine.archive.load import Loaded
    from engine.commands.context import Context
    from engine.oci.references import Reference
    from engine.progress import Report

DAEMON, PODMAN, OCI, OCI_ARCHIVE, DOCKER_ARCHIVE = "docker-daemon", "podman", "oci", "oci-archive", "docker-archive"
WORDS = {word: word for word in (DAEMON, PODMAN, OCI, OCI_ARCHIVE, DOCKER_ARCHIVE)} | {"containers-storage": PODMAN}
ENGINES = (DAEMON, PODMAN)


@dataclass(frozen=True, slots=True)
class Place:
    """kind: a value of WORDS; path: of the directory or file, "" for an engine; name: the image there, or ""."""

    kind: str
    path: str
    name: str

    def __str__(self) -> str:
        return ":".join(part for part in (self.kind, self.path, self.name) if part)


def parse_place(text: str) -> Place | None:
    """Read a place; None when `text` names none, and so is a registry's. InvalidInput when half of it is missing."""
    word, colon, rest = text.partition(":")
    if not colon or word not in WORDS or _is_port(rest):
        return None
    kind = WORDS[word]
    path, _, name = ("", "", rest) if kind in ENGINES else rest.partition(":")
    if not (name if kind in ENGINES else path):
        expected = {OCI: "DIRECTORY[:TAG]", OCI_ARCHIVE: "FILE[:TAG]", DOCKER_ARCHIVE: "FILE[:NAME]"}.get(kind, "NAME")
        raise InvalidInput(f"{text!r} names no image: expected {word}:{expected}")
    return Place(kind, path, name)


def _is_port(rest: str) -> bool:
    port, slash, _ = rest.partition("/")
    return bool(slash) and port.isascii() and port.isdigit()


def pull_place(context: Context, place: Place, *, platform: str = "", report: Report | None = None) -> list[Loaded]:
    """Take images from a place: the one it names, or all of an archive. The store is as before after any error.

    NotFound when there is no such engine, image or file; InvalidInput when what is there is no image.
    """
    from engine.archive.load import load

    store = context.store
    if place.kind == OCI:
        return load(store, place.path, platform=platform, only=place.name, report=report)
    if place.kind == DAEMON:
        from engine.commands.daemon import Daemon

        with Daemon() as daemon:
            return load(store, daemon.archive(place.name), platform=platform, report=report)
    if place.kind == PODMAN:
        from engine.commands.podman import saved

        with saved(place.name) as archive:
            return load(store, archive, platform=platform, report=report)
    with open(place.path, "rb") as file:
        return load(store, file, platform=platform, only=place.name, report=report)


def push_place(context: Context, ref: str, place: Place, *, report: Report | None = None) -> None:
    """Give an image to a place, under the place's name. What has that name there loses it, an archive is replaced.

    NoSuchImage; NotFound when there is no such engine; InvalidInput for a name that cannot be one.
    """
    from engine.archive import save
    from engine.oci.manifests import MANIFEST
    from engine.progress import Progress

    store = context.store
    record = store.images.resolve(ref)
    if place.kind == OCI:
        from engine.archive.layout_out import write_layout

        write_layout(store, record, place.path, place.name)
    elif place.kind == OCI_ARCHIVE:
        _write(place.path, lambda out: save.save(store, [(record, ())], out, form=save.OCI, tag=place.name))
    elif place.kind == DOCKER_ARCHIVE:
        names = [_name(place)] if place.name else []
        _write(place.path, lambda out: save.save(store, [(record, names)], out, form=save.DOCKER))
    elif place.kind == PODMAN:
        from engine.commands.podman import load

        name = _name(place)
        # An OCI image keeps its annotations only in a layout, and its name there only in full as the layout's own.
        if save.descriptor(save.outgoing(store, record))["mediaType"] == MANIFEST:
            load(lambda out: save.save(store, [(record, ())], out, form=save.OCI, tag=str(name)))
        else:
            load(lambda out: save.save(store, [(record, [name])], out, form=save.DOCKER))
    else:
        from engine.commands.daemon import Daemon

        name = _name(place)
        with Daemon() as daemon:
            daemon.load(lambda out: save.save(store, [(record, [name])], out))
    if report is not None:
        report(Progress("", f"{ref}: copied to {place}"))


def _name(place: Place) -> Reference:
    from engine.oci.references import parse_reference

    name = parse_reference(place.name)
    if name.digest:
        raise InvalidInput(f"{place}: give it a name with a tag; a digest is found out, not given")
    return name


def _write(path: str, write: Callable[[BinaryIO], None]) -> None:
    """Write a file beside its place and give it its name when it is whole; a pipe or device is written as it is."""
    path = os.path.realpath(path)
    if os.path.exists(path) and not os.path.isfile(path):
        with open(path, "wb") as out:
            write(out)
        return
    new = f"{path}.{os.getpid()}.new"
    try:
        with open(new, "xb") as out:
            write(out)
        os.rename(new, path)
    except BaseException:
        if os.path.exists(new):
            os.unlink(new)
        raise
