"""A layer's entries on disk, `layers/<id>/index`: written once, when the layer is made, and read whole.

JSON lines. The first names the columns; then one array an entry, in tree order, trailing columns left out where they
have their default. Paths as JSON strings, bytes that are not UTF-8 as surrogate escapes; attributes' values in
hexadecimal, as `getfattr -e hex` shows them.
"""

from __future__ import annotations

import json
import os
from dataclasses import fields

from engine.errors import BrokenStore
from engine.kernel.paths import RENAME_NOREPLACE, renameat2
from engine.layers.entry import Entries, Entry, tree_order

COLUMNS = [field.name for field in fields(Entry)]
_DEFAULTS: list[object] = [None, None, None, 0, 0, 0, 0, "", [0, 0], [], "", "", False]  # as JSON has them
_HEADING = {"strata-layer-index": 1, "columns": COLUMNS}


def write_index(path: str, entries: list[Entry], *, sync: bool = True) -> None:
    """Write a layer's index: whole, on disk, or not at all. FileExistsError when the layer has one already.

    sync=False: the caller syncs the file system before it counts on the index.
    """
    directory, name = os.path.split(path)
    fd = os.open(directory or ".", os.O_RDONLY | os.O_DIRECTORY)
    staged = f".{name}.{os.getpid()}.new"
    try:
        new = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600, dir_fd=fd)
        try:
            with open(new, "w", encoding="ascii") as out:
                out.write(json.dumps(_HEADING) + "\n")
                out.writelines(_line(entry) for entry in tree_order(entries))
                out.flush()
                if sync:
                    os.fsync(out.fileno())
            renameat2(fd, staged, fd, name, RENAME_NOREPLACE)
        except BaseException:
            os.unlink(staged, dir_fd=fd)
            raise
    finally:
        os.close(fd)


def read_index(path: str) -> Entries:
    """A layer's entries, in tree order. BrokenStore when the file is no index; FileNotFoundError when there is none."""
    with open(path, encoding="ascii") as file:
        heading, _, rest = file.read().partition("\n")
    try:
        if json.loads(heading) != _HEADING:
            raise ValueError("it has another form")
        rows = json.loads("[" + rest.rstrip("\n").replace("\n", ",") + "]")
        return Entries([_entry(row) for row in rows])
    except (ValueError, TypeError, IndexError) as error:
        raise BrokenStore(f"the layer index {path} is damaged: {error}") from error


def _line(entry: Entry) -> str:
    values: list[object] = [
        entry.path,
        entry.kind,
        entry.mode,
        entry.uid,
        entry.gid,
        entry.size,
        entry.mtime_ns,
        entry.target,
        list(entry.rdev),
        [[name, value.hex()] for name, value in entry.xattrs],
        entry.digest,
        entry.link,
        entry.opaque,
    ]
    while values[-1] == _DEFAULTS[len(values) - 1]:
        values.pop()
    return json.dumps(values, separators=(",", ":")) + "\n"


def _entry(row: list[object]) -> Entry:
    if len(row) > 8:
        # The only columns whose JSON is not their value.
        row[8] = tuple(row[8])  # type: ignore[arg-type]
        if len(row) > 9:
            row[9] = tuple((name, bytes.fromhex(value)) for name, value in row[9])  # type: ignore[attr-defined]
    return Entry(*row)  # type: ignore[arg-type]
