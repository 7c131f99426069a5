"""Image configs: what an image says of itself: command, environment, history, and the diff ids of its layers.

OCI image-spec `config.md`. The config's digest is the image's id, so its bytes are kept as they came: `ImageConfig` is
a checked view of the whole document, and fields we do not know survive in `raw`.
"""

from __future__ import annotations

from engine import jsons
from engine.errors import InvalidInput
from engine.oci.digests import SHA256, digest_of, is_digest
from engine.settings import Health
from engine.values import Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any


HEALTH_FIELDS = {
    "Interval": "interval",
    "Timeout": "timeout",
    "StartPeriod": "start_period",
    "StartInterval": "start_interval",
    "Retries": "retries",
}
"""docker's names of a health check's numbers, and those of `Health`."""


class History(Values):
    """One row of an image's history; `empty_layer` rows have no layer of their own."""

    created: str = ""
    created_by: str = ""
    author: str = ""
    comment: str = ""
    empty_layer: bool = False

    def as_dict(self) -> dict[str, Any]:
        """The row as the config writes it: empty fields left out."""
        row: dict[str, Any] = {
            key: value
            for key, value in (
                ("created", self.created),
                ("created_by", self.created_by),
                ("author", self.author),
                ("comment", self.comment),
            )
            if value
        }
        if self.empty_layer:
            row["empty_layer"] = True
        return row


class ImageConfig(Values):
    """A checked view of an image config document. Lists and maps are fresh copies: changing them changes nothing."""

    raw: dict[str, Any]

    @property
    def architecture(self) -> str:
        return _text(self.raw, "architecture")

    @property
    def os(self) -> str:
        return _text(self.raw, "os")

    @property
    def variant(self) -> str:
        return _text(self.raw, "variant")

    @property
    def created(self) -> str:
        return _text(self.raw, "created")

    @property
    def author(self) -> str:
        return _text(self.raw, "author")

    @property
    def comment(self) -> str:
        return _text(self.raw, "comment")

    @property
    def diff_ids(self) -> tuple[str, ...]:
        """Digests of the layers' plain archives, bottom first."""
        rootfs = self.raw.get("rootfs") or {}
        return tuple(rootfs.get("diff_ids") or ())

    @property
    def chain_ids(self) -> tuple[str, ...]:
        """Ids (64 hex) of the layers in the store, bottom first."""
        return chain_ids(self.diff_ids)

    @property
    def history(self) -> tuple[History, ...]:
        return tuple(
            History(
                _text(row, "created"),
                _text(row, "created_by"),
                _text(row, "author"),
                _text(row, "comment"),
                row.get("empty_layer") is True,
            )
            for row in self.raw.get("history") or ()
        )

    @property
    def config(self) -> dict[str, Any]:
        """The `config` object: what a container made from the image starts with."""
        return dict(self.raw.get("config") or {})

    @property
    def env(self) -> list[str]:
        return list(self.config.get("Env") or ())

    @property
    def entrypoint(self) -> list[str]:
        return list(self.config.get("Entrypoint") or ())

    @property
    def cmd(self) -> list[str]:
        return list(self.config.get("Cmd") or ())

    @property
    def user(self) -> str:
        return _text(self.config, "User")

    @property
    def working_dir(self) -> str:
        return _text(self.config, "WorkingDir")

    @property
    def stop_signal(self) -> str:
        return _text(self.config, "StopSignal")

    @property
    def labels(self) -> dict[str, str]:
        return dict(self.config.get("Labels") or {})

    @property
    def shell(self) -> list[str]:
        return list(self.config.get("Shell") or ())

    @property
    def healthcheck(self) -> Health:
        """What checks the health of a container made from it."""
        found = self.config.get("Healthcheck") or {}
        return Health(
            tuple(found.get("Test") or ()),
            **{field: found.get(key) or 0 for key, field in HEALTH_FIELDS.items()},
        )

    @property
    def exposed_ports(self) -> list[str]:
        return list(self.config.get("ExposedPorts") or {})

    @property
    def volumes(self) -> list[str]:
        return list(self.config.get("Volumes") or {})


