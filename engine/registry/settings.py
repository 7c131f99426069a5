"""Which mirrors a registry has and how it is spoken to, by TOML files: the system's, the user's, then STRATA_CONFIG.

    [registries."docker.io"]
    mirrors = ["https://mirror.example/hub", "http://127.0.0.1:5001"]
    [registries."registry.example:5000"]
    insecure = true                # TLS without checking the certificate, else plain HTTP
    ca = "/etc/ssl/example.pem"    # who signed its certificate
    client-certificate = "/home/me/me.pem"
    client-key = "/home/me/me.key"

A later file replaces what an earlier one says of the same registry.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from engine.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SYSTEM = "/etc/strata/registries.toml"
KEYS = {"mirrors": list, "insecure": bool, "ca": str, "client-certificate": str, "client-key": str}


@dataclass(frozen=True, slots=True)
class RegistrySettings:
    """What is said of one registry. mirrors: URLs, tried before it for pulls."""

    mirrors: tuple[str, ...] = ()
    insecure: bool = False
    ca: str = ""
    certificate: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the files say, by registry domain."""

    registries: dict[str, RegistrySettings] = field(default_factory=dict)

    def of(self, domain: str) -> RegistrySettings:
        return self.registries.get(domain, RegistrySettings())


def load_settings() -> Settings:
    """Read the files that there are. InvalidInput for a malformed one, or when STRATA_CONFIG names none."""
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
    found: dict[str, RegistrySettings] = {}
    for path, must in (
        (SYSTEM, False),
        (os.path.join(home, "strata", "registries.toml"), False),
        (os.environ.get("STRATA_CONFIG", ""), True),
    ):
        if path and (must or os.path.exists(path)):
            found.update(_read(path))
    return Settings(found)


def _read(path: str) -> dict[str, RegistrySettings]:
    import tomllib

    try:
        with open(path, "rb") as file:
            document = tomllib.load(file)
    except OSError as error:
        raise InvalidInput(f"cannot read the configuration {path}: {error.strerror}")
    except ValueError as error:
        raise InvalidInput(f"{path} is not valid TOML: {error}")
    registries = document.get("registries", {})
    unknown = set(document) - {"registries"}
    if unknown or not isinstance(registries, dict):
        raise InvalidInput(f'{path}: expected tables [registries."NAME"], found {", ".join(sorted(unknown)) or "none"}')
    return {domain: _one(table, f'{path}: registries."{domain}"') for domain, table in registries.items()}


def _one(table: Any, what: str) -> RegistrySettings:
    if not isinstance(table, dict):
        raise InvalidInput(f"{what} is not a table")
    for key, value in table.items():
        if key not in KEYS:
            raise InvalidInput(f"{what}: unknown key {key!r}; known are {', '.join(KEYS)}")
        if not isinstance(value, KEYS[key]):
            raise InvalidInput(f"{what}: {key} must be a {KEYS[key].__name__}")
    mirrors = table.get("mirrors", [])
    for mirror in mirrors:
        if not isinstance(mirror, str) or not mirror.startswith(("http://", "https://")):
            raise InvalidInput(f"{what}: a mirror must be an http:// or https:// URL, not {mirror!r}")
    return RegistrySettings(
        tuple(mirrors),
        table.get("insecure", False),
        table.get("ca", ""),
        table.get("client-certificate", ""),
        table.get("client-key", ""),
    )
