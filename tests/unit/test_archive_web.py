"""A download is whole or an error: servers that cut off, stall, lie, redirect; credentials stay with their host."""

from __future__ import annotations

import base64
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.client import HTTPMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request

import pytest

from engine.archive.web import Download, _Redirects, shown_url
from engine.errors import InvalidInput, NotFound, StrataError
from tests.support.needs import needs

CONTENT = b"content" * 100_000


class Handler(BaseHTTPRequestHandler):
    """Does what the path says."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        self.server.seen.append((self.path, self.headers.get("Authorization", "")))
        what = self.path.partition("?")[0].strip("/")
        if what.startswith("to/"):
            self.answer(302, b"", Location=self.server.target + what[2:])
        elif what == "loop":
            self.answer(302, b"", Location="/loop")
        elif what == "file":
            self.answer(302, b"", Location="file:///etc/passwd")
        elif what == "cut":
            self.answer(200, CONTENT, length=2 * len(CONTENT))
        elif what == "chunked":
            self.chunked(cut=False)
        elif what == "chunked-cut":
            self.chunked(cut=True)
        elif what == "huge":
            self.answer(200, b"", length=1 << 50)
        elif what == "stall":
            self.answer(200, CONTENT[:10], length=100)
            self.server.stop.wait(60)
        elif what == "garbage":
            self.wfile.write(b"\0\xff no answer\r\n\r\n")
        elif what == "broken":
            self.answer(503, b"")
        elif what in ("ok", "with%20space"):
            self.answer(200, CONTENT)
        else:
            self.answer(404, b"")
        self.close_connection = True

    def answer(self, status: int, body: bytes, length: int = -1, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length < 0 else length))
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)

    def chunked(self, cut: bool) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"%x\r\n%b\r\n" % (len(CONTENT), CONTENT) + (b"ffff\r\nnot all" if cut else b"0\r\n\r\n"))

    def log_message(self, format: str, *args: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    """target: where `/to/…` leads; seen: path and credentials of each request."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: list[tuple[str, str]] = []
        self.stop = threading.Event()
        self.target = ""
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # clients that go away are what is tested


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Server, Server]]:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    pair = Server(), Server()
    pair[0].target = pair[1].url
    threads = [threading.Thread(target=server.serve_forever, args=(0.01,)) for server in pair]
    for thread in threads:
        thread.start()
    yield pair
    for server, thread in zip(pair, threads, strict=True):
        server.stop.set()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def server(servers: tuple[Server, Server]) -> Server:
    return servers[0]


def fetch(url: str, limit: int = 1 << 30) -> bytes:
    with Download(url, timeout=0.5, limit=limit) as download:
        data = b""
        while chunk := download.read(65536):
            data += chunk
        return data


@pytest.mark.parametrize("path", ["/ok", "/with space", "/with%20space", "/ok?a=b&c=%20", "/chunked", "/to/ok"])
def test_whole_files_arrive(server: Server, path: str) -> None:
    assert fetch(server.url + path) == CONTENT


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("/cut", f"it broke off after {len(CONTENT)} of {2 * len(CONTENT)} bytes"),
        ("/chunked-cut", "it broke off"),
        ("/stall", "no answer in time"),
        ("/huge", "the limit is"),
        ("/garbage", "cannot download"),
        ("/broken", "the server answered 503"),
        ("/loop", "redirect"),
        ("/file", "is not allowed"),
        ("/nothing", "404"),
    ],
)
def test_what_is_not_whole_is_an_error_that_says_why(server: Server, path: str, problem: str) -> None:
    with pytest.raises(StrataError, match=problem) as raised:
        fetch(server.url + path)
    assert str(raised.value).startswith(f"cannot download {server.url}{path}: ")
    assert str(raised.value).endswith("; check the address and try again")


def test_no_more_than_the_limit(server: Server) -> None:
    with pytest.raises(StrataError, match="it has 700000 bytes, the limit is 1000"):
        fetch(server.url + "/ok", limit=1000)
    with pytest.raises(StrataError, match="more than 1000 bytes"):
        fetch(server.url + "/chunked", limit=1000)


def test_credentials_stay_with_their_host(servers: tuple[Server, Server]) -> None:
    first, second = servers
    with_account = first.url.replace("http://", "http://me%40home:pass%3Aword@")
    assert fetch(with_account + "/to/ok") == CONTENT
    assert first.seen == [("/to/ok", "Basic " + base64.b64encode(b"me@home:pass:word").decode())]
    assert second.seen == [("/ok", "")]
    with pytest.raises(NotFound) as raised:
        fetch(with_account + "/nothing?signature=secret")
    assert "pass" not in str(raised.value) and "secret" not in str(raised.value)


@pytest.mark.parametrize("url", ["http://", "http:///path", "http://a b/", "http://[::1/", "http://host:port/"])
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(InvalidInput, match="not an address"):
        Download(url)


@pytest.mark.parametrize(("before", "after"), [("https://a/", "http://b/"), ("http://a/", "ftp://b/")])
def test_redirects_that_are_not_followed(before: str, after: str) -> None:
    with pytest.raises(URLError, match="refused to follow a redirect to"):
        _Redirects().redirect_request(Request(before), BytesIO(), 302, "Found", HTTPMessage(), after)


def test_nobody_is_there() -> None:
    with pytest.raises(StrataError, match="Connection refused"):
        fetch("http://127.0.0.1:9/")


def test_what_is_shown_of_an_address() -> None:
    assert shown_url("https://me:word@host:8/a/b?key=1#part") == "https://host:8/a/b"


def test_a_certificate_of_nobody_is_refused(tmp_path: Path, servers: tuple[Server, Server]) -> None:
    needs("openssl")
    argv: list[str | Path] = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes"]
    argv += [
        "-keyout",
        tmp_path / "key",
        "-out",
        tmp_path / "cert",
        "-days",
        "1",
        "-subj",
        "/CN=127.0.0.1",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
    ]
    subprocess.run(argv, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    servers[1].socket = context.wrap_socket(servers[1].socket, server_side=True)
    with pytest.raises(StrataError, match="certificate"):
        fetch(servers[1].url.replace("http:", "https:") + "/ok")
