"""Image archives from small specs: what docker, podman and skopeo write, byte by byte, without any of them.

layer = [Dir("etc"), File("etc/motd", b"hello"), Whiteout("etc/old"), Opaque("srv")]
data = docker_archive(ImageSpec([layer], names=["demo:latest"], config={"Cmd": ["sh"]}))
load(store, io.BytesIO(data))
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

EPOCH = 1_700_000_000_123_456_789  # nanoseconds: a time with a fraction, so that its loss shows
CREATED = "2026-01-02T03:04:05.678901234Z"


@dataclass(frozen=True)
class Member:
    """One entry of a layer's tar. path and target may hold surrogate escapes (bytes that are not UTF-8)."""

    path: str
    data: bytes = b""
    type: bytes = tarfile.REGTYPE
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    mtime_ns: int = EPOCH
    target: str = ""
    device: tuple[int, int] = (0, 0)
    xattrs: Mapping[str, bytes] = field(default_factory=dict)


def File(path: str, data: bytes = b"", mode: int = 0o644, **more: Any) -> Member:
    return Member(path, data, mode=mode, **more)


def Dir(path: str, mode: int = 0o755, **more: Any) -> Member:
    return Member(path, type=tarfile.DIRTYPE, mode=mode, **more)


def Symlink(path: str, target: str, **more: Any) -> Member:
    return Member(path, type=tarfile.SYMTYPE, target=target, mode=0o777, **more)


def HardLink(path: str, target: str, **more: Any) -> Member:
    return Member(path, type=tarfile.LNKTYPE, target=target, **more)


def Fifo(path: str, mode: int = 0o644, **more: Any) -> Member:
    return Member(path, type=tarfile.FIFOTYPE, mode=mode, **more)


def CharDevice(path: str, major: int, minor: int, mode: int = 0o644, **more: Any) -> Member:
    return Member(path, type=tarfile.CHRTYPE, device=(major, minor), mode=mode, **more)


def BlockDevice(path: str, major: int, minor: int, mode: int = 0o644, **more: Any) -> Member:
    return Member(path, type=tarfile.BLKTYPE, device=(major, minor), mode=mode, **more)


def Whiteout(path: str) -> Member:
    """The archive form of a deletion: an empty file `.wh.<name>` beside the name."""
    parent, slash, name = path.rpartition("/")
    return Member(f"{parent}{slash}.wh.{name}", mode=0)


def Opaque(path: str) -> Member:
    """The archive form of a directory that hides everything below it in lower layers."""
    return Member(f"{path}/.wh..wh..opq", mode=0)


Layer = Sequence[Member] | bytes


def layer_tar(members: Layer) -> bytes:
    """A layer's plain tar (pax); ready-made bytes pass through."""
    if isinstance(members, bytes):
        return members
    return b"".join(_blocks(member) for member in members) + bytes(1024)


def diff_id(members: Layer) -> str:
    return "sha256:" + hashlib.sha256(layer_tar(members)).hexdigest()


@dataclass(frozen=True)
class ImageSpec:
    """An image to be written: layers bottom first, names, and the `config` object of its config."""

    layers: Sequence[Layer]
    names: Sequence[str] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)  # further keys of the config document; may replace any

    def document(self) -> bytes:
        """The config document, whose digest is the image's id."""
        ids = [diff_id(layer) for layer in self.layers]
        return json.dumps(
            {
                "architecture": "amd64",
                "os": "linux",
                "created": CREATED,
                "config": dict(self.config),
                "rootfs": {"type": "layers", "diff_ids": ids},
                "history": [{"created": CREATED, "created_by": f"layer {n}"} for n in range(len(ids))],
                **self.extra,
            }
        ).encode()

    @property
    def id(self) -> str:
        return "sha256:" + hashlib.sha256(self.document()).hexdigest()


def docker_archive(
    *images: ImageSpec, style: str = "podman", gzip_layers: bool = False, manifest_first: bool = False
) -> bytes:
    """A docker-archive. style: "podman" (`<hex>.tar`, `<id>.json`), "docker25" (blobs/sha256 with index.json and
    oci-layout) or "old" (`<id>/layer.tar` directories, equal layers as symlinks)."""
    files: dict[str, bytes] = {}
    links: dict[str, str] = {}
    manifest = []
    for number, image in enumerate(images):
        config = image.document()
        hex_id = hashlib.sha256(config).hexdigest()
        config_name = f"blobs/sha256/{hex_id}" if style == "docker25" else f"{hex_id}.json"
        files[config_name] = config
        layers = []
        for position, layer in enumerate(image.layers):
            plain = layer_tar(layer)
            data = gzip.compress(plain, 1, mtime=0) if gzip_layers else plain
            hex_layer = hashlib.sha256(data).hexdigest()
            if style == "docker25":
                name = f"blobs/sha256/{hex_layer}"
            elif style == "podman":
                name = f"{hex_layer}.tar"
                links.setdefault(f"{number}{position:063x}/layer.tar", f"../{name}")
            else:
                name = f"{number}{position:063x}/layer.tar"
                first = next((other for other, there in files.items() if there == data), None)
                if first is not None:
                    links[name] = f"../{first}"
                else:
                    files[name] = data
            if style != "old":
                files[name] = data
            layers.append(name)
        manifest.append({"Config": config_name, "RepoTags": list(image.names) or None, "Layers": layers})
    documents = {"manifest.json": json.dumps(manifest).encode()}
    if style == "docker25":
        documents |= _layout_documents(files, images, gzip_layers)
    parts = (documents, files) if manifest_first else (files, documents)
    return outer_tar([item for part in parts for item in part.items()], links)


