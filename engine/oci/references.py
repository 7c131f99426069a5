"""Names of images, by docker's rules: `demo` is short for `docker.io/library/demo:latest`.

The grammar is that of github.com/distribution/reference (reference.go, normalize.go):

    reference  := name [":" tag] ["@" digest]
    name       := [domain "/"] component ["/" component]…
    domain     := host [":" port]        the first component is one only if it has a "." or ":", is `localhost`,
                                         or holds an upper-case letter
    component  := [a-z0-9]+ joined by one ".", "_", "__" or any number of "-"
    tag        := [A-Za-z0-9_][A-Za-z0-9_.-]{0,127}

Checked by hand rather than by regular expressions: compiling docker's takes longer than a whole `strata ps` may add.
"""

from __future__ import annotations

from engine.errors import InvalidInput
from engine.oci.digests import HEX, is_hex_id
from engine.values import Values

DEFAULT_DOMAIN = "docker.io"
LEGACY_DOMAIN = "index.docker.io"
OFFICIAL = "library"
DEFAULT_TAG = "latest"
MAX_PATH = 255

LOWER_ALNUM = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")
ALNUM = LOWER_ALNUM | frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
WORD = ALNUM | {"_"}
TAG = WORD | frozenset(".-")
DIGITS = frozenset("0123456789")
DIGEST_LENGTHS = {"sha256": 64, "sha384": 96, "sha512": 128}


class Reference(Values):
    """A normalized name: `docker.io`, `library/demo`, `latest`, ``. At least one of tag and digest is set when it came
    from `parse_reference`."""

    domain: str
    path: str
    tag: str = ""
    digest: str = ""

    @property
    def repository(self) -> str:
        """`docker.io/library/demo`."""
        return f"{self.domain}/{self.path}"

    @property
    def familiar_repository(self) -> str:
        """The shortest form that reads back as the same repository: `demo`, `user/demo`, `host:5000/demo`."""
        if self.domain != DEFAULT_DOMAIN:
            return self.repository
        first, _, rest = self.path.partition("/")
        if first == OFFICIAL and rest and "/" not in rest:
            return rest
        if not rest or _is_domain(first):  # docker.io/localhost/x must not be taken for the host `localhost`
            return self.repository
        return self.path

    def familiar(self) -> str:
        """The form people see: `demo:latest`."""
        return self.familiar_repository + self._suffix()

    def _suffix(self) -> str:
        return (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    def __str__(self) -> str:
        return self.repository + self._suffix()


def parse_reference(text: str) -> Reference:
    """Read a name as docker does; a name with neither tag nor digest gets the tag `latest`.

    InvalidInput with docker's text otherwise. A bare 64-digit hexadecimal id is never a name.
    """
    if is_hex_id(text):
        raise InvalidInput(f"invalid repository name ({text}), cannot specify 64-byte hexadecimal strings")
    domain, rest = _split_domain(text)
    name, at, digest = rest.partition("@")
    path, colon, tag = name.partition(":")
    if path.lower() != path:
        shown = path if path.isprintable() else ascii(path)  # it may come from an archive, and go to a terminal
        raise InvalidInput(f"invalid reference format: repository name ({shown}) must be lowercase")
    if not (
        _domain_ok(domain)
        and path
        and all(_component_ok(part) for part in path.split("/"))
        and (not colon or tag_ok(tag))
        and (not at or _digest_ok(digest))
    ):
        raise InvalidInput("invalid reference format")
    if len(path) > MAX_PATH:
        raise InvalidInput(f"repository name must not be more than {MAX_PATH} characters")
    if not tag and not digest:
        tag = DEFAULT_TAG
    return Reference(domain, path, tag, digest)


def familiar(normalized: str) -> str:
    """The familiar form of a name as `images.json` keeps it."""
    return parse_reference(normalized).familiar()


def tag_ok(tag: str) -> bool:
    """Whether `tag` is a valid tag: one to 128 word characters, dots and dashes, not starting with a dot or dash."""
    return 0 < len(tag) <= 128 and tag[0] in WORD and TAG.issuperset(tag)


def _is_domain(first: str) -> bool:
    return "." in first or ":" in first or first == "localhost" or first.lower() != first


def _split_domain(text: str) -> tuple[str, str]:
    first, slash, rest = text.partition("/")
    if slash and (_is_domain(first) or first == LEGACY_DOMAIN):
        domain, remainder = first, rest
    else:
        domain, remainder = DEFAULT_DOMAIN, text
    if domain == LEGACY_DOMAIN:
        domain = DEFAULT_DOMAIN
    if domain == DEFAULT_DOMAIN and "/" not in remainder:
        remainder = f"{OFFICIAL}/{remainder}"
    return domain, remainder


def _domain_ok(domain: str) -> bool:
    if domain.startswith("["):  # an IPv6 address
        address, bracket, port = domain[1:].partition("]")
        if not bracket or not address or not set(address) <= HEX | frozenset("ABCDEF:"):
            return False
        return not port or (port[0] == ":" and len(port) > 1 and DIGITS.issuperset(port[1:]))
    host, colon, port = domain.partition(":")
    if colon and (not port or not DIGITS.issuperset(port)):
        return False
    return all(
        part != "" and part[0] in ALNUM and part[-1] in ALNUM and set(part) <= ALNUM | {"-"} for part in host.split(".")
    )


def _component_ok(part: str) -> bool:
    if not part or part[0] not in LOWER_ALNUM or part[-1] not in LOWER_ALNUM:
        return False
    separator = ""
    for character in part:
        if character in LOWER_ALNUM:
            if separator and separator not in (".", "_", "__") and separator.strip("-"):
                return False
            separator = ""
        elif character in "._-":
            separator += character
        else:
            return False
    return True


def _digest_ok(digest: str) -> bool:
    algorithm, _, value = digest.partition(":")
    return len(value) == DIGEST_LENGTHS.get(algorithm, -1) and HEX.issuperset(value)