def parse_config(data: bytes, what: str = "image config") -> ImageConfig:
    """Read a config from outside. InvalidInput when it is not one: wrong types, bad diff ids, or a manifest's keys."""
    from engine.oci.documents import load_object

    raw = load_object(data, what)
    check_config(raw, what)
    return ImageConfig(raw)


def trusted_config(data: bytes) -> ImageConfig:
    """Read a config that `parse_config` accepted before: one `jsons.loads`, for the hot path."""
    return ImageConfig(jsons.loads(data))


def check_config(raw: dict[str, Any], what: str = "image config") -> None:
    """InvalidInput unless every field that Strata reads has the type that `config.md` gives it."""
    for key in ("layers", "manifests", "fsLayers"):
        if key in raw:
            raise InvalidInput(f"{what} is ambiguous: it also holds {key!r}")
    for key in ("architecture", "os", "variant", "created", "author", "comment"):
        _need(raw, key, str, what)
    _need(raw, "rootfs", dict, what)
    rootfs = raw.get("rootfs") or {}
    _need(rootfs, "diff_ids", list, f"{what}: rootfs")
    for diff_id in rootfs.get("diff_ids") or ():
        if not isinstance(diff_id, str) or not is_digest(diff_id):
            raise InvalidInput(f"{what}: invalid diff id {str(diff_id)[:100]!r}")
    _need(raw, "history", list, what)
    for row in raw.get("history") or ():
        if not isinstance(row, dict):
            raise InvalidInput(f"{what}: a history row is not an object")
        for key in ("created", "created_by", "author", "comment"):
            _need(row, key, str, f"{what}: history")
    _need(raw, "config", dict, what)
    runtime = raw.get("config") or {}
    for key in ("User", "WorkingDir", "StopSignal"):
        _need(runtime, key, str, f"{what}: config")
    for key in ("Env", "Cmd", "Entrypoint", "OnBuild", "Shell"):
        _need_list_of_texts(runtime, key, f"{what}: config")
    for key in ("Labels", "ExposedPorts", "Volumes"):
        _need(runtime, key, dict, f"{what}: config")
    _need(runtime, "Healthcheck", dict, f"{what}: config")
    check = runtime.get("Healthcheck") or {}
    _need_list_of_texts(check, "Test", f"{what}: config: Healthcheck")
    for key in HEALTH_FIELDS:
        _need(check, key, int, f"{what}: config: Healthcheck")
    if not all(isinstance(value, str) for value in (runtime.get("Labels") or {}).values()):
        raise InvalidInput(f"{what}: config: a label's value is not a text")


def chain_ids(diff_ids: Sequence[str]) -> tuple[str, ...]:
    """The chain id (64 hex) of each layer, bottom first: ChainID(L0)=DiffID(L0), ChainID(L0|…|Ln) =
    sha256(ChainID(L0|…|Ln-1) + " " + DiffID(Ln)). The same change on another parent is another layer."""
    found: list[str] = []
    for diff_id in diff_ids:
        found.append(chain_id(found[-1] if found else None, diff_id))
    return tuple(found)


def chain_id(parent: str | None, diff_id: str) -> str:
    """The chain id (64 hex) of one layer upon `parent` (64 hex, or None for the bottom)."""
    if parent is None:
        return diff_id[7:]
    return digest_of(f"{SHA256}{parent} {diff_id}".encode())[7:]


def layer_history(config: ImageConfig) -> Iterable[History]:
    """For each layer, bottom first, its history row; blank rows where the history tells too little."""
    rows = [row for row in config.history if not row.empty_layer]
    count = len(config.diff_ids)
    return (rows + [History()] * count)[:count]


def _text(document: dict[str, Any], key: str) -> str:
    value = document.get(key)
    return value if isinstance(value, str) else ""


def _need(document: dict[str, Any], key: str, kind: type, what: str) -> None:
    value = document.get(key)
    if value is not None and not isinstance(value, kind):
        raise InvalidInput(f"{what}: {key} has the wrong type ({type(value).__name__})")


def _need_list_of_texts(document: dict[str, Any], key: str, what: str) -> None:
    _need(document, key, list, what)
    if not all(isinstance(value, str) for value in document.get(key) or ()):
        raise InvalidInput(f"{what}: {key} is not a list of texts")
