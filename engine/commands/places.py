"""Places beside registries that images come from and go to, named as skopeo names them:

docker-daemon:NAME    podman:NAME    oci:DIR[:TAG]    oci-archive:FILE[:TAG]    docker-archive:FILE[:NAME]
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass

from engine.errors import InvalidInput, NotFound, StrataError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import http.client
    from collections.abc import Callable
    from typing import BinaryIO

    from engine.archive.load import Loaded
    from engine.commands.context import Context
    from engine.progress import Report

KINDS = {"docker-daemon": "docker-daemon", "podman": "podman", "containers-storage": "podman", "oci": "oci"}
KINDS |= {"oci-archive": "oci-archive", "docker-archive": "docker-archive"}
MAX_ANSWER = 1 << 20


@dataclass(frozen=True, slots=True)
class Place:
    """kind: a value of KINDS. path: of the directory or file, "" for an engine; name: the image there, or ""."""

    kind: str
    path: str
    name: str


def parse_place(text: str) -> Place | None:
    """Read a place; None when `text` names none, and so is a registry's. InvalidInput when half of it is missing."""
    word, colon, rest = text.partition(":")
    if not colon or word not in KINDS:
        return None
    kind = KINDS[word]
    if not rest:
        raise InvalidInput(f"{text} names nothing: expected {word}:{'NAME' if kind in ENGINES else 'PATH'}")
    if kind in ENGINES:
        return Place(kind, "", rest)
    path, _, name = rest.partition(":")
    return Place(kind, path, name)


ENGINES = ("docker-daemon", "podman")


def pull_place(context: Context, place: Place, *, platform: str = "", report: Report | None = None) -> list[Loaded]:
    """Take images from a place. NotFound, InvalidInput; the store is as before then."""
    from engine.archive.load import load

    store = context.store
    if place.kind == "oci":
        return load(store, place.path, platform=platform, only=place.name, report=report)
    if place.kind == "docker-daemon":
        with _Daemon() as daemon:
            return load(store, daemon.get(place.name), platform=platform, report=report)
    if place.kind == "podman":
        with _Podman("save", place.name) as podman:
            return load(store, podman.out, platform=platform, report=report)
    with open(place.path, "rb") as file:
        return load(store, file, platform=platform, only=place.name, report=report)


def push_place(context: Context, ref: str, place: Place, *, report: Report | None = None) -> None:
    """Give an image to a place, under the place's name or else its own. What is there under that name is replaced."""
    from engine.archive.layout_out import write_layout
    from engine.archive.save import DOCKER, OCI, save
    from engine.oci.references import parse_reference

    record = context.store.images.resolve(ref)
    if place.kind == "oci":
        write_layout(context.store, record, place.path, place.name)
        return
    if place.kind == "oci-archive":
        _to_file(place.path, lambda out: save(context.store, [(record, ())], out, form=OCI, tag=place.name))
        return
    names = [parse_reference(place.name)] if place.name else []
    if place.kind == "docker-archive":
        _to_file(place.path, lambda out: save(context.store, [(record, names)], out, form=DOCKER))
    elif place.kind == "podman":
        with _Podman("load") as podman:
            save(context.store, [(record, names)], podman.into, form=DOCKER)
    else:
        with _Daemon() as daemon:
            daemon.load(lambda out: save(context.store, [(record, names)], out, form=DOCKER))


def _to_file(path: str, write: Callable[[BinaryIO], None]) -> None:
    """Write a file beside its place and give it its name when it is whole; into a FIFO or device as it comes."""
    if os.path.exists(path) and not os.path.isfile(path):
        with open(path, "wb") as out:
            write(out)
        return
    new = f"{path}.{os.getpid()}.new"
    try:
        with open(new, "xb") as out:
            write(out)
        os.rename(new, path)
    except BaseException:
        if os.path.exists(new):
            os.unlink(new)
        raise


