"""A server between a client and a real registry: it notes every request and its answer, and refuses what a test says.

with RegistryServer() as registry, Between(registry.address) as between:
    between.refuse = lambda request: 415 if request.kind == OCI_MANIFEST else 0
    ...                                   # speak to between.address
    between.seen                          # [Request("HEAD", "/v2/demo/blobs/sha256:…", …, status=404), …]
"""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

HOP = ("connection", "transfer-encoding", "keep-alive", "content-length", "date", "server")


@dataclass(frozen=True, slots=True)
class Request:
    """One request. kind: its Content-Type; size: bytes of its body; status: of the answer."""

    method: str
    path: str
    kind: str
    size: int
    status: int = 0


class Between:
    """Listens on 127.0.0.1 and passes on to `target`. refuse: the status to answer instead, or 0."""

    def __init__(self, target: str) -> None:
        self.seen: list[Request] = []
        self.refuse: Callable[[Request], int] = lambda request: 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self, target))
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_address[1]}"

    def uploads(self) -> list[Request]:
        """The requests that brought layers or configs, or began to."""
        return [one for one in self.seen if one.method in ("POST", "PATCH", "PUT") and "/blobs/uploads/" in one.path]

    def __enter__(self) -> Between:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


def _handler(between: Between, target: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            pass

        def serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked = Request(self.command, self.path, self.headers.get("Content-Type", ""), len(body))
            status = between.refuse(asked)
            headers: list[tuple[str, str]] = []
            answer = b""
            if not status:
                connection = http.client.HTTPConnection(target, timeout=60)
                connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                for key, value in self.headers.items():  # some come twice; the Host stays: answers lead back here
                    if key.lower() not in HOP:
                        connection.putheader(key, value)
                connection.putheader("Content-Length", str(len(body)))
                connection.endheaders(body)
                got = connection.getresponse()
                status, answer = got.status, got.read()
                headers = [(key, value) for key, value in got.getheaders() if key.lower() not in HOP]
                if self.command == "HEAD":
                    headers.append(("Content-Length", got.headers.get("Content-Length", "0")))
                connection.close()
            between.seen.append(Request(asked.method, asked.path, asked.kind, asked.size, status))
            self.send_response(status)
            for key, value in headers:
                self.send_header(key, value)
            if self.command != "HEAD":
                self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = serve

    return Handler
