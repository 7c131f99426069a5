"""What goes out is what the OCI image-spec's own JSON schemas accept: index, layout, manifest, config; also of images
that commit and import make."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Callable, Iterator
from typing import Any

import jsonschema
import pytest
from referencing import Registry
from referencing.jsonschema import DRAFT4

from engine import Engine
from engine.archive.load import load
from engine.commands.options import CreateOptions
from tests.support.archives import Dir, File, ImageSpec, docker_archive, layer_tar, oci_archive
from tests.support.command import Strata
from tests.support.needs import needs_root, unmet

needs_root()

SCHEMAS = "/usr/share/gocode/src/github.com/opencontainers/image-spec/schema"  # Debian's package of the specification
if not os.path.isdir(SCHEMAS):
    unmet("not installed: golang-github-opencontainers-image-spec-dev")

CONFIG: dict[str, Any] = {
    "User": "1:1",
    "ExposedPorts": {"80/tcp": {}},
    "Env": ["A=1"],
    "Entrypoint": ["sh"],
    "Cmd": None,
    "Volumes": {"/data": {}},
    "WorkingDir": "/data",
    "Labels": {"a": "b"},
    "StopSignal": "SIGTERM",
}
EVERY_CHANGE = [
    'CMD ["a", "b"]', "ENTRYPOINT sh -c", "ENV A=1 B=2", "EXPOSE 80 53/udp", "LABEL x=y", "ONBUILD RUN true", "USER 5",
    "VOLUME /v", "WORKDIR /w",
]  # fmt: skip


@pytest.fixture
def engine() -> Iterator[Engine]:
    with Strata() as command, Engine(command.root) as found:
        yield found


def accepts(schema: str) -> Callable[[Any], None]:
    """A validator of one of the schemas, which refer to each other by addresses that end in their file names."""
    registry: Registry[Any] = Registry(retrieve=lambda uri: DRAFT4.create_resource(read(uri.rpartition("/")[2])))  # type: ignore[call-arg]
    validate: Callable[[Any], None] = jsonschema.Draft4Validator(read(schema), registry=registry).validate
    return validate


def read(name: str) -> Any:
    with open(os.path.join(SCHEMAS, name), encoding="utf-8") as file:
        return json.load(file)


def check(engine: Engine, *refs: str) -> int:
    """Save, and have every document judged; how many manifests there were."""
    out = io.BytesIO()
    engine.save(refs, out)
    out.seek(0)
    with tarfile.open(fileobj=out) as tar:
        names = [member.name for member in tar if member.isfile()]

        def inside(name: str) -> Any:
            data = tar.extractfile(name)
            assert data is not None
            return json.loads(data.read())

        accepts("image-layout-schema.json")(inside("oci-layout"))
        index = inside("index.json")
        accepts("image-index-schema.json")(index)
        for entry in index["manifests"]:
            manifest = inside("blobs/sha256/" + entry["digest"][7:])
            accepts("image-manifest-schema.json")(manifest)
            config = inside("blobs/sha256/" + manifest["config"]["digest"][7:])
            accepts("config-schema.json")(config)
            assert all("blobs/sha256/" + layer["digest"][7:] in names for layer in manifest["layers"])
    return len(index["manifests"])


def test_the_schemas_refuse_what_is_wrong() -> None:
    with pytest.raises(jsonschema.ValidationError):
        accepts("image-index-schema.json")({"schemaVersion": 2, "manifests": [{"mediaType": "x"}]})
    with pytest.raises(jsonschema.ValidationError):
        accepts("config-schema.json")({"os": "linux"})


def test_images_that_were_loaded(engine: Engine) -> None:
    layers = [[Dir("etc"), File("etc/motd", b"x")], [File("a", b"a")]]
    spec = ImageSpec(layers, ["demo:1", "demo:2"], CONFIG)
    load(engine.store, io.BytesIO(docker_archive(spec, gzip_layers=True)))
    load(engine.store, io.BytesIO(oci_archive(ImageSpec(layers, ["host:5000/x:1"], {"Cmd": ["sh"]}))))
    assert check(engine, "demo", "host:5000/x") == 3


def test_images_that_were_imported_and_committed(engine: Engine) -> None:
    data = layer_tar([Dir("etc"), File("etc/motd", b"x")])
    engine.import_image(io.BytesIO(data), "plain")
    engine.import_image(io.BytesIO(data), "changed", changes=EVERY_CHANGE, message="by hand", platform="linux/arm/v7")
    engine.import_image(io.BytesIO(data), "bare", changes=["CMD"])
    for number, base in enumerate(("plain", "changed")):
        container = engine.create(base, CreateOptions(command=("true",)))
        engine.commit(container, f"committed:{number}", message="m", author="a", changes=EVERY_CHANGE)
        engine.commit(container, f"committed:{number}-plain")
    assert check(engine, "plain", "changed", "bare", "committed") == 7
