"""What a name in a registry leads to: through lists of platforms to one image's manifest, each document checked.

Nothing is stored here. The rules for a document that could be read as two things are those of OCI CVE-2021-41190.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.errors import InvalidInput, NotFound
from engine.oci.digests import digest_of
from engine.oci.documents import MAX_DOCUMENT, load_object
from engine.oci.manifests import INDEXES, MANIFESTS, Descriptor, Manifest, check_image_config, parse_index
from engine.oci.manifests import parse_manifest as parse
from engine.oci.platforms import fits, platform_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from engine.registry.client import Fetched

    Platform = tuple[str, str, str]

MAX_DEPTH = 4  # an index of indexes of manifests
MAX_FETCHED = 64  # documents that one name may make us fetch
ATTESTATION = ("vnd.docker.reference.type", "attestation-manifest")  # buildkit's annotation
LAYERS = (  # the beginnings of what layers' archives are called, with or without "+gzip", ".gzip", "+zstd"
    "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.oci.image.layer.nondistributable.v1.tar",
    "application/vnd.docker.image.rootfs.diff.tar",
    "application/vnd.docker.image.rootfs.foreign.diff.tar",
)


@dataclass(frozen=True, slots=True)
class Found:
    """An image in a registry. top: what the name led to, a list or the image's manifest itself; data: the manifest's
    bytes; sure: whether a list said that it is of the platform."""

    top: Fetched
    data: bytes
    manifest: Manifest
    sure: bool


@dataclass(slots=True)
class Resolver:
    """fetch: a manifest or index by tag or digest; config: the bytes of an image's config (both of the registry);
    platform: the one that is wanted."""

    fetch: Callable[[str], Fetched]
    config: Callable[[Manifest], bytes]
    platform: Platform
    _fetched: int = field(default=0, init=False)

    def find(self, reference: str, shown: str) -> Found:
        """The image that a tag or digest leads to. shown: its name, for errors.

        NotFound when a list has none for the platform, saying what it has; InvalidInput when a document is malformed,
        ambiguous, of docker's schema 1, or of something else than an image.
        """
        top = self.fetch(reference)
        if not is_index(top):
            return Found(top, top.data, _image(top, shown), False)
        offered: set[str] = set()
        found = self._search(top, offered)
        if found is None:
            has = sorted(offered - {"", "unknown/unknown"})
            raise NotFound(
                f"no matching manifest for {platform_text(self.platform)} in the manifest list entries; "
                f"{shown} has {', '.join(has) or 'none'}"
            )
        return Found(top, found.data, _image(found, shown), True)

    def _search(self, top: Fetched, offered: set[str]) -> Fetched | None:
        """The manifest that fits best of all that a list leads to."""
        leaves = list(self._leaves(top, 1))
        offered.update(platform_text(entry.platform) for entry, _ in leaves)
        leaves.sort(key=lambda leaf: -fits(leaf[0].platform, self.platform))  # the first of equals stays the first
        for entry, index in leaves:
            if not fits(entry.platform, self.platform):
                break
            found = self._entry(entry, index)
            if entry.platform != ("", "", "") or self._is_for_us(found, offered):
                return found
        return None

    def _leaves(self, index: Fetched, depth: int) -> Iterator[tuple[Descriptor, Fetched]]:
        """The entries of an index and of those in it that may be for us, each with the index it stands in."""
        if depth > MAX_DEPTH:
            raise InvalidInput(f"index {index.digest} is nested too deeply")
        for entry in parse_index(index.data, f"index {index.digest}"):
            if entry.media_type in INDEXES and fits(entry.platform, self.platform):
                yield from self._leaves(self._entry(entry, index), depth + 1)
            elif entry.media_type in (*MANIFESTS, *INDEXES) and ATTESTATION not in entry.annotations:
                yield entry, index

    def _entry(self, entry: Descriptor, index: Fetched) -> Fetched:
        """What an entry of an index names. InvalidInput when it is not what the index says."""
        self._fetched += 1
        if self._fetched > MAX_FETCHED:
            raise InvalidInput(f"index {index.digest} leads to more than {MAX_FETCHED} documents")
        found = self.fetch(entry.digest)
        if len(found.data) != entry.size:
            raise InvalidInput(f"manifest {entry.digest} has {len(found.data)} bytes, its index says {entry.size}")
        if (entry.media_type in INDEXES) != is_index(found):
            raise InvalidInput(
                f"manifest {entry.digest} is ambiguous: it is not the {entry.media_type!r} that its index says"
            )
        return found

    def _is_for_us(self, fetched: Fetched, offered: set[str]) -> bool:
        """Whether the manifest of an entry without a platform is of an image that fits, which its config tells."""
        manifest = parse(fetched.data, f"manifest {fetched.digest}")
        try:
            check_image_config(manifest, fetched.digest)
        except InvalidInput:
            return False  # a signature or something else that lies beside the images
        own = platform_of(self.config(manifest))
        offered.add(platform_text(own))
        return bool(fits(own, self.platform))


def is_index(fetched: Fetched) -> bool:
    """Whether a document is an index. InvalidInput when it says of itself one thing and the registry another."""
    what = f"manifest {fetched.digest}"
    document = load_object(fetched.data, what)
    if document.get("schemaVersion") == 1:
        raise InvalidInput(f"{what} is of docker's schema 1, which is no longer in use: push the image anew")
    own = document.get("mediaType", fetched.media_type)
    if fetched.media_type in (*INDEXES, *MANIFESTS) and own != fetched.media_type:
        raise InvalidInput(f"{what} is ambiguous: {own!r} came as {fetched.media_type!r}")
    index = own in INDEXES or (own not in MANIFESTS and "manifests" in document)
    if index != ("manifests" in document):
        raise InvalidInput(f"{what} is ambiguous: it is not what its media type {own!r} says")
    return index


def checked_config(data: bytes, manifest: Manifest) -> bytes:
    """A config's bytes, which must be those that the manifest names."""
    if digest_of(data) != manifest.config.digest:
        raise InvalidInput(f"config {manifest.config.digest} is damaged: it has the digest {digest_of(data)}")
    return data


def check_config_size(manifest: Manifest) -> None:
    if manifest.config.size > MAX_DOCUMENT:
        raise InvalidInput(
            f"config {manifest.config.digest} is too large: {manifest.config.size} bytes, the limit is {MAX_DOCUMENT}"
        )


def platform_of(config: bytes) -> Platform:
    """os, architecture and variant, as an image's config says."""
    from engine.oci.configs import parse_config

    own = parse_config(config)
    return own.os, own.architecture, own.variant


def _image(fetched: Fetched, shown: str) -> Manifest:
    """The manifest of an image whose layers the registry may have. InvalidInput otherwise."""
    what = f"manifest {fetched.digest}"
    manifest = parse(fetched.data, what)
    check_image_config(manifest, shown)
    entries = load_object(fetched.data, what)["layers"]
    for layer, entry in zip(manifest.layers, entries, strict=True):
        kind = layer.media_type
        if entry.get("urls") and ("foreign" in kind or "nondistributable" in kind):
            raise InvalidInput(
                f"layer {layer.digest} of {shown} is not in the registry but somewhere else, as its type {kind!r} "
                "says; such layers (Windows has them) are not fetched"
            )
        if kind and (not kind.startswith(LAYERS) or "encrypted" in kind):
            raise InvalidInput(f"layer {layer.digest} of {shown} is of type {kind!r}, which is no archive of files")
    return manifest
