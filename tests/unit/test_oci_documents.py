"""Documents from outside have one meaning or are refused; chain ids and times are what the specifications say."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import InvalidInput
from engine.oci.configs import chain_ids, layer_history, parse_config, trusted_config
from engine.oci.digests import digest_of, hasher, hex_of
from engine.oci.documents import MAX_DOCUMENT, dump_document, load_document, load_object
from engine.oci.manifests import CONFIG, INDEX, LAYER, MANIFEST, Descriptor, Manifest, parse_index, parse_manifest
from engine.oci.times import nanoseconds, rfc3339

A, B, C = ("sha256:" + letter * 64 for letter in "abc")


def test_a_digest_is_a_safe_file_name_or_refused() -> None:
    assert hex_of(A) == "a" * 64
    for bad in (
        "",
        "a" * 64,
        "sha256:" + "A" * 64,
        "sha256:" + "a" * 63,
        "sha256:../../etc",
        "md5:" + "a" * 64,
        A + "\n",
    ):
        with pytest.raises(InvalidInput):
            hex_of(bad)


def test_both_sha256_say_the_same() -> None:
    running = hasher()
    running.update(b"some text")
    assert (
        digest_of(b"some text")
        == "sha256:" + running.hexdigest()
        == "sha256:" + hashlib.sha256(b"some text").hexdigest()
    )


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"\xff\xfe{}",
        b'{"a": 1, "a": 2}',
        b'{"a": {"b": 1, "b": 1}}',
        b'{"a": NaN}',
        b'{"a": "\\ud800"}',
        b"[" * 200_000,
        b'{"a":' * 100_000,
        b"9" * 10_000,
        b'"' + b"x" * MAX_DOCUMENT + b'"',
    ],
    ids=[
        "empty",
        "torn",
        "not utf-8",
        "twice",
        "twice inside",
        "nan",
        "half a pair",
        "deep list",
        "deep object",
        "huge number",
        "huge",
    ],
)
def test_a_document_with_no_or_two_readings_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidInput):
        load_document(data, "it")


def test_only_an_object_is_an_object() -> None:
    with pytest.raises(InvalidInput, match="it is not a JSON object"):
        load_object(b"[]", "it")


def test_bytes_that_are_no_text_become_replacement_characters_in_our_documents() -> None:
    assert json.loads(dump_document({"a": "x\udcffy"})) == {"a": "x\ufffdy"}


def test_a_manifest_reads_back_as_it_was_written() -> None:
    manifest = Manifest(Descriptor(CONFIG, A, 10), (Descriptor(LAYER, B, 20), Descriptor(LAYER, B, 20)))
    assert parse_manifest(manifest.dump()) == manifest


GOOD: dict[str, Any] = {
    "schemaVersion": 2,
    "mediaType": MANIFEST,
    "config": {"mediaType": CONFIG, "digest": A, "size": 1},
    "layers": [{"mediaType": LAYER, "digest": B, "size": 2}],
}


@pytest.mark.parametrize(
    "change",
    [
        {"schemaVersion": 1},
        {"mediaType": INDEX},
        {"manifests": []},
        {"fsLayers": []},
        {"config": None},
        {"config": {"mediaType": CONFIG, "digest": A, "size": -1}},
        {"config": {"mediaType": CONFIG, "digest": A, "size": True}},
        {"config": {"mediaType": CONFIG, "digest": "sha256:../x", "size": 1}},
        {"layers": {}},
        {"layers": [1]},
        {"layers": GOOD["layers"] * 501},
    ],
)
def test_a_manifest_that_could_be_something_else_is_refused(change: dict[str, Any]) -> None:
    parse_manifest(json.dumps(GOOD).encode())
    with pytest.raises(InvalidInput):
        parse_manifest(json.dumps({**GOOD, **change}).encode())


def test_an_index_that_is_also_a_manifest_is_refused() -> None:
    index = {
        "schemaVersion": 2,
        "manifests": [{"mediaType": MANIFEST, "digest": A, "size": 1, "annotations": {"k": "v"}}],
    }
    assert parse_index(json.dumps(index).encode()) == (Descriptor(MANIFEST, A, 1, (("k", "v"),)),)
    with pytest.raises(InvalidInput, match="ambiguous"):
        parse_index(json.dumps({**index, **GOOD, "mediaType": INDEX}).encode())


def test_chain_ids_are_the_specifications() -> None:
    first = "a" * 64
    second = hashlib.sha256(f"sha256:{first} {B}".encode()).hexdigest()
    third = hashlib.sha256(f"sha256:{second} {C}".encode()).hexdigest()
    assert chain_ids([A, B, C]) == (first, second, third)
    assert chain_ids([]) == ()
    assert chain_ids([A, B])[1] != chain_ids([B, A])[1]


def test_a_config_keeps_what_we_do_not_know_and_reads_what_we_do() -> None:
    raw = {
        "os": "linux",
        "future": {"x": 1},
        "rootfs": {"type": "layers", "diff_ids": [A, B]},
        "history": [{"created_by": "one"}, {"created_by": "ENV", "empty_layer": True}, {"created_by": "two"}],
        "config": {
            "Env": ["A=1"],
            "Cmd": ["sh"],
            "Entrypoint": None,
            "Labels": {"k": "v"},
            "ExposedPorts": {"80/tcp": {}},
        },
    }
    config = parse_config(json.dumps(raw).encode())
    assert config.raw == trusted_config(json.dumps(raw).encode()).raw == raw
    assert (config.env, config.cmd, config.entrypoint, config.exposed_ports) == (["A=1"], ["sh"], [], ["80/tcp"])
    assert (config.labels, config.user, config.working_dir, config.created) == ({"k": "v"}, "", "", "")
    assert [row.created_by for row in layer_history(config)] == ["one", "two"]
    assert [row.as_dict() for row in config.history] == raw["history"]


def test_a_history_that_tells_too_little_or_too_much_still_gives_one_row_a_layer() -> None:
    for rows in ([], [{"created_by": "one"}], [{"created_by": str(n)} for n in range(5)]):
        config = parse_config(json.dumps({"rootfs": {"diff_ids": [A, B]}, "history": rows}).encode())
        assert len(list(layer_history(config))) == 2


@pytest.mark.parametrize(
    "raw",
    [
        {"rootfs": []},
        {"rootfs": {"diff_ids": "x"}},
        {"rootfs": {"diff_ids": ["sha256:../../../etc"]}},
        {"history": [1]},
        {"history": [{"created_by": 1}]},
        {"config": []},
        {"config": {"Env": [1]}},
        {"config": {"Cmd": "sh"}},
        {"config": {"Labels": {"a": 1}}},
        {"config": {"User": 0}},
        {"created": 5},
        {"layers": []},
        {"manifests": []},
    ],
)
def test_a_config_of_wrong_types_is_refused(raw: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        parse_config(json.dumps(raw).encode())


@given(st.integers(min_value=0, max_value=4_000_000_000_000_000_000))
def test_times_round_trip_to_the_nanosecond(moment: int) -> None:
    assert nanoseconds(rfc3339(moment)) == moment


def test_times_are_written_as_go_writes_them() -> None:
    assert rfc3339(1_700_000_000_000_000_000) == "2023-11-14T22:13:20Z"
    assert rfc3339(1_700_000_000_120_000_000) == "2023-11-14T22:13:20.12Z"
    assert nanoseconds("2023-11-14T23:13:20.5+01:00") == 1_700_000_000_500_000_000
    for bad in ("", "yesterday", "2023-11-14", "2023-11-14T22:13:20", "2023-11-14T22:13:20+1"):
        with pytest.raises(InvalidInput):
            nanoseconds(bad)
