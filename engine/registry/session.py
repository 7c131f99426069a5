"""Requests to one registry: mirrors, credentials, redirects, and trying again.

Credentials go to the registry they belong to, and to the token server it names; a redirect elsewhere gets none
(containerd CVE-2020-15157).
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from engine.errors import NotFound
from engine.registry import credentials as kept
from engine.registry.auth import Auth
from engine.registry.errors import RegistryError, Unauthorized, printable
from engine.registry.settings import RegistrySettings, Settings, load_settings
from engine.registry.transport import Broken, Refused, Server

TYPE_CHECKING = False
if TYPE_CHECKING:
    import http.client
    from collections.abc import Callable
    from typing import IO, Self, TypeVar

    T = TypeVar("T")

HUB = "registry-1.docker.io"
DELAYS = (0.5, 1.0, 2.0, 4.0)  # seconds between tries
LONGEST = 60.0  # seconds that a server may ask us to wait
REDIRECTS = 5
MAX_ERROR = 64 << 10  # bytes of an error's text
AGAIN = (408, 425, 429, 500, 502, 503, 504)


class Place:
    """A server that may have the registry's content: itself or a mirror of it."""

    def __init__(self, url: str, domain: str, settings: RegistrySettings, *, itself: bool) -> None:
        self.server = Server(url, settings)
        name = domain if itself else self.server.host
        self.auth = Auth(self.server, settings, lambda: kept.find(name))


