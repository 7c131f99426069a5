"""One server over HTTP or HTTPS: connections kept for the next request, errors in words a person can act upon.

Loopback servers, and those the settings call insecure, are spoken to by TLS without looking at the certificate, else by
plain HTTP, as docker does; all others by TLS only.
"""

from __future__ import annotations

import http.client
import os
import socket
import ssl
import threading
from urllib.parse import urlsplit

from engine.registry.errors import RegistryError, printable
from engine.registry.settings import RegistrySettings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import IO

TIMEOUT = 30.0  # seconds without a byte
Broken = (http.client.HTTPException, OSError)


class Refused(RegistryError):
    """There is no such server, or it does not let us in: trying again is of no use."""


class Server:
    """A base URL's server. url: `https://host[:port][/prefix]`, or `host[:port]` to find out by which way it speaks."""

    def __init__(self, url: str, settings: RegistrySettings) -> None:
        scheme, mark, rest = url.partition("://")
        if not mark:
            scheme, rest = "", url
        self.host, slash, prefix = rest.partition("/")
        self.prefix = (slash + prefix).rstrip("/")
        self.settings = settings
        self._schemes = [scheme] if scheme else ["https", "http"] if self._lenient() else ["https"]
        self._idle: list[http.client.HTTPConnection] = []
        self._lock = threading.Lock()

    @property
    def scheme(self) -> str:
        """`https`, or `http` once that is known to be the way."""
        return self._schemes[0]

    @property
    def origin(self) -> tuple[str, str]:
        return self.scheme, self.host

    def _lenient(self) -> bool:
        name = urlsplit("//" + self.host).hostname or ""
        return self.settings.insecure or name in ("localhost", "::1") or name.startswith("127.")

    def request(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | IO[bytes] | None = None
    ) -> tuple[http.client.HTTPResponse, http.client.HTTPConnection]:
        """Send a request; the answer, its body not read, and the connection, for `give_back` or close.

        Refused when there is no way to the server; http.client's and OSError's own errors for what may pass.
        """
        while True:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            fresh = connection is None
            if connection is None:
                connection = self._connect()
            try:
                connection.request(method, path, body, dict(headers))
                return connection.getresponse(), connection
            except Broken as error:
                connection.close()
                if not fresh and (body is None or isinstance(body, bytes)) and not isinstance(error, TimeoutError):
                    continue  # the server had closed the kept connection meanwhile
                raise

    def give_back(self, connection: http.client.HTTPConnection, answer: http.client.HTTPResponse) -> None:
        """Keep a connection whose answer was read to the end."""
        if answer.isclosed() and connection.sock is not None:
            with self._lock:
                self._idle.append(connection)
        else:
            connection.close()

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _connect(self) -> http.client.HTTPConnection:
        for scheme in list(self._schemes):
            connection = self._new(scheme)
            try:
                connection.connect()
            except ssl.SSLCertVerificationError as error:
                raise Refused(
                    f"{self.host}: its certificate is not trusted ({error.verify_message}); name who signed it with "
                    f'`ca` in [registries."{self.host}"] of a registries.toml, or say `insecure = true` there'
                )
            except ssl.SSLError as error:
                if scheme == self._schemes[-1]:
                    raise Refused(
                        f"{self.host} does not speak TLS ({error.reason or error}); if plain HTTP is meant, "
                        f'say `insecure = true` in [registries."{self.host}"] of a registries.toml'
                    )
                continue
            except socket.gaierror as error:
                raise Refused(f"cannot find the registry {self.host}: {error.strerror}")
            except (ConnectionRefusedError, TimeoutError) as error:
                if scheme == self._schemes[-1] or isinstance(error, TimeoutError):
                    raise Refused(f"cannot reach the registry {self.host}: {error.strerror or 'no answer'}")
                continue
            except (ConnectionResetError, BrokenPipeError, EOFError):
                if scheme == self._schemes[-1]:
                    raise
                continue
            with self._lock:
                self._schemes = [scheme]
            return connection
        raise AssertionError("unreachable")

    def _new(self, scheme: str) -> http.client.HTTPConnection:
        proxy = proxy_for(scheme, self.host) if not self._lenient() else ""
        where = proxy or self.host
        if scheme == "http":
            return http.client.HTTPConnection(where, timeout=TIMEOUT)
        connection = http.client.HTTPSConnection(where, timeout=TIMEOUT, context=self._context())
        if proxy:
            connection.set_tunnel(self.host)
        return connection

    def _context(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=self.settings.ca or None)
            if self.settings.certificate:
                context.load_cert_chain(self.settings.certificate, self.settings.key or None)
        except OSError as error:
            raise Refused(f"{self.host}: cannot read its certificates: {printable(str(error))}")
        if self._lenient() and not self.settings.ca:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def proxy_for(scheme: str, host: str) -> str:
    """host:port of the proxy that the environment wants for a server, or ""."""
    names = ("https_proxy", "HTTPS_PROXY") if scheme == "https" else ("http_proxy", "HTTP_PROXY")
    proxy = next((os.environ[name] for name in names if os.environ.get(name)), "")
    name = host.rpartition(":")[0] or host
    for rule in (os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or "").split(","):
        rule = rule.strip().lstrip(".")
        if rule and (rule == "*" or name == rule or host == rule or name.endswith("." + rule)):
            return ""
    return proxy.partition("://")[2].rstrip("/").rpartition("@")[2] if "://" in proxy else proxy
