"""What an ELF program needs to start: its loader and its shared libraries, read from the file itself.

Only the few fields that the dynamic loader reads (elf(5)); no `ldd`, which would run the program.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

PT_LOAD, PT_DYNAMIC, PT_INTERP = 1, 2, 3
DT_NEEDED, DT_STRTAB, DT_STRSZ, DT_RPATH, DT_RUNPATH = 1, 5, 10, 15, 29
MAX_STRINGS = 1 << 24  # a string table past 16 MiB is not one of a core tool


@dataclass(frozen=True, slots=True)
class Elf:
    """machine: (class, byte order, e_machine), equal for files that may be loaded together.

    interpreter: path of the dynamic loader, "" for a static program or a library; needed: sonames;
    search: DT_RUNPATH, else DT_RPATH, split, `$ORIGIN` not yet replaced.
    """

    machine: tuple[int, int, int]
    interpreter: str
    needed: tuple[str, ...]
    search: tuple[str, ...]

    @property
    def static(self) -> bool:
        """Whether the program runs in an empty root, with nothing beside it."""
        return not self.interpreter and not self.needed


def read(path: str) -> Elf | None:
    """The needs of the ELF file at `path`; None if it is no ELF file. Raises OSError if it cannot be read."""
    with open(path, "rb") as file:
        data = file.read()
    if len(data) < 64 or data[:4] != b"\x7fELF":
        return None
    try:
        return _parse(data)
    except (struct.error, IndexError, ValueError):
        return None  # cut off or damaged: no program to put into an image


def _parse(data: bytes) -> Elf:
    wide, order = data[4] == 2, "<" if data[5] == 1 else ">"
    machine = struct.unpack_from(order + "H", data, 18)[0]
    if wide:
        phoff = struct.unpack_from(order + "Q", data, 32)[0]
        phentsize, phnum = struct.unpack_from(order + "HH", data, 54)
    else:
        phoff = struct.unpack_from(order + "I", data, 28)[0]
        phentsize, phnum = struct.unpack_from(order + "HH", data, 42)
    loads: list[tuple[int, int, int]] = []
    dynamic: tuple[int, int] | None = None
    interpreter = ""
    for index in range(phnum):
        at = phoff + index * phentsize
        if wide:
            kind, _flags, offset, address, _physical, size = struct.unpack_from(order + "IIQQQQ", data, at)
        else:
            kind, offset, address, _physical, size = struct.unpack_from(order + "IIIII", data, at)
        if kind == PT_LOAD:
            loads.append((address, offset, size))
        elif kind == PT_DYNAMIC:
            dynamic = (offset, size)
        elif kind == PT_INTERP:
            interpreter = data[offset : offset + size].rstrip(b"\0").decode()
    needed, search = _dynamic(data, dynamic, loads, wide, order) if dynamic else ((), ())
    return Elf((data[4], data[5], machine), interpreter, needed, search)


def _dynamic(
    data: bytes, where: tuple[int, int], loads: list[tuple[int, int, int]], wide: bool, order: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(needed sonames, search directories) of the dynamic section at file offset and size `where`."""
    entry = struct.Struct(order + ("qQ" if wide else "iI"))
    tags: list[tuple[int, int]] = []
    for tag, value in entry.iter_unpack(data[where[0] : where[0] + where[1] // entry.size * entry.size]):
        if tag == 0:
            break
        tags.append((tag, value))
    table = dict(tags)
    if DT_STRTAB not in table:
        return (), ()
    # DT_STRTAB is an address in memory: the segment that is loaded there says where it lies in the file.
    address = table[DT_STRTAB]
    start = next(offset + address - base for base, offset, size in loads if base <= address < base + size)
    strings = data[start : start + min(table.get(DT_STRSZ, 0), MAX_STRINGS)]

    def string(at: int) -> str:
        return strings[at : strings.index(b"\0", at)].decode()

    def strings_of(wanted: int) -> list[str]:
        return [string(value) for tag, value in tags if tag == wanted]

    search = [path for joined in strings_of(DT_RUNPATH) or strings_of(DT_RPATH) for path in joined.split(":") if path]
    return tuple(strings_of(DT_NEEDED)), tuple(search)
