"""podman as a place for images: its own `save` and `load`, as pipes. It finds its storage by its own environment."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from engine.errors import NotFound, StrataError
from engine.kernel.proc import mapped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
MAX_WORDS = 64 << 10  # bytes of what it says


@contextmanager
def saved(name: str) -> Iterator[BinaryIO]:
    """An image as an archive, in the form that keeps its id. NotFound when there is no podman, or no such image."""
    with _podman("image", "inspect", "--format", "{{.ManifestType}}", "--", name) as asked:
        kind = asked.out.read(MAX_WORDS).decode(errors="replace").strip()
    # Written in the other form an image's config is another, and so is its id; an OCI one's annotations would be lost.
    form = ("--format", "oci-archive", "--uncompressed") if kind == OCI_MANIFEST else ("--format", "docker-archive")
    with _podman("save", "--quiet", *form, "--", name) as saving:
        yield saving.out


def load(write: Callable[[BinaryIO], None]) -> None:
    """Give podman the archive that `write` writes. NotFound when there is no podman, StrataError when it refuses."""
    with _podman("load", "--quiet", fed=True) as loading:
        try:
            write(loading.into)
            loading.into.close()
        except BrokenPipeError:
            pass  # it ended before it had read all: it says why
        loading.out.read()


def _own_namespace() -> dict[str, str]:
    """What tells podman, in a user namespace of ours, that it is an ordinary user's there: it would take itself for the
    machine's root and look for root's images. The same variables lead from `podman unshare` to podman."""
    if not mapped():
        return {}
    found = {"_CONTAINERS_USERNS_CONFIGURED": "done"}
    for kind in ("uid", "gid"):
        with open(f"/proc/self/{kind}_map", encoding="ascii") as rows:
            found[f"_CONTAINERS_ROOTLESS_{kind.upper()}"] = rows.readline().split()[1]
    return found


class _podman:
    """A running podman; leaving the block waits for it, and raises what it says when it failed."""

    def __init__(self, *argv: str, fed: bool = False) -> None:
        self._what = "podman " + " ".join(argv[:2] if argv[0] == "image" else argv[:1])
        try:
            self._process = subprocess.Popen(
                ["podman", *argv],
                stdin=subprocess.PIPE if fed else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**os.environ, **_own_namespace()},
            )
        except FileNotFoundError:
            raise NotFound("podman is not installed on this machine") from None
        self._said = b""
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        assert self._process.stderr is not None
        while words := self._process.stderr.read(MAX_WORDS):
            self._said = (self._said + words)[-MAX_WORDS:]

    @property
    def out(self) -> BinaryIO:
        assert self._process.stdout is not None
        return self._process.stdout  # type: ignore[return-value]

    @property
    def into(self) -> BinaryIO:
        assert self._process.stdin is not None
        return self._process.stdin  # type: ignore[return-value]

    def __enter__(self) -> _podman:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        ended = kind is None or self._at_end()
        if not ended:
            self._process.kill()  # the failure is on our side: what podman would say of a broken pipe helps nobody
        if self._process.stdin is not None:
            try:
                self._process.stdin.close()
            except BrokenPipeError:
                pass
        self.out.close()
        status = self._process.wait()
        self._listener.join()
        assert self._process.stderr is not None
        self._process.stderr.close()
        if status and ended:
            lines = [line for line in self._said.decode(errors="replace").splitlines() if line.strip()]
            said = lines[-1].removeprefix("Error: ") if lines else f"it ended with status {status}"
            wrong = NotFound if "image not known" in said or "no such image" in said else StrataError
            raise wrong(f"`{self._what}` failed: {said}") from None

    def _at_end(self) -> bool:
        """Whether podman has ended by itself, after all that it wrote."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            return False
        try:
            return not self.out.read(1)
        except (OSError, ValueError):
            return False
