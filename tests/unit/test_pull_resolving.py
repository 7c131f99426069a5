"""What a name in a registry leads to: which of a list's images, and which documents are refused."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from engine.commands.resolving import MAX_FETCHED, Found, Resolver, check_config_size, checked_config, is_index
from engine.errors import InvalidInput, NotFound, StrataError
from engine.oci.digests import digest_of
from engine.oci.documents import MAX_DOCUMENT
from engine.oci.manifests import (
    CONFIG,
    DOCKER_INDEX,
    DOCKER_MANIFEST,
    INDEX,
    LAYER_GZIP,
    MANIFEST,
    Descriptor,
    Manifest,
    parse_manifest,
)
from engine.oci.platforms import parse_platform
from engine.registry.client import Fetched

LAYER = {"mediaType": LAYER_GZIP, "digest": "sha256:" + "1" * 64, "size": 1}


class Documents:
    """A registry of documents only."""

    def __init__(self) -> None:
        self.there: dict[str, Fetched] = {}
        self.configs: dict[str, bytes] = {}
        self.asked: list[str] = []

    def put(self, document: dict[str, Any], media_type: str = "", tag: str = "") -> dict[str, Any]:
        """Keep a document; its descriptor."""
        data = json.dumps(document).encode()
        media_type = media_type or document["mediaType"]
        self.there[tag] = self.there[digest_of(data)] = Fetched(data, media_type, digest_of(data))
        return {"mediaType": media_type, "digest": digest_of(data), "size": len(data)}

    def image(self, platform: str, said: str | None = None, tag: str = "", **changes: Any) -> dict[str, Any]:
        """Keep an image; its entry for a list, with its platform, or what is `said` of it, "" = nothing."""
        system, architecture, *variant = platform.split("/")
        own = {"os": system, "architecture": architecture, **({"variant": variant[0]} if variant else {})}
        config = json.dumps({**own, "rootfs": {"type": "layers", "diff_ids": []}}).encode()
        self.configs[digest_of(config)] = config
        there = {"mediaType": CONFIG, "digest": digest_of(config), "size": len(config)}
        document = {"schemaVersion": 2, "mediaType": MANIFEST, "config": there, "layers": [], **changes}
        entry = self.put(document, tag=tag)
        if said != "":
            names = ("os", "architecture", "variant")
            entry["platform"] = dict(zip(names, (said or platform).split("/"), strict=False))
        return entry

    def index(self, *entries: dict[str, Any], tag: str = "", **changes: Any) -> dict[str, Any]:
        document = {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries, **changes}
        return self.put(document, tag=tag)

    def fetch(self, reference: str) -> Fetched:
        self.asked.append(reference)
        return self.there[reference]

    def find(self, platform: str, tag: str = "1") -> Found:
        def config(manifest: Manifest) -> bytes:
            return self.configs[manifest.config.digest]

        return Resolver(self.fetch, config, parse_platform(platform)).find(tag, "demo:1")

    def platform(self, platform: str) -> str:
        """Of the image that is found."""
        config = json.loads(self.configs[self.find(platform).manifest.config.digest])
        return "/".join(config[key] for key in ("os", "architecture", "variant") if key in config)


@pytest.fixture
def there() -> Documents:
    return Documents()


def test_an_image_by_itself_is_what_it_is(there: Documents) -> None:
    there.image("linux/arm64", tag="1")
    found = there.find("linux/amd64")
    assert found.data == found.top.data == there.there["1"].data and not found.sure


ARMS = ["linux/amd64", "linux/arm/v5", "linux/arm/v7", "linux/arm64/v8", "windows/amd64"]


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [
        ("linux/amd64", "linux/amd64"),
        ("linux/arm/v5", "linux/arm/v5"),
        ("linux/arm/v6", "linux/arm/v5"),
        ("linux/arm", "linux/arm/v7"),
        ("linux/arm64", "linux/arm64/v8"),
        ("linux/x86_64", "linux/amd64"),
        ("linux/aarch64/v8", "linux/arm64/v8"),
        ("windows/amd64", "windows/amd64"),
    ],
)
@pytest.mark.parametrize("nested", [False, True])
def test_a_list_gives_what_fits_best(there: Documents, wanted: str, chosen: str, nested: bool) -> None:
    entries = [there.image(platform) for platform in ARMS]
    there.index(*([there.index(*entries[:2]), there.index(*entries[2:])] if nested else entries), tag="1")
    assert there.platform(wanted) == chosen
    assert there.find(wanted).sure and there.find(wanted).top.digest == there.there["1"].digest


def test_a_list_without_it_says_what_it_has(there: Documents) -> None:
    entries = [there.image(platform) for platform in ARMS]
    attestation = {**there.image("unknown/unknown"), "platform": {"os": "unknown", "architecture": "unknown"}}
    there.index(there.index(*entries[:2], attestation), *entries[2:], tag="1")
    expected = (
        "no matching manifest for linux/s390x in the manifest list entries; demo:1 has linux/amd64, linux/arm/v5, "
        "linux/arm/v7, linux/arm64/v8, windows/amd64"
    )
    with pytest.raises(NotFound, match=f"^{re.escape(expected)}$"):
        there.find("linux/s390x")
    there.index(tag="1")
    with pytest.raises(NotFound, match=r"demo:1 has none$"):
        there.find("linux/s390x")


def test_attestations_and_strange_things_in_a_list_are_passed_over(there: Documents) -> None:
    attestation = there.image("unknown/unknown", "")
    attestation["annotations"] = {"vnd.docker.reference.type": "attestation-manifest"}
    strange = {"mediaType": "application/vnd.example", "digest": "sha256:" + "0" * 64, "size": 2}
    artifact = there.image("linux/amd64", "", config={**LAYER, "mediaType": "application/vnd.oci.empty.v1+json"})
    there.index(attestation, strange, artifact, there.image("linux/amd64"), tag="1")
    assert there.platform("linux/amd64") == "linux/amd64"


def test_entries_without_a_platform_are_told_by_their_configs(there: Documents) -> None:
    there.index(there.image("linux/arm64", ""), there.image("linux/amd64", ""), tag="1")
    assert there.platform("linux/amd64") == "linux/amd64"
    assert there.platform("linux/arm64") == "linux/arm64"
    with pytest.raises(NotFound, match=r"demo:1 has linux/amd64, linux/arm64$"):
        there.find("linux/riscv64")


def test_a_list_is_believed_about_an_image_that_says_otherwise(there: Documents) -> None:
    there.index(there.image("linux/amd64", "linux/arm64"), tag="1")
    assert there.find("linux/arm64").sure


def test_dockers_types_are_as_good(there: Documents) -> None:
    entry = there.image("linux/amd64", mediaType=DOCKER_MANIFEST)
    there.index(entry, tag="1", mediaType=DOCKER_INDEX)
    assert there.platform("linux/amd64") == "linux/amd64"


def test_a_document_of_no_type_is_told_by_what_is_in_it(there: Documents) -> None:
    entry = there.image("linux/amd64")
    there.put({"schemaVersion": 2, "manifests": [entry]}, "application/json", tag="1")
    assert there.platform("linux/amd64") == "linux/amd64"


def test_a_list_may_not_lead_on_for_ever(there: Documents) -> None:
    entry = there.image("linux/amd64")
    for depth in range(6):
        entry = there.index(entry, annotations={"depth": str(depth)}, tag="1")
    with pytest.raises(InvalidInput, match="nested too deeply"):
        there.find("linux/amd64")
    there.index(*[there.index(annotations={"n": str(number)}) for number in range(MAX_FETCHED + 1)], tag="1")
    there.asked.clear()
    with pytest.raises(InvalidInput, match=f"leads to more than {MAX_FETCHED} documents"):
        there.find("linux/amd64")
    assert len(there.asked) == MAX_FETCHED + 1


def document(**changes: Any) -> dict[str, Any]:
    config = {"mediaType": CONFIG, "digest": "sha256:" + "2" * 64, "size": 1}
    return {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [LAYER], **changes}


def layer(media_type: str, **more: Any) -> dict[str, Any]:
    return document(layers=[{**LAYER, "mediaType": media_type, **more}])


FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
NONDISTRIBUTABLE = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"


@pytest.mark.parametrize(
    ("said", "media_type", "says"),
    [
        ({"schemaVersion": 1, "fsLayers": []}, "application/vnd.docker.distribution.manifest.v1+prettyjws", "schema 1"),
        (document(), INDEX, "is ambiguous: '.*manifest.v1.json' came as '.*index"),
        (document(mediaType=DOCKER_MANIFEST), MANIFEST, "is ambiguous: .* came as "),
        (document(mediaType=INDEX), INDEX, "is ambiguous: it is not what its media type"),
        (document(manifests=[]), MANIFEST, "is ambiguous"),
        (document(manifests=[], mediaType="x"), "", "is ambiguous|not one of"),
        (document(mediaType="application/vnd.example"), "application/vnd.example", "media type .* is not one of"),
        (layer(FOREIGN, urls=["https://example.com/x"]), MANIFEST, "is not in the registry but somewhere else"),
        (layer(NONDISTRIBUTABLE, urls=["https://example.com/x"]), MANIFEST, "is not in the registry"),
        (layer("application/vnd.cncf.helm.chart.content.v1.tar+gzip"), MANIFEST, "is no archive of files"),
        (layer("application/vnd.oci.image.layer.v1.tar+gzip+encrypted"), MANIFEST, "is no archive of files"),
        (document(config={**LAYER, "mediaType": "application/vnd.docker.plugin.v1+json"}), MANIFEST, "is no image"),
        (document(config={**LAYER, "mediaType": "application/vnd.oci.empty.v1+json"}), MANIFEST, "is no image"),
        (document(layers=[{**LAYER, "size": -1}]), MANIFEST, "needs a media type and a size"),
        (document(layers=[{**LAYER, "digest": "sha256:../x"}]), MANIFEST, "invalid digest"),
    ],
)
def test_what_is_no_image_is_refused(there: Documents, said: dict[str, Any], media_type: str, says: str) -> None:
    there.put(said, media_type or "application/json", tag="1")
    with pytest.raises(InvalidInput, match=says) as found:
        there.find("linux/amd64")
    assert str(found.value).isprintable()


def test_a_layer_of_those_types_that_the_registry_has_is_a_layer(there: Documents) -> None:
    for kind in (FOREIGN, NONDISTRIBUTABLE, "", "application/vnd.oci.image.layer.v1.tar+zstd"):
        there.put(layer(kind), MANIFEST, tag="1")
        assert there.find("linux/amd64").manifest.layers[0].media_type == kind


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"size": 3}, r"has \d+ bytes, its index says 3"),
        ({"mediaType": INDEX}, "is ambiguous: it is not the '.*index.* that its index says"),
    ],
)
def test_a_list_that_lies_about_what_is_in_it(there: Documents, change: dict[str, Any], says: str) -> None:
    there.index({**there.image("linux/amd64"), **change}, tag="1")
    with pytest.raises(InvalidInput, match=says):
        there.find("linux/amd64")


def test_a_config_is_the_one_that_the_manifest_names(there: Documents) -> None:
    data = json.dumps(document()).encode()
    with pytest.raises(InvalidInput, match=r"config sha256:2+ is damaged"):
        checked_config(b"x", parse_manifest(data))
    with pytest.raises(InvalidInput, match="is too large: 4194305 bytes"):
        check_config_size(Manifest(Descriptor(CONFIG, "sha256:" + "2" * 64, MAX_DOCUMENT + 1), ()))


def test_bytes_that_are_no_document(there: Documents) -> None:
    for data in (b"", b"[]", b"\xff", b'{"a": 1, "a": 2}', b"[" * 100_000):
        with pytest.raises(StrataError):
            is_index(Fetched(data, MANIFEST, digest_of(data)))
