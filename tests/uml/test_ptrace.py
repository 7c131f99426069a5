"""The preloaded ptrace lets a tracer with too small a buffer set registers, as UML's is on a processor with AMX."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.needs import needs
from tests.uml.guest import SHIM

TRACER = """
import ctypes, json, os, signal

PTRACE_TRACEME, PTRACE_PEEKUSER, PTRACE_GETREGSET, PTRACE_SETREGSET, NT_X86_XSTATE = 0, 3, 0x4204, 0x4205, 0x202
SHORT = 576  # of the state: what it has always had, and the header

class Vector(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.restype = ctypes.c_long
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]

def ptrace(request, buffer, size):
    vector = Vector(ctypes.addressof(buffer), size)
    result = libc.ptrace(request, pid, NT_X86_XSTATE, ctypes.addressof(vector))
    return result, ctypes.get_errno() if result else 0, vector.length

pid = os.fork()
if pid == 0:
    libc.ptrace(PTRACE_TRACEME, 0, None, None)
    os.kill(os.getpid(), signal.SIGSTOP)
    os._exit(0)
os.waitpid(pid, 0)
whole, short, again = (ctypes.create_string_buffer(65536) for _ in range(3))
size = ptrace(PTRACE_GETREGSET, whole, 65536)[2]
got = ptrace(PTRACE_GETREGSET, short, SHORT)
short[160:176] = bytes(range(16))  # XMM0
short[512] = bytes([short[512][0] | 2])  # the header says that there is something in the XMM registers
put = ptrace(PTRACE_SETREGSET, short, SHORT)
ptrace(PTRACE_GETREGSET, again, 65536)
stack = libc.ptrace(PTRACE_PEEKUSER, pid, 19 * 8, None)  # rsp, of struct user
os.kill(pid, signal.SIGKILL)
print(json.dumps({
    "size": size,
    "got": got[:2],
    "put": put[:2],
    "register": again.raw[160:176] == bytes(range(16)),
    "rest": again.raw[SHORT:size] == whole.raw[SHORT:size],
    "stack": stack,
}))
"""


def traced(**env: str) -> dict[str, Any]:
    argv = [sys.executable, "-c", TRACER]
    done = subprocess.run(argv, env={**os.environ, **env}, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="x86's registers")
def test_a_short_state_is_put_over_the_whole_one(tmp_path: Path) -> None:
    needs("gcc")
    shim = tmp_path / "ptrace.so"
    subprocess.run(["gcc", "-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o", shim, SHIM], check=True)
    bare, shimmed = traced(), traced(LD_PRELOAD=str(shim))
    assert bare["got"] == shimmed["got"] == [0, 0]
    assert bare["size"] > 576
    assert bare["put"][0] == -1, "this kernel takes a short state: nothing is left to test"
    assert shimmed["put"] == [0, 0]
    assert shimmed["register"] and shimmed["rest"]
    assert 0 < shimmed["stack"] < 1 << 47
