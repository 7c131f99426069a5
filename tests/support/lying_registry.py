"""A registry that does as a test says: serves what it is given, and breaks, stalls, lies or redirects where told to.

with LyingRegistry() as liar:
    liar.put("/v2/x/manifests/1", data, media_type)
    liar.faults["/v2/x/blobs/sha256:…"] = [Cut(1000), Status(503)]   # one a request, then it behaves
"""

from __future__ import annotations

import http.server
import threading
import time
from dataclasses import dataclass, field
from types import TracebackType

from engine.oci.digests import digest_of


@dataclass(frozen=True)
class Cut:
    """The connection breaks after so many bytes of the body."""

    after: int


@dataclass(frozen=True)
class Status:
    """Another answer than the right one."""

    code: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class Stall:
    """Nothing comes any more after so many bytes."""

    after: int
    seconds: float


@dataclass(frozen=True)
class Instead:
    """Other bytes, as if they were the right ones."""

    body: bytes
    length: int | None = None


Fault = Cut | Status | Stall | Instead


class LyingRegistry:
    """Listens on a port of 127.0.0.1 until left. requests: (method, path, headers), in order."""

    def __init__(self) -> None:
        self.content: dict[str, tuple[bytes, str]] = {}
        self.faults: dict[str, list[Fault]] = {}
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer._answer(self)

            do_HEAD = do_POST = do_PUT = do_PATCH = do_GET

            def log_message(self, format: str, *args: object) -> None:
                pass

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, request: object, client_address: object) -> None:
                pass  # clients that go away are what is tested

        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def put(self, path: str, data: bytes, media_type: str = "application/octet-stream") -> None:
        self.content[path] = (data, media_type)

    def put_blob(self, repository: str, data: bytes) -> str:
        digest = digest_of(data)
        self.put(f"/v2/{repository}/blobs/{digest}", data)
        return digest

    def asked(self, path: str) -> list[dict[str, str]]:
        """The headers of each request for a path."""
        return [headers for _, where, headers in self.requests if where == path]

    def _answer(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        path = handler.path.partition("?")[0]
        self.requests.append((handler.command, path, dict(handler.headers)))
        pending = self.faults.get(path, [])
        fault = pending.pop(0) if pending else None
        try:
            self._give(handler, path, fault)
        except (BrokenPipeError, ConnectionResetError):
            handler.close_connection = True

    def _give(self, handler: http.server.BaseHTTPRequestHandler, path: str, fault: Fault | None) -> None:
        if isinstance(fault, Status):
            handler.send_response(fault.code)
            for name, value in fault.headers.items():
                handler.send_header(name, value)
            handler.send_header("Content-Length", str(len(fault.body)))
            handler.end_headers()
            handler.wfile.write(fault.body)
            return
        if path not in self.content and path != "/v2/":
            handler.send_error(404)
            return
        data, media_type = self.content.get(path, (b"{}", "application/json"))
        if isinstance(fault, Instead):
            data = fault.body
        start = 0
        asked = handler.headers.get("Range", "")
        if asked and not isinstance(fault, Instead):
            start = int(asked.removeprefix("bytes=").partition("-")[0])
        handler.send_response(206 if start else 200)
        handler.send_header("Content-Type", media_type)
        length = fault.length if isinstance(fault, Instead) and fault.length is not None else len(data) - start
        handler.send_header("Content-Length", str(length))
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        handler.end_headers()
        if handler.command == "HEAD":
            return
        if isinstance(fault, (Cut, Stall)):
            handler.wfile.write(data[start : start + fault.after])
            handler.wfile.flush()
            if isinstance(fault, Stall):
                time.sleep(fault.seconds)
            handler.close_connection = True
            return
        handler.wfile.write(data[start:])

    def __enter__(self) -> LyingRegistry:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