def oci_archive(image: ImageSpec, *, gzip_layers: bool = True, ref_name: str = "") -> bytes:
    """A tar of an OCI image layout with one image, as skopeo's `oci-archive:` writes."""
    files = {f"blobs/sha256/{hashlib.sha256(image.document()).hexdigest()}": image.document()}
    for layer in image.layers:
        data = gzip.compress(layer_tar(layer), 1, mtime=0) if gzip_layers else layer_tar(layer)
        files[f"blobs/sha256/{hashlib.sha256(data).hexdigest()}"] = data
    names = ImageSpec(image.layers, [ref_name] if ref_name else image.names, image.config, image.extra)
    files |= _layout_documents(files, [names], gzip_layers)
    return outer_tar(list(files.items()))


def outer_tar(files: Iterable[tuple[str, bytes]], links: Mapping[str, str] | None = None) -> bytes:
    """A plain tar of files and symlinks, in the order given."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in files:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        for name, target in (links or {}).items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            tar.addfile(info)
    return out.getvalue()


def _layout_documents(files: dict[str, bytes], images: Sequence[ImageSpec], gzip_layers: bool) -> dict[str, bytes]:
    entries = []
    documents: dict[str, bytes] = {}
    for image in images:
        layers = []
        for layer in image.layers:
            plain = layer_tar(layer)
            data = gzip.compress(plain, 1, mtime=0) if gzip_layers else plain
            kind = "application/vnd.oci.image.layer.v1.tar" + ("+gzip" if gzip_layers else "")
            layers.append(_descriptor(kind, data))
        config = _descriptor("application/vnd.oci.image.config.v1+json", image.document())
        kind = "application/vnd.oci.image.manifest.v1+json"
        manifest = json.dumps({"schemaVersion": 2, "mediaType": kind, "config": config, "layers": layers}).encode()
        documents[f"blobs/sha256/{hashlib.sha256(manifest).hexdigest()}"] = manifest
        for name in image.names or [""]:
            notes = {"annotations": {"org.opencontainers.image.ref.name": name}} if name else {}
            entries.append({**_descriptor(kind, manifest), **notes})
    documents["index.json"] = json.dumps({"schemaVersion": 2, "manifests": entries}).encode()
    documents["oci-layout"] = b'{"imageLayoutVersion": "1.0.0"}'
    return documents


def _descriptor(media_type: str, data: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": "sha256:" + hashlib.sha256(data).hexdigest(), "size": len(data)}


def _blocks(member: Member) -> bytes:
    """One member: a pax header with what ustar cannot say, as raw bytes, then the ustar header and the data."""
    path, target = _raw(member.path), _raw(member.target)
    seconds, nanoseconds = divmod(member.mtime_ns, 1_000_000_000)
    records = {b"mtime": b"%d.%09d" % (seconds, nanoseconds)}
    if len(path) > 99 or not path.isascii():
        records[b"path"] = path
    if len(target) > 99 or not target.isascii():
        records[b"linkpath"] = target
    for name, number in ((b"uid", member.uid), (b"gid", member.gid)):
        if number > 0o7777777:
            records[name] = b"%d" % number
    for key, value in member.xattrs.items():
        records[b"SCHILY.xattr." + key.encode()] = value
    info = tarfile.TarInfo(path[:99].decode("ascii", "replace").replace("\ufffd", "_"))
    info.type, info.mode, info.mtime, info.size = member.type, member.mode, seconds, len(member.data)
    info.uid, info.gid = min(member.uid, 0o7777777), min(member.gid, 0o7777777)
    info.linkname = target[:99].decode("ascii", "replace").replace("\ufffd", "_")
    info.devmajor, info.devminor = member.device
    if member.type == tarfile.DIRTYPE:
        info.name = info.name.rstrip("/") + "/"
    pax = b"".join(_record(key, value) for key, value in records.items())
    header = tarfile.TarInfo("PaxHeaders/member")
    header.type, header.size = tarfile.XHDTYPE, len(pax)
    return header.tobuf(tarfile.USTAR_FORMAT) + _padded(pax) + info.tobuf(tarfile.USTAR_FORMAT) + _padded(member.data)


def _record(key: bytes, value: bytes) -> bytes:
    length = len(key) + len(value) + 3
    while True:
        record = b"%d %s=%s\n" % (length, key, value)
        if len(record) == length:
            return record
        length = len(record)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
