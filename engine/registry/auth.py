"""Getting let in: the registry's challenge (`WWW-Authenticate`), tokens for it, and keeping them for the next request.

https://distribution.github.io/distribution/spec/auth/token/ and …/oauth/
"""

from __future__ import annotations

import json
import threading
import time
from urllib.parse import urlencode, urlsplit

from engine.registry.errors import RegistryError, Unauthorized, printable
from engine.registry.settings import RegistrySettings
from engine.registry.transport import Server

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.registry.credentials import Credentials

MAX_ANSWER = 64 << 10  # bytes of a token's answer
LEAST = 60.0  # seconds that a token lives at least, whatever the server says


def challenge(header: str) -> tuple[str, dict[str, str]]:
    """A `WWW-Authenticate` header as (scheme in lower case, parameters). RFC 9110, 11.6.1."""
    scheme, _, rest = header.strip().partition(" ")
    found: dict[str, str] = {}
    while rest:
        key, equals, rest = rest.partition("=")
        if not equals:
            break
        rest = rest.lstrip()
        if rest.startswith('"'):
            end = 1
            value = ""
            while end < len(rest) and rest[end] != '"':
                end += rest[end] == "\\"
                value += rest[end : end + 1]
                end += 1
            rest = rest[end + 1 :]
        else:
            value, _, tail = rest.partition(",")
            rest = "," + tail
        found[key.strip(" ,").lower()] = value.strip()
        rest = rest.lstrip(", ")
    return scheme.lower(), found


class Auth:
    """The tokens of one server, by scope. credentials: asked for once, when the server first wants some."""

    def __init__(
        self, server: Server, settings: RegistrySettings, credentials: Callable[[], Credentials | None]
    ) -> None:
        self._server = server
        self._settings = settings
        self._find = credentials
        self._found: list[Credentials | None] = []
        self._headers: dict[str, tuple[str, float]] = {}
        self._lock = threading.Lock()

    def header(self, scope: str) -> str:
        """The Authorization header for a scope, "" while none is known."""
        value, until = self._headers.get(scope) or self._headers.get("") or ("", 0.0)
        return value if time.monotonic() < until else ""

    def answer(self, header: str, scope: str, refused: str) -> str:
        """The Authorization header that a challenge asks for. refused: the one that was just not good enough.

        Threads that come together get one token. Unauthorized when there is nothing (more) to offer.
        """
        with self._lock:
            known = self.header(scope)
            if known and known != refused:
                return known
            scheme, parameters = challenge(header)
            if scheme == "basic":
                credentials = self._credentials()
                if credentials is None or refused == credentials.basic:
                    raise Unauthorized("unauthorized: authentication required")
                self._headers[""] = credentials.basic, float("inf")
                return credentials.basic
            if scheme != "bearer" or "realm" not in parameters:
                raise RegistryError(
                    f"{self._server.host} asks for an authentication that is not known: {printable(header)}"
                )
            token, lives = self._token(parameters, scope)
            self._headers[scope] = f"Bearer {token}", time.monotonic() + max(lives * 0.9, LEAST)
            return f"Bearer {token}"

    def _credentials(self) -> Credentials | None:
        if not self._found:
            self._found.append(self._find())
        return self._found[0]

    def _token(self, parameters: dict[str, str], scope: str) -> tuple[str, float]:
        realm = urlsplit(parameters["realm"])
        if realm.scheme not in ("http", "https") or not realm.netloc or "@" in realm.netloc:
            raise RegistryError(
                f"{self._server.host} names a token server that is none: {printable(parameters['realm'])}"
            )
        if realm.scheme == "http" and self._server.scheme == "https":
            raise RegistryError(f"{self._server.host} wants credentials sent to {realm.netloc} without TLS: refused")
        credentials = self._credentials()
        query = {key: parameters[key] for key in ("service",) if key in parameters}
        wanted = scope or parameters.get("scope", "")
        if wanted:
            query["scope"] = wanted
        headers = {"User-Agent": "strata"}
        path = realm.path or "/"
        settings = self._settings if realm.netloc == self._server.host else RegistrySettings(ca=self._settings.ca)
        server = Server(f"{realm.scheme}://{realm.netloc}", settings)
        try:
            if credentials is not None and credentials.token:
                form = {
                    **query,
                    "grant_type": "refresh_token",
                    "refresh_token": credentials.token,
                    "client_id": "strata",
                }
                headers["Content-Type"] = "application/x-www-form-urlencoded"
                answer, connection = server.request("POST", path, headers, urlencode(form).encode())
            else:
                if credentials is not None:
                    query["account"] = credentials.username
                    headers["Authorization"] = credentials.basic
                mark = "&" if realm.query else "?"
                target = path + ("?" + realm.query if realm.query else "") + mark + urlencode(query)
                answer, connection = server.request("GET", target, headers)
            try:
                data = answer.read(MAX_ANSWER + 1)
            finally:
                connection.close()
        except OSError as error:
            raise RegistryError(f"the token server {realm.netloc} does not answer: {printable(str(error))}")
        if answer.status in (401, 403):
            raise Unauthorized("unauthorized: incorrect username or password" if credentials else "unauthorized")
        try:
            document = json.loads(data) if answer.status == 200 and len(data) <= MAX_ANSWER else None
            token = document.get("token") or document["access_token"]  # type: ignore[union-attr, index]
            lives = float(document.get("expires_in") or 60)  # type: ignore[union-attr]
            if not isinstance(token, str) or not token.isprintable():
                raise ValueError
        except (ValueError, KeyError, TypeError, AttributeError):
            raise RegistryError(f"the token server {realm.netloc} answered {answer.status} and no token")
        return token, lives
