"""A file from the web as a stream: http and https, whole or an error.

Credentials in an address (`https://name:password@host/`) go to that host alone, never along a redirect.
"""

from __future__ import annotations

import base64
import http.client
import ssl
import urllib.error
import urllib.parse
import urllib.request

from engine.errors import InvalidInput, NotFound, StrataError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO, Self

TIMEOUT = 60.0  # seconds without a byte
LIMIT = 1 << 40  # bytes that anybody may send us
REDIRECTS = 10


def shown_url(url: str) -> str:
    """An address as it may be shown and kept: without name, password, query (signed addresses have a key there)."""
    parts = urllib.parse.urlsplit(url)
    return urllib.parse.urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


class Download:
    """The body of an answer. A context manager; `size` is -1 when the server does not say."""

    def __init__(self, url: str, *, timeout: float = TIMEOUT, limit: int = LIMIT) -> None:
        """Ask for it. NotFound for a 404; StrataError for any other answer or none; InvalidInput for no address."""
        try:
            self.shown = shown_url(url)
        except ValueError as error:
            raise InvalidInput(f"not an address: {error}") from None
        self._limit = limit
        self.taken = 0
        try:
            self._answer = _opener().open(_request(url), timeout=timeout)
        except urllib.error.HTTPError as error:
            with error:
                if error.code in (404, 410):
                    raise NotFound(self._failed(f"{error.code} {error.reason}")) from None
                raise StrataError(self._failed(f"the server answered {error.code} {error.reason}")) from None
        except (http.client.InvalidURL, UnicodeError, ValueError) as error:
            raise InvalidInput(self._failed(f"not an address: {error}")) from None
        except (OSError, http.client.HTTPException) as error:
            raise StrataError(self._failed(_why(error))) from None
        length = self._answer.headers.get("Content-Length", "")
        self.size = int(length) if length.isascii() and length.isdecimal() else -1
        if self.size > limit:
            self._answer.close()
            raise StrataError(self._failed(f"it has {self.size} bytes, the limit is {limit}"))

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes, b"" at the end. StrataError when it is cut off, stalls, or is longer than the limit."""
        try:
            data: bytes = self._answer.read(size if size >= 0 else self._limit + 1)
        except (OSError, http.client.HTTPException) as error:
            raise StrataError(self._failed(f"it broke off after {self.taken} bytes ({_why(error)})")) from None
        self.taken += len(data)
        if self.taken > self._limit:
            raise StrataError(self._failed(f"it has more than {self._limit} bytes"))
        # http.client tells of a body that ends early only to who reads all of it at once.
        if not data and size and self.taken < self.size:
            raise StrataError(self._failed(f"it broke off after {self.taken} of {self.size} bytes"))
        return data

    def close(self) -> None:
        self._answer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _failed(self, why: str) -> str:
        return f"cannot download {self.shown}: {why}; check the address and try again"


class _Redirects(urllib.request.HTTPRedirectHandler):
    """To http and https only, and never from https to http."""

    max_redirections = REDIRECTS

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        scheme = urllib.parse.urlsplit(newurl).scheme.lower()
        if scheme not in ("http", "https") or (req.type == "https" and scheme != "https"):
            fp.close()
            raise urllib.error.URLError(f"refused to follow a redirect to {shown_url(newurl)}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(context=ssl.create_default_context()),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _Redirects(),
    ):
        opener.add_handler(handler)
    return opener


def _request(url: str) -> urllib.request.Request:
    parts = urllib.parse.urlsplit(url)
    if not parts.hostname:
        raise ValueError("it names no host")
    account, _, host = parts.netloc.rpartition("@")
    path = urllib.parse.quote(parts.path, safe="/%:@!$&'()*+,;=~-._")
    request = urllib.request.Request(urllib.parse.urlunsplit((parts.scheme, host, path, parts.query, "")))
    request.add_header("User-Agent", "strata")
    request.add_header("Accept-Encoding", "identity")
    if account:
        pair = urllib.parse.unquote_to_bytes(account)
        request.add_unredirected_header("Authorization", "Basic " + base64.b64encode(pair).decode())
    return request


def _why(error: Exception) -> str:
    reason = getattr(error, "reason", None) or error
    if isinstance(reason, TimeoutError):
        return "no answer in time"
    text = getattr(reason, "strerror", None) or str(reason)
    return text or type(reason).__name__