class Session:
    """One registry, `docker.io` or `host:port`, and its mirrors. A context manager; threads may share it.

    push: never ask mirrors. report: told in words when something is tried again.
    """

    def __init__(
        self,
        domain: str,
        *,
        settings: Settings | None = None,
        push: bool = False,
        report: Callable[[str], None] | None = None,
    ) -> None:
        self.domain = domain
        found = load_settings() if settings is None else settings
        own = found.of(domain)
        mirrors = () if push else own.mirrors
        self.places = [Place(url, domain, found.of(urlsplit(url).netloc), itself=False) for url in mirrors]
        self.places.append(Place(HUB if domain == "docker.io" else domain, domain, own, itself=True))
        self._actions = "pull,push" if push else "pull"
        self._report = report

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        for place in self.places:
            place.server.close()

    def shown(self, path: str) -> str:
        if self.domain == "docker.io":
            return path.removeprefix("library/")
        return f"{self.domain}/{path}"

    def scope(self, path: str, extra: str = "") -> str:
        scope = f"repository:{path}:{self._actions}" if path else ""
        return f"{scope} repository:{extra}:pull" if extra else scope

    def first(self, ask: Callable[[Place], T]) -> T:
        """The first answer of a mirror, or else the registry's own; what a mirror lacks is no error."""
        for place in self.places[:-1]:
            try:
                found = ask(place)
            except (NotFound, RegistryError):
                continue
            if found is not None:
                return found
        return ask(self.places[-1])

    def get(
        self,
        place: Place,
        path: str,
        rest: str,
        what: str,
        headers: dict[str, str] | None = None,
        method: str = "GET",
    ) -> tuple[http.client.HTTPResponse, http.client.HTTPConnection]:
        """A good answer, after redirects and as many tries as it takes."""
        target = f"/v2/{path}/{rest}"
        for attempt in range(len(DELAYS) + 1):
            try:
                answer, connection = self.ask(place, method, target, self.scope(path), headers or {})
                if answer.status in (200, 206):
                    return answer, connection
                try:
                    body = answer.read(MAX_ERROR)
                finally:
                    connection.close()
                if answer.status in AGAIN and attempt < len(DELAYS):
                    raise Again(f"it answered {answer.status}", asked_to_wait(answer))
                self.fail(answer, body, what)
            except (*Broken, Again) as error:
                if attempt == len(DELAYS):
                    raise RegistryError(f"{what}: {place.server.host} does not answer: {printable(str(error))}")
                self.wait(DELAYS[attempt], error)
        raise AssertionError("unreachable")

    def ask(
        self,
        place: Place,
        method: str,
        target: str,
        scope: str,
        headers: dict[str, str],
        body: bytes | IO[bytes] | None = None,
        rewind: Callable[[], IO[bytes]] | None = None,
    ) -> tuple[http.client.HTTPResponse, http.client.HTTPConnection]:
        """One request with our credentials, redirects followed. target: a path, or a URL of the registry's making."""
        server, here = place.server, target
        own = True
        other: Server | None = None
        if "://" in target:
            server, here, own = self._elsewhere(place, target)
        else:
            here = server.prefix + target
        authorization = place.auth.header(scope) if own else ""
        hops, tried = 0, False
        while True:
            sent = {"User-Agent": "strata", **headers, **({"Authorization": authorization} if authorization else {})}
            answer, connection = server.request(method, here, sent, body)
            if answer.status == 401 and own and not hops:
                asked = answer.headers.get("WWW-Authenticate", "")
                answer.read(MAX_ERROR)
                connection.close()
                try:
                    fresh = place.auth.answer(asked, scope, authorization)
                except Unauthorized as error:
                    raise Unauthorized(f"{error}; try `strata login {self.domain}`") from None
                if tried:
                    raise Unauthorized(f"unauthorized: authentication required; try `strata login {self.domain}`")
                authorization, tried = fresh, True
                if rewind is not None:
                    body = rewind()
                continue
            if answer.status in (301, 302, 303, 307, 308) and method in ("GET", "HEAD"):
                location = answer.headers.get("Location", "")
                answer.read(MAX_ERROR)
                connection.close()
                hops += 1
                if hops > REDIRECTS or not location:
                    raise RegistryError(f"{place.server.host} redirects without end")
                base = f"{server.scheme}://{server.host}{here}"
                url = urljoin(base, location)
                if server.scheme == "https" and not url.startswith("https:"):
                    raise RegistryError(f"{server.host} redirects from https to {printable(url)}: refused")
                server, here, own = self._elsewhere(place, url)
                if other is not None and other is not place.server:
                    other.close()
                other = server
                if not own:
                    authorization = ""
                continue
            return answer, connection

    def _elsewhere(self, place: Place, url: str) -> tuple[Server, str, bool]:
        """(server, path with query, whether it is the registry's own server, which may see our credentials)."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.netloc or "@" in parts.netloc:
            raise RegistryError(f"{place.server.host} leads to {printable(url)}, which is no place on the web")
        here = (parts.path or "/") + ("?" + parts.query if parts.query else "")
        if (parts.scheme, parts.netloc) == place.server.origin:
            return place.server, here, True
        return Server(f"{parts.scheme}://{parts.netloc}", RegistrySettings()), here, False

    def send(
        self,
        method: str,
        target: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        extra: str = "",
    ) -> Answer:
        """A small writing request, tried again while that may help."""
        for attempt in range(len(DELAYS) + 1):
            try:
                answer, connection = self.ask(
                    self.places[-1], method, target, self.scope(path, extra), headers or {}, body or b""
                )
                try:
                    data = answer.read(MAX_ERROR)
                finally:
                    connection.close()
                if answer.status in AGAIN and attempt < len(DELAYS):
                    raise Again(f"it answered {answer.status}", asked_to_wait(answer))
                return Answer(answer.status, answer.headers, data)
            except (*Broken, Again) as error:
                if attempt == len(DELAYS):
                    raise RegistryError(f"{self.domain} does not answer: {printable(str(error))}")
                self.wait(DELAYS[attempt], error)
        raise AssertionError("unreachable")

    def fail(self, answer: http.client.HTTPResponse | Answer, body: bytes, what: str) -> None:
        """Raise what a bad answer means."""
        said = _error_text(body)
        if answer.status == 404:
            raise NotFound(f"{what} not found: {said or 'no such thing in the registry'}")
        if answer.status == 401:
            raise Unauthorized(f"unauthorized: authentication required; try `strata login {self.domain}`")
        if answer.status == 403:
            raise Unauthorized(
                f"{what}: access denied{': ' + said if said else ''}; it does not exist, or "
                f"needs `strata login {self.domain}`"
            )
        text = f"{what}: {self.domain} answered {answer.status}{': ' + said if said else ''}"
        raise RegistryError(text, answer.status)

    def wait(self, delay: float, error: BaseException) -> None:
        if isinstance(error, Refused):
            raise error
        delay = min(max(delay, getattr(error, "delay", 0.0)), LONGEST)
        if self._report is not None:
            self._report(f"Retrying in {delay:.0f} seconds" if delay >= 1.5 else "Retrying in 1 second")
        time.sleep(delay)


class Again(Exception):
    """An answer that may be a better one next time."""

    def __init__(self, text: str, delay: float = 0.0) -> None:
        super().__init__(text)
        self.delay = delay


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes


def asked_to_wait(answer: http.client.HTTPResponse) -> float:
    text = answer.headers.get("Retry-After", "")
    return min(float(text), LONGEST) if text.isdigit() else 0.0


def _error_text(body: bytes) -> str:
    """The registry's own words out of an error's body, which may be anything."""
    try:
        first = json.loads(body)["errors"][0]
        return printable(f"{first.get('code', '')}: {first.get('message', '')}".strip(": ").lower())
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        return ""
