"""Names of images are read as docker reads them: its own examples, its grammar as an oracle, and round trips."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from engine.errors import InvalidInput
from engine.oci.references import Reference, familiar, parse_reference

HEX = "0123456789abcdef" * 4

# github.com/distribution/reference, regexp.go, put together here once more, as the oracle.
ALPHANUMERIC = r"[a-z0-9]+"
COMPONENT = rf"{ALPHANUMERIC}(?:(?:\.|_|__|-+){ALPHANUMERIC})*"
DOMAIN_COMPONENT = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
DOMAIN = rf"(?:{DOMAIN_COMPONENT}(?:\.{DOMAIN_COMPONENT})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
TAG = r"[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127}"
GRAMMAR = re.compile(rf"{DOMAIN}/{COMPONENT}(?:/{COMPONENT})*(?::{TAG})?(?:@sha256:[a-f0-9]{{64}})?")

component = st.from_regex(rf"\A{COMPONENT}\Z").filter(lambda text: len(text) < 60)
domain = st.from_regex(rf"\A{DOMAIN}\Z").map(lambda text: text.strip())
marked_domain = domain.filter(lambda text: len(text) < 80 and ("." in text or ":" in text or text.lower() != text))
tag = st.from_regex(rf"\A{TAG}\Z").map(lambda text: text.strip())
references = st.builds(
    Reference,
    st.one_of(st.just("docker.io"), st.sampled_from(["localhost", "a.b", "host:5000", "[::1]:80"]), marked_domain),
    st.lists(component, min_size=1, max_size=4).map("/".join),
    tag,
    st.one_of(st.just(""), st.just("sha256:" + HEX)),
)


@pytest.mark.parametrize(
    ("text", "normalized", "short"),
    [
        ("demo", "docker.io/library/demo:latest", "demo:latest"),
        ("demo:1.0", "docker.io/library/demo:1.0", "demo:1.0"),
        ("user/demo", "docker.io/user/demo:latest", "user/demo:latest"),
        ("docker.io/demo", "docker.io/library/demo:latest", "demo:latest"),
        ("docker.io/library/demo", "docker.io/library/demo:latest", "demo:latest"),
        ("index.docker.io/library/demo", "docker.io/library/demo:latest", "demo:latest"),
        ("localhost/demo", "localhost/demo:latest", "localhost/demo:latest"),
        ("localhost:5000/x", "localhost:5000/x:latest", "localhost:5000/x:latest"),
        ("a.b/c", "a.b/c:latest", "a.b/c:latest"),
        ("a.b:80/c/d/e:f", "a.b:80/c/d/e:f", "a.b:80/c/d/e:f"),
        ("[2001:db8::1]:5000/x", "[2001:db8::1]:5000/x:latest", "[2001:db8::1]:5000/x:latest"),
        ("UPPER/demo", "UPPER/demo:latest", "UPPER/demo:latest"),
        ("a__b/c-----d", "docker.io/a__b/c-----d:latest", "a__b/c-----d:latest"),
        (f"demo@sha256:{HEX}", f"docker.io/library/demo@sha256:{HEX}", f"demo@sha256:{HEX}"),
        (f"demo:x@sha256:{HEX}", f"docker.io/library/demo:x@sha256:{HEX}", f"demo:x@sha256:{HEX}"),
        ("docker.io/localhost/x", "docker.io/localhost/x:latest", "docker.io/localhost/x:latest"),
        ("docker.io/a.b/c", "docker.io/a.b/c:latest", "docker.io/a.b/c:latest"),
        ("foo.bar", "docker.io/library/foo.bar:latest", "foo.bar:latest"),
        ("demo:" + "t" * 128, "docker.io/library/demo:" + "t" * 128, "demo:" + "t" * 128),
    ],
)
def test_docker_reads_and_shows_names_like_this(text: str, normalized: str, short: str) -> None:
    reference = parse_reference(text)
    assert str(reference) == normalized
    assert reference.familiar() == familiar(normalized) == short


@pytest.mark.parametrize(
    "text",
    [
        *("", ":", "/", "@", "-demo", "demo-", "a..b", "a___b", "a._b", "demo:", "demo:-x", "demo:.x", "demo: x"),
        *(" demo", "demo ", "demo\n", "a//b", "/a", "a/", "http://a/b", "demo@", "demo@sha256:12", "demo:a:b", "dëmo"),
        *("a.b:/c", "a.b:port/c", "-a.b/c", "a-.b/c", "[::1/x", "[]/x", "[::g]/x", f"demo@sha256:{HEX.upper()}"),
        *(f"demo@md5:{HEX[:32]}", "demo:" + "t" * 129, "a" * 256, "demo\0", "../x", "a/../b"),
    ],
)
def test_docker_refuses_these(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_reference(text)


def test_the_texts_of_refusals_are_dockers() -> None:
    with pytest.raises(InvalidInput, match=re.escape("repository name (library/Demo) must be lowercase")):
        parse_reference("Demo")
    with pytest.raises(InvalidInput, match="cannot specify 64-byte hexadecimal strings"):
        parse_reference(HEX)
    with pytest.raises(InvalidInput, match=r"^invalid reference format$"):
        parse_reference("a b")


@given(references)
@example(Reference("docker.io", "library/localhost", "x"))
@example(Reference("docker.io", "library/library/x", "x"))
def test_what_is_shown_reads_back_as_the_same_name(reference: Reference) -> None:
    assume(reference.domain != "docker.io" or "/" in reference.path)  # docker.io/x is docker.io/library/x
    assert parse_reference(str(reference)) == reference
    assert parse_reference(reference.familiar()) == reference


@given(st.text(alphabet="aZ09._-:/@[]x ", max_size=24))
def test_whatever_is_accepted_fits_dockers_grammar_and_nothing_else_is_refused(text: str) -> None:
    try:
        reference = parse_reference(text)
    except InvalidInput:
        first, slash, rest = text.partition("/")
        if slash and ("." in first or ":" in first or first.lower() != first):
            full = f"{first}/{rest}"
        else:
            full = f"docker.io/library/{text}" if not slash else f"docker.io/{text}"
        assert not GRAMMAR.fullmatch(full)
    else:
        assert GRAMMAR.fullmatch(str(reference))
