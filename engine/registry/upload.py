"""Blobs and manifests into a registry (OCI distribution-spec, "Push")."""

from __future__ import annotations

from urllib.parse import quote, urljoin, urlsplit

from engine.oci.digests import digest_of, hex_of
from engine.registry.errors import RegistryError, printable
from engine.registry.session import AGAIN, DELAYS, MAX_ERROR, Again, Answer, Session, asked_to_wait
from engine.registry.transport import Broken

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import IO, BinaryIO

CHUNK = 1 << 20


class Uploads(Session):
    """The writing side of a registry."""

    def mount_blob(self, path: str, digest: str, source_path: str) -> bool:
        """Give a repository a blob that another one of this registry has; False when the registry would not."""
        query = f"?mount={quote(digest, safe=':')}&from={quote(source_path, safe='/')}"
        answer = self.send("POST", f"/v2/{path}/blobs/uploads/{query}", path, extra=source_path)
        if answer.status == 202:  # it began an upload instead: end it
            self._cancel(answer, path)
            return False
        if answer.status != 201:
            self.fail(answer, answer.body, f"blob {digest}")
        return True

    def upload_blob(
        self,
        path: str,
        digest: str,
        size: int,
        open: Callable[[int], BinaryIO],
        *,
        progress: Callable[[int], None] | None = None,
        chunk: int = 0,
    ) -> None:
        """Upload a blob. open: its bytes from an offset on; chunk: bytes of a PATCH, 0 = all in one PUT.

        A broken upload in chunks goes on where the registry says it got to. RegistryError, Unauthorized.
        """
        hex_of(digest)
        for attempt in range(len(DELAYS) + 1):
            try:
                self._upload(path, digest, size, open, progress or (lambda count: None), chunk)
                return
            except (*Broken, Again) as error:
                if attempt == len(DELAYS):
                    raise RegistryError(f"cannot upload {digest} to {self.domain}: {printable(str(error))}")
                self.wait(DELAYS[attempt], error)

    def put_manifest(self, path: str, reference: str, data: bytes, media_type: str) -> str:
        """Put a manifest under a tag or its digest; returns its digest."""
        target = f"/v2/{path}/manifests/{quote(reference, safe=':')}"
        answer = self.send("PUT", target, path, data, {"Content-Type": media_type})
        if answer.status not in (200, 201, 202):
            self.fail(answer, answer.body, f"manifest for {self.shown(path)}:{reference}")
        digest = digest_of(data)
        told = answer.headers.get("Docker-Content-Digest", digest)
        if told != digest:
            raise RegistryError(f"{self.domain} took the manifest for another: {printable(told)} instead of {digest}")
        return digest

    def _begin(self, path: str) -> str:
        answer = self.send("POST", f"/v2/{path}/blobs/uploads/", path)
        if answer.status != 202:
            self.fail(answer, answer.body, f"upload to {self.shown(path)}")
        return self._location(answer, path)

    def _location(self, answer: Answer, path: str) -> str:
        location = answer.headers.get("Location", "")
        if not location:
            raise RegistryError(f"{self.domain} does not say where to upload to")
        server = self.places[-1].server
        return urljoin(f"{server.scheme}://{server.host}{server.prefix}/v2/{path}/blobs/uploads/", location)

    def _cancel(self, answer: Answer, path: str) -> None:
        try:
            self.send("DELETE", self._location(answer, path), path)
        except RegistryError:
            pass  # the registry forgets it by itself

    def _upload(
        self,
        path: str,
        digest: str,
        size: int,
        open: Callable[[int], BinaryIO],
        progress: Callable[[int], None],
        chunk: int,
    ) -> None:
        location = self._begin(path)
        done = 0
        failures = 0
        while chunk and done < size:
            length = min(chunk, size - done)
            with open(done) as file:
                data = file.read(length)
            headers = {"Content-Type": "application/octet-stream", "Content-Range": f"{done}-{done + length - 1}"}
            try:
                answer, connection = self.ask(self.places[-1], "PATCH", location, self.scope(path), headers, data)
                body = answer.read(MAX_ERROR)
                connection.close()
                if answer.status in AGAIN:
                    raise Again(f"it answered {answer.status}", asked_to_wait(answer))
            except (*Broken, Again) as error:
                failures += 1
                if failures > len(DELAYS):
                    raise
                self.wait(DELAYS[failures - 1], error)
                status = self.send("GET", location, path)
                if status.status != 204:
                    raise Again("the upload was lost")
                done, location = _got(status), self._location(status, path)
                continue
            if answer.status != 202:
                self.fail(answer, body, f"blob {digest}")
            location = self._location(Answer(answer.status, answer.headers, body), path)
            done += length
            failures = 0
            progress(done)
        mark = "&" if urlsplit(location).query else "?"
        target = f"{location}{mark}digest={quote(digest, safe=':')}"
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(0 if chunk else size)}

        def body_of() -> IO[bytes]:
            return _Counted(open(0), progress)  # type: ignore[return-value]

        source: bytes | IO[bytes] = b"" if chunk else body_of()
        answer, connection = self.ask(
            self.places[-1], "PUT", target, self.scope(path), headers, source, None if chunk else body_of
        )
        try:
            body = answer.read(MAX_ERROR)
        finally:
            connection.close()
        if answer.status in AGAIN:
            raise Again(f"it answered {answer.status}", asked_to_wait(answer))
        if answer.status not in (201, 204):
            self.fail(answer, body, f"blob {digest}")


class _Counted:
    """A file that tells how far it was read."""

    def __init__(self, file: BinaryIO, progress: Callable[[int], None]) -> None:
        self._file = file
        self._progress = progress
        self._count = 0

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(CHUNK if size < 0 else max(size, CHUNK))
        self._count += len(data)
        self._progress(self._count)
        if not data:
            self._file.close()
        return data

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.read, b"")


def _got(answer: Answer) -> int:
    last = answer.headers.get("Range", "").removeprefix("bytes=").partition("-")[2]
    return int(last) + 1 if last.isdigit() and last != "0" else 0
