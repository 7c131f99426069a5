"""Names and passwords of registries, where docker keeps them: `config.json` in $DOCKER_CONFIG or ~/.docker.

    {"auths": {"registry.example:5000": {"auth": "base64(name:password)"}},
     "credsStore": "pass", "credHelpers": {"registry.example": "secretservice"}}

Helpers are programs `docker-credential-NAME` with the words get, store and erase
(github.com/docker/docker-credential-helpers): the server's name on standard input, JSON on standard output.
"""

from __future__ import annotations

import base64
import json
import os
from dataclasses import dataclass

from engine.errors import InvalidInput
from engine.registry.errors import RegistryError, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

HUB = "https://index.docker.io/v1/"  # docker.io's key since the days of its first index
TOKEN_USER = "<token>"  # a helper's way to say that the secret is an identity token


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user's name and password; or an identity token, with no password."""

    username: str
    password: str = ""
    token: str = ""

    @property
    def basic(self) -> str:
        """The value of an Authorization header (RFC 7617)."""
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()


def config_path() -> str:
    """Where docker's config.json is, whether it is there or not."""
    directory = os.environ.get("DOCKER_CONFIG") or os.path.join(os.path.expanduser("~"), ".docker")
    return os.path.join(directory, "config.json")


def find(domain: str) -> Credentials | None:
    """What is kept for a registry, or None. InvalidInput for a malformed file, RegistryError when a helper fails."""
    document = _read()
    for key in _keys(domain):
        helper = _helper(document, key)
        if helper:
            found = _ask(helper, key)
            if found is not None:
                return found
    auths = document.get("auths") or {}
    wanted = _keys(domain)
    for key, entry in auths.items():
        if key in wanted or _host(key) in wanted:
            found = _entry(entry, key)
            if found is not None:
                return found
    return None


def keep(domain: str, credentials: Credentials) -> str:
    """Keep credentials where the configuration says; returns where, in words."""
    document = _read()
    key = _keys(domain)[0]
    helper = _helper(document, key)
    if helper:
        secret = {"ServerURL": key, "Username": credentials.username, "Secret": credentials.password}
        _run(helper, "store", json.dumps(secret))
        document.setdefault("auths", {})[key] = {}
    else:
        pair = f"{credentials.username}:{credentials.password}".encode()
        document.setdefault("auths", {})[key] = {"auth": base64.b64encode(pair).decode()}
    _write(document)
    return f"the credential helper {helper}" if helper else config_path()


def forget(domain: str) -> bool:
    """Remove what is kept for a registry; whether there was anything."""
    document = _read()
    auths = document.get("auths") or {}
    found = False
    for key in _keys(domain):
        helper = _helper(document, key)
        if helper and _ask(helper, key) is not None:
            _run(helper, "erase", key)
            found = True
    gone = [key for key in auths if key in _keys(domain) or _host(key) in _keys(domain)]
    for key in gone:
        del auths[key]
    if gone:
        _write(document)
    return found or bool(gone)


def _keys(domain: str) -> list[str]:
    return [HUB, "docker.io", "index.docker.io", "registry-1.docker.io"] if domain == "docker.io" else [domain]


def _host(key: str) -> str:
    return key.removeprefix("https://").removeprefix("http://").partition("/")[0]


def _helper(document: dict[str, Any], key: str) -> str:
    helpers = document.get("credHelpers") or {}
    name = helpers.get(key) or helpers.get(_host(key)) or document.get("credsStore") or ""
    if not isinstance(name, str) or "/" in name:
        raise InvalidInput(f"{config_path()}: the credential helper of {key} is no program's name")
    return name


def _entry(entry: Any, key: str) -> Credentials | None:
    if not isinstance(entry, dict):
        raise InvalidInput(f"{config_path()}: auths: {key} is not an object")
    name, password, token = entry.get("username", ""), entry.get("password", ""), entry.get("identitytoken", "")
    if entry.get("auth"):
        try:
            name, _, password = base64.b64decode(entry["auth"], validate=True).decode().rstrip("\0").partition(":")
        except (ValueError, TypeError):
            raise InvalidInput(f"{config_path()}: auths: the entry of {key} is damaged; log in again")
    if token:
        return Credentials(name, "", token)
    return Credentials(name, password) if name else None


def _ask(helper: str, key: str) -> Credentials | None:
    answer = _run(helper, "get", key, may_miss=True)
    if answer is None:
        return None
    try:
        found = json.loads(answer)
        name, secret = found["Username"], found["Secret"]
    except (ValueError, KeyError, TypeError):
        raise RegistryError(f"the credential helper {helper} answered something that is no credentials")
    return Credentials("", "", secret) if name == TOKEN_USER else Credentials(name, secret)


def _run(helper: str, word: str, text: str, *, may_miss: bool = False) -> str | None:
    import subprocess

    program = f"docker-credential-{helper}"
    try:
        done = subprocess.run([program, word], input=text, capture_output=True, text=True, timeout=60)
    except FileNotFoundError:
        raise RegistryError(f"{config_path()} wants the credential helper {program}, which is not installed")
    except subprocess.TimeoutExpired:
        raise RegistryError(f"the credential helper {program} does not answer")
    if done.returncode == 0:
        return done.stdout
    said = printable((done.stdout or done.stderr).strip())
    if may_miss and "not found" in said:
        return None
    raise RegistryError(f"the credential helper {program} failed: {said}")


def _read() -> dict[str, Any]:
    path = config_path()
    try:
        with open(path, "rb") as file:
            document = json.load(file)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise InvalidInput(f"cannot read {path}: {error.strerror}")
    except ValueError as error:
        raise InvalidInput(f"{path} is not valid JSON: {error}")
    if not isinstance(document, dict) or not isinstance(document.get("auths") or {}, dict):
        raise InvalidInput(f"{path} is not docker's configuration: expected an object with auths")
    return document


def _write(document: dict[str, Any]) -> None:
    """Replace the file at once, readable by its owner only; a link's target is replaced, not the link."""
    path = os.path.realpath(config_path())
    os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
    new = f"{path}.{os.getpid()}.new"
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(fd, "w") as file:
            json.dump(document, file, indent="\t")
            file.flush()
            os.fsync(fd)
        os.rename(new, path)
    except BaseException:
        os.unlink(new)
        raise