class _Podman:
    """`podman save` or `podman load` with a pipe to it."""

    def __init__(self, verb: str, name: str = "") -> None:
        import subprocess

        argv = ["podman", "save", "--format", "docker-archive", name] if verb == "save" else ["podman", "load", "-q"]
        self._what = " ".join(argv)
        try:
            self._process = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE if verb == "load" else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        except FileNotFoundError:
            raise NotFound("podman is not installed here")
        self._said = b""
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        assert self._process.stderr is not None
        self._said = self._process.stderr.read(MAX_ANSWER)

    @property
    def out(self) -> BinaryIO:
        assert self._process.stdout is not None
        return self._process.stdout  # type: ignore[return-value]

    @property
    def into(self) -> BinaryIO:
        assert self._process.stdin is not None
        return self._process.stdin  # type: ignore[return-value]

    def __enter__(self) -> _Podman:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if self._process.stdin is not None:
            try:
                self._process.stdin.close()
            except BrokenPipeError:
                pass
        if kind is not None and not isinstance(error, (InvalidInput, BrokenPipeError)):
            self._process.kill()
        assert self._process.stdout is not None
        if kind is None or isinstance(error, BrokenPipeError):
            while self._process.stdout.read(1 << 16):
                pass
        self._process.stdout.close()
        status = self._process.wait()
        self._listener.join(5)
        if status and (kind is None or isinstance(error, (InvalidInput, BrokenPipeError))):
            said = self._said.decode(errors="replace").strip().splitlines()
            raise NotFound(f"`{self._what}` failed: {said[-1] if said else status}")


class _Daemon:
    """docker's daemon through its socket (Docker Engine API)."""

    def __init__(self) -> None:
        import http.client
        import socket

        host = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
        if not host.startswith("unix://"):
            raise InvalidInput(f"DOCKER_HOST={host}: only a daemon on this machine (unix://PATH) can be spoken to")
        path = host.removeprefix("unix://")
        self._connection = http.client.HTTPConnection("localhost", timeout=600)
        self._connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._connection.sock.connect(path)
        except OSError as error:
            self._connection.sock.close()
            raise NotFound(f"cannot reach docker's daemon at {path}: {error.strerror}; is it running?")

    def __enter__(self) -> _Daemon:
        return self

    def __exit__(self, *error: object) -> None:
        self._connection.close()

    def get(self, name: str) -> BinaryIO:
        """An image's archive."""
        from urllib.parse import quote

        self._connection.request("GET", f"/images/{quote(name, safe='/:@')}/get")
        answer = self._connection.getresponse()
        if answer.status != 200:
            self._fail(answer, name)
        return answer

    def load(self, write: Callable[[BinaryIO], None]) -> None:
        """Give the daemon an archive that `write` writes into a file."""
        import json

        into, out = os.pipe()
        failed: list[BaseException] = []

        def pour() -> None:
            try:
                with open(out, "wb") as file:
                    write(file)
            except BaseException as error:
                failed.append(error)

        thread = threading.Thread(target=pour, daemon=True)
        thread.start()
        with open(into, "rb") as source:
            self._connection.request(
                "POST", "/images/load?quiet=1", source, {"Content-Type": "application/x-tar"}, encode_chunked=True
            )
        thread.join()
        answer = self._connection.getresponse()
        if answer.status != 200:
            self._fail(answer, "the image")
        for line in answer.read(MAX_ANSWER).splitlines():
            if "error" in (said := json.loads(line)):
                raise StrataError(f"docker did not take the image: {said['error']}")
        if failed:
            raise failed[0]

    def _fail(self, answer: http.client.HTTPResponse, name: str) -> None:
        import json

        try:
            said = json.loads(answer.read(MAX_ANSWER))["message"]
        except (ValueError, KeyError, TypeError):
            said = f"it answered {answer.status}"
        raise NotFound(f"docker has not given {name}: {said}")
