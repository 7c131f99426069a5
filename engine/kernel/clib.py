"""The few parts of ctypes that we need, from its C core: the package around it would cost every monitor 270 KB.

Names and meaning are those of `ctypes` (`_ctypes` is what it is made of), so a reader needs no other manual. A
function returns a C int unless its `restype` says otherwise.
"""

from __future__ import annotations

from _ctypes import (
    FUNCFLAG_CDECL,
    FUNCFLAG_PYTHONAPI,
    FUNCFLAG_USE_ERRNO,
    CFuncPtr,
    _SimpleCData,
    addressof,
    byref,
    dlopen,
    get_errno,
    set_errno,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "CDLL",
    "PyDLL",
    "addressof",
    "byref",
    "c_char",
    "c_char_p",
    "c_int",
    "c_long",
    "c_size_t",
    "c_uint",
    "c_void_p",
    "create_string_buffer",
    "get_errno",
    "set_errno",
]


class c_int(_SimpleCData):  # type: ignore[type-arg]
    _type_ = "i"


class c_uint(_SimpleCData):  # type: ignore[type-arg]
    _type_ = "I"


class c_long(_SimpleCData):  # type: ignore[type-arg]
    _type_ = "l"


class c_size_t(_SimpleCData):  # type: ignore[type-arg]
    _type_ = "L"


class c_char(_SimpleCData):  # type: ignore[type-arg]
    _type_ = "c"


class c_char_p(_SimpleCData):  # type: ignore[type-arg]
    _type_ = "z"


class c_void_p(_SimpleCData):  # type: ignore[type-arg]
    _type_ = "P"


def create_string_buffer(content: bytes | int, size: int | None = None) -> Any:
    """A buffer the kernel may write to: with this content and `size` bytes (default: one more, a NUL), or this long."""
    if isinstance(content, int):
        return (c_char * content)()
    made: Any = (c_char * (len(content) + 1 if size is None else size))()
    made.raw = content + bytes(len(made) - len(content))
    return made


class _Function(CFuncPtr):
    """A C function: errno is kept for `get_errno`, the interpreter's lock is released while it runs."""

    _flags_ = FUNCFLAG_CDECL | FUNCFLAG_USE_ERRNO
    _restype_ = c_int


class _PythonFunction(CFuncPtr):
    """The same, but the interpreter's lock stays held."""

    _flags_ = FUNCFLAG_CDECL | FUNCFLAG_PYTHONAPI | FUNCFLAG_USE_ERRNO
    _restype_ = c_int


class CDLL:
    """The functions of a shared library by name; None: of this process."""

    _kind: Any = _Function

    def __init__(self, name: str | None) -> None:
        self._name = name
        self._handle = dlopen(name, 0)  # type: ignore[arg-type]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        function = self._kind((name, self))
        setattr(self, name, function)
        return function


class PyDLL(CDLL):
    """The same, for functions that need the interpreter's lock or must not let it go."""

    _kind = _PythonFunction
