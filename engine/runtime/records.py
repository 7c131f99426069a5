"""What the monitor writes for others to read: state.json, log.json (docker's json-file form) and trace.jsonl.

JSON without the json module, which would cost every monitor a megabyte: `_json` has the one part that needs care.
"""

from __future__ import annotations

import os
import time
from _json import encode_basestring, encode_basestring_ascii

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

LINE = 16384
"""Bytes after which a line of output is logged in parts, as docker does; the last part ends with the newline."""


def now(ns: int = 0) -> str:
    """A time as RFC 3339 with nanoseconds, in UTC. ns: nanoseconds since the epoch, 0 for the present."""
    seconds, rest = divmod(ns or time.time_ns(), 1_000_000_000)
    t = time.gmtime(seconds)
    return f"{t[0]:04}-{t[1]:02}-{t[2]:02}T{t[3]:02}:{t[4]:02}:{t[5]:02}.{rest:09}Z"


def encode(value: object) -> str:
    """Plain data as JSON: dict with text keys, list, tuple, str, bool, int, float, None."""
    if isinstance(value, str):
        return str(encode_basestring_ascii(value))
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{encode(str(key))}: {encode(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(encode(item) for item in value) + "]"
    raise TypeError(f"not plain data: {type(value).__name__}")


def replace(directory_fd: int, name: str, data: bytes) -> None:
    """Write a file anew and rename it into place, so that a reader sees the old one or the new one whole.

    Not synced to the disk: the state of processes does not survive the machine either.
    """
    stage(directory_fd, name, data)
    put(directory_fd, name)


def stage(directory_fd: int, name: str, data: bytes) -> None:
    """The first half of `replace`: write the new file, which nobody sees yet."""
    staged = f".{name}.new"
    fd = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600, dir_fd=directory_fd)
    try:
        _write(fd, data)
    finally:
        os.close(fd)


def put(directory_fd: int, name: str) -> None:
    """The second half: the staged file takes its place."""
    os.rename(f".{name}.new", name, src_dir_fd=directory_fd, dst_dir_fd=directory_fd)


def write_steps(directory_fd: int, name: str, pieces: Iterable[Sequence[tuple[Any, ...]]]) -> None:
    """Write trace steps, each (call, args, result, errno, at, ns, shell), one JSON object a line, over former ones."""
    quoted = encode_basestring_ascii
    fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600, dir_fd=directory_fd)
    try:
        for steps in pieces:
            lines = [
                f'{{"call": {quoted(call)}, "args": [{", ".join([quoted(arg) for arg in args])}], '
                f'"result": {quoted(result)}, "errno": {errno}, "at": {at!r}, "ns": {ns}, "shell": {quoted(shell)}}}\n'
                for call, args, result, errno, at, ns, shell in steps
            ]
            _write(fd, "".join(lines).encode())
    finally:
        os.close(fd)


def _write(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


class Log:
    """Owns a container's log: one JSON object a line, `{"log": …, "stream": "stdout" | "stderr", "time": …}`.

    A file of `most` bytes is put aside as `<name>.1`, an older one as `.2` and so on, as docker's json-file does; of
    all together there are `files`. failure: the last write that failed, as text; what it held is missing from the log,
    nothing is torn.
    """

    __slots__ = ("_directory", "_fd", "_files", "_most", "_name", "_partial", "failure")

    def __init__(self, directory_fd: int, name: str, most: int = 0, files: int = 1, kept: bool = True) -> None:
        """directory_fd: open as long as the log; most: 0 = without limit; kept False: nothing is logged at all."""
        self._directory = directory_fd
        self._name = name
        self._most = most
        self._files = files
        self._fd = self._open() if kept else -1
        self._partial: dict[str, bytes] = {}
        self.failure = ""

    def _open(self) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        return os.open(self._name, flags, 0o640, dir_fd=self._directory)

    def write(self, stream: str, data: bytes) -> None:
        """Log what a stream brought; an unfinished line waits for the rest of it, up to 16 KiB."""
        if self._fd < 0:
            return
        lines = (self._partial.pop(stream, b"") + data).split(b"\n")
        rest = lines.pop()
        parts = []
        for line in lines:
            while len(line) > LINE:
                cut = _cut(line)
                parts.append(line[:cut])
                line = line[cut:]
            parts.append(line + b"\n")
        while len(rest) > LINE:
            cut = _cut(rest)
            parts.append(rest[:cut])
            rest = rest[cut:]
        if rest:
            self._partial[stream] = rest
        self._append(stream, parts)

    def keep(self) -> tuple[dict[str, bytes], str]:
        """What is not in the file, for `take_back` of another one."""
        return self._partial, self.failure

    def take_back(self, kept: tuple[dict[str, bytes], str]) -> None:
        """Go on where another one left off."""
        self._partial, self.failure = kept

    def flush(self) -> None:
        """Log the unfinished lines: their writers have ended."""
        for stream, rest in self._partial.items():
            self._append(stream, [rest])
        self._partial.clear()

    def finish(self) -> None:
        """Log the unfinished lines and close."""
        self.flush()
        if self._fd >= 0:
            os.close(self._fd)

    def _append(self, stream: str, parts: list[bytes]) -> None:
        if not parts:
            return
        tail = f',"stream":"{stream}","time":"{now()}"}}\n'
        text = "".join([f'{{"log":{encode_basestring(part.decode("utf-8", "replace"))}{tail}' for part in parts])
        data = text.encode()
        end = -1
        try:
            end = os.lseek(self._fd, 0, os.SEEK_END)
            if 0 < self._most <= end:
                self._put_aside()
                end = 0
            _write(self._fd, data)
        except OSError as error:  # a full disk must not end the container
            self.failure = f"its log is incomplete: {error.strerror}"
            if end >= 0:
                os.ftruncate(self._fd, end)

    def _put_aside(self) -> None:
        """Rename what there is by one number and begin a new file; readers go on in the old one."""
        directory = self._directory
        for number in range(self._files - 1, 0, -1):
            younger = f"{self._name}.{number - 1}" if number > 1 else self._name
            try:
                os.rename(younger, f"{self._name}.{number}", src_dir_fd=directory, dst_dir_fd=directory)
            except FileNotFoundError:
                pass  # there are not so many yet
        if self._files < 2:
            os.unlink(self._name, dir_fd=directory)
        fd = self._open()
        os.dup2(fd, self._fd, inheritable=False)
        os.close(fd)


def _cut(line: bytes) -> int:
    """Where to cut a line longer than 16 KiB: there, or up to 3 bytes before, so that no UTF-8 character is torn."""
    for cut in range(LINE, LINE - 4, -1):
        if line[cut] & 0xC0 != 0x80:
            return cut
    return LINE
