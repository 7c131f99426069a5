"""login and logout: credentials of a registry, checked and kept where docker keeps them."""

from __future__ import annotations

from engine.errors import InvalidInput


def login(server: str, username: str, password: str) -> str:
    """Check a name and a password at a registry (`""` = docker.io) and keep them; returns where they are kept.

    Unauthorized when they are not good; nothing is kept then.
    """
    from engine.registry.client import Registry
    from engine.registry.credentials import Credentials, keep

    domain = registry_domain(server)
    if not username or not password:
        raise InvalidInput("a user name and a password are needed to log in")
    credentials = Credentials(username, password)
    with Registry(domain, push=True) as registry:
        registry.login(credentials)
    return keep(domain, credentials)


def logout(server: str) -> bool:
    """Forget what is kept for a registry; whether there was anything."""
    from engine.registry.credentials import forget

    return forget(registry_domain(server))


def registry_domain(server: str) -> str:
    """The domain that images of a registry are named with: `https://index.docker.io/v1/` is docker.io."""
    domain = server.removeprefix("https://").removeprefix("http://").partition("/")[0]
    if domain in ("", "index.docker.io", "registry-1.docker.io"):
        return "docker.io"
    if not all(character.isalnum() or character in ".-:[]" for character in domain):
        raise InvalidInput(f"{server} is not a registry's name: expected host[:port]")
    return domain
