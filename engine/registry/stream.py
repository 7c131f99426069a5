"""A blob's bytes from a registry, whatever the network does."""

from __future__ import annotations

import time

from engine.registry.errors import RegistryError, printable
from engine.registry.session import DELAYS
from engine.registry.transport import Broken

TYPE_CHECKING = False
if TYPE_CHECKING:
    import http.client
    from collections.abc import Callable

    from engine.registry.session import Place, Session

CHUNK = 1 << 20


class BlobStream:
    """A blob on its way. What breaks is gone on with, by a range request, as long as that brings something."""

    def __init__(
        self,
        registry: Session,
        path: str,
        digest: str,
        size: int,
        offset: int,
        retrying: Callable[[float], None] | None,
    ) -> None:
        self._registry = registry
        self._path = path
        self._digest = digest
        self._size = size
        self._at = offset
        self._retrying = retrying
        self._failures = 0
        self._answer: http.client.HTTPResponse | None = None
        self._connection: http.client.HTTPConnection | None = None
        if offset < size:
            self._open()

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes; b"" when all have come. RegistryError when the registry gives up."""
        wanted = min(self._size - self._at, CHUNK if size < 0 else size)
        while wanted > 0:
            try:
                if self._answer is None:
                    self._open()
                assert self._answer is not None
                data = self._answer.read1(wanted)  # what is there: a slow network's bytes must not be kept waiting
                if data:
                    self._at += len(data)
                    self._failures = 0
                    return data
                raise ConnectionResetError("the connection was cut")
            except Broken as error:
                self._drop()
                self._again(error)
        return b""

    def close(self) -> None:
        self._drop()

    def _again(self, error: Exception) -> None:
        self._failures += 1
        if self._failures > len(DELAYS):
            where = f"after {self._at} of {self._size} bytes"
            raise RegistryError(
                f"{self._registry.domain} broke off {self._digest} {where}: {printable(str(error))}; "
                "try again, what came is kept"
            )
        delay = DELAYS[self._failures - 1]
        if self._retrying is not None:
            self._retrying(delay)
        time.sleep(delay)

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._answer = self._connection = None

    def _open(self) -> None:
        headers = {"Range": f"bytes={self._at}-"} if self._at else {}
        registry = self._registry

        def ask(place: Place) -> tuple[http.client.HTTPResponse, http.client.HTTPConnection]:
            return registry.get(place, self._path, f"blobs/{self._digest}", f"blob {self._digest}", headers)

        self._answer, self._connection = registry.first(ask)
        skip = 0
        if self._at and self._answer.status == 206:
            start = self._answer.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
            if start != str(self._at):
                raise RegistryError(f"{registry.domain} sent another part of {self._digest} than was asked for")
        elif self._at:
            skip = self._at
        length = self._answer.headers.get("Content-Length", "")
        if length.isdigit() and int(length) != self._size - self._at + skip:
            raise RegistryError(
                f"{registry.domain} has {int(length) - skip + self._at} bytes of {self._digest}, "
                f"its manifest says {self._size}"
            )
        while skip:
            data = self._answer.read(min(skip, CHUNK))
            if not data:
                raise ConnectionResetError("the connection was cut")
            skip -= len(data)
