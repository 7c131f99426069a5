"""The distribution client: manifests and blobs of one registry (OCI distribution-spec).

What comes is checked as far as it can be here: sizes, a manifest's digest; a blob's is checked by who reads it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from engine.errors import NotFound
from engine.oci.digests import digest_of, hex_of, is_digest
from engine.oci.documents import MAX_DOCUMENT
from engine.oci.manifests import INDEXES, MANIFESTS
from engine.registry.auth import Auth
from engine.registry.errors import RegistryError, Unauthorized, printable
from engine.registry.session import MAX_ERROR
from engine.registry.stream import BlobStream
from engine.registry.upload import Uploads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.registry.credentials import Credentials
    from engine.registry.session import Place

ACCEPT = ", ".join((*MANIFESTS, *INDEXES))


@dataclass(frozen=True, slots=True)
class Fetched:
    """A manifest or index: its bytes, what the registry calls it, and its digest."""

    data: bytes
    media_type: str
    digest: str


class Registry(Uploads):
    """One registry, `docker.io` or `host:port`. A context manager; threads may share it."""

    def manifest(self, path: str, reference: str) -> Fetched:
        """A manifest or index by tag or digest. NotFound, Unauthorized, RegistryError."""
        what = f"manifest for {self.shown(path)}{'@' if ':' in reference else ':'}{printable(reference)}"

        def read(place: Place) -> Fetched:
            answer, connection = self.get(
                place, path, f"manifests/{quote(reference, safe=':')}", what, {"Accept": ACCEPT}
            )
            try:
                data = answer.read(MAX_DOCUMENT + 1)
            finally:
                connection.close()
            if len(data) > MAX_DOCUMENT:
                raise RegistryError(f"{what}: larger than the {MAX_DOCUMENT} bytes that a manifest may have")
            digest = digest_of(data)
            promised = reference if ":" in reference else answer.headers.get("Docker-Content-Digest", digest)
            if digest != promised:
                raise RegistryError(f"{what} is damaged: it has the digest {digest}, expected {printable(promised)}")
            return Fetched(data, (answer.headers.get("Content-Type") or "").partition(";")[0].strip(), digest)

        return self.first(read)

    def manifest_digest(self, path: str, reference: str) -> str | None:
        """The digest that a tag leads to, or None for no such tag."""

        def ask(place: Place) -> str | None:
            try:
                answer, connection = self.get(
                    place, path, f"manifests/{quote(reference, safe=':')}", "manifest", {"Accept": ACCEPT}, "HEAD"
                )
            except NotFound:
                return None
            answer.read()
            connection.close()
            digest = answer.headers.get("Docker-Content-Digest", "")
            return digest if is_digest(digest) else None

        return self.first(ask)

    def tags(self, path: str) -> list[str]:
        """Every tag of a repository."""

        def read(place: Place) -> list[str]:
            found: list[str] = []
            here = "tags/list?n=1000"
            for _ in range(1000):
                answer, connection = self.get(place, path, here, f"repository {self.shown(path)}")
                try:
                    data = answer.read(MAX_DOCUMENT + 1)
                finally:
                    connection.close()
                try:
                    names = json.loads(data)["tags"] or []
                    found += [name for name in names if isinstance(name, str)]
                except (ValueError, KeyError, TypeError):
                    raise RegistryError(f"{self.domain} answered something that is no list of tags")
                link = answer.headers.get("Link", "")
                if 'rel="next"' not in link or not names:
                    break
                here = "tags/list?" + urlsplit(link.partition("<")[2].partition(">")[0]).query
            return found

        return self.first(read)

    def blob(
        self,
        path: str,
        digest: str,
        size: int,
        offset: int = 0,
        *,
        retrying: Callable[[float], None] | None = None,
    ) -> BlobStream:
        """A blob's bytes from `offset` on. NotFound, Unauthorized, RegistryError, here or while reading."""
        hex_of(digest)
        return BlobStream(self, path, digest, size, offset, retrying)

    def blob_size(self, path: str, digest: str) -> int | None:
        """A blob's bytes, or None when the repository has no such blob."""
        hex_of(digest)
        try:
            answer, connection = self.get(self.places[-1], path, f"blobs/{digest}", "blob", method="HEAD")
        except NotFound:
            return None
        answer.read()
        connection.close()
        length = answer.headers.get("Content-Length", "")
        return int(length) if length.isdigit() else None

    def login(self, credentials: Credentials) -> None:
        """Try these credentials. Unauthorized when they are not good."""
        place = self.places[-1]
        place.auth = Auth(place.server, place.server.settings, lambda: credentials)
        try:
            answer, connection = self.ask(place, "GET", "/v2/", "", {})
        except Unauthorized:
            raise Unauthorized("unauthorized: incorrect username or password") from None
        answer.read(MAX_ERROR)
        connection.close()
        if answer.status == 401:
            raise Unauthorized("unauthorized: incorrect username or password")
        if answer.status != 200:
            raise RegistryError(f"{self.domain} is no registry: it answered {answer.status} for /v2/")
