"""The sleeper: waits without an interpreter, wakes for a descriptor, an end or the time, and becomes the program."""

from __future__ import annotations

import os
import re
import select
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from engine.runtime import sleeper
from tests.support.needs import needs

CODE = "import os, sys; os.write({out}, b'awake ' + sys.argv[1].encode())"


class Asleep:
    """A child that became the sleeper; it says so on a pipe when it is awake again."""

    def __init__(self, seconds: float = -1, word: str = "it's") -> None:
        self.said, out = os.pipe()
        awaited, self.wakes = os.pipe()
        program = os.open(sys.executable, os.O_RDONLY)
        argv = [b"python", b"-S", b"-c", CODE.format(out=out).encode(), os.fsencode(word)]
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.wakes)
            for fd in (out, awaited, program):
                os.set_inheritable(fd, True)
            try:
                os.execve(sleeper.make([awaited], seconds, program, argv, b"strata-monitor"), ["x"], {})
            finally:
                os._exit(1)
        for fd in (out, awaited, program):
            os.close(fd)

    def heard(self, seconds: float = 60) -> bytes:
        """What it says when awake, b"" if nothing within this time."""
        return os.read(self.said, 100) if select.select([self.said], [], [], seconds)[0] else b""

    def close(self) -> int:
        os.close(self.said)
        if self.wakes >= 0:
            os.close(self.wakes)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def asleep(pid: int) -> bool:
    """Whether a process is the sleeper, which gives itself its name first."""
    return Path(f"/proc/{pid}/comm").read_text() == "strata-monitor\n"


def wait_until_asleep(pid: int) -> None:
    end = time.monotonic() + 60
    while not asleep(pid):
        assert time.monotonic() < end
        time.sleep(0.01)


def test_it_sleeps_in_a_few_pages_and_wakes_for_a_byte() -> None:
    child = Asleep()
    wait_until_asleep(child.pid)
    rollup = Path(f"/proc/{child.pid}/smaps_rollup").read_text()
    private = sum(int(size) for size in re.findall(r"^Private_(?:Clean|Dirty): +(\d+) kB", rollup, re.MULTILINE))
    assert private <= 32
    assert "python" not in Path(f"/proc/{child.pid}/maps").read_text()
    assert child.heard(0.1) == b""
    os.write(child.wakes, b"x")
    assert child.heard() == b"awake it's"
    assert child.close() == 0


def test_it_wakes_for_the_end_of_a_stream_and_for_the_time() -> None:
    child = Asleep()
    wait_until_asleep(child.pid)
    os.close(child.wakes)
    child.wakes = -1
    assert child.heard() == b"awake it's"
    assert child.close() == 0
    timed = Asleep(seconds=0.2, word="a b")
    assert timed.heard() == b"awake a b"
    assert timed.close() == 0


def test_a_signal_that_stops_it_for_a_while_does_not_wake_it() -> None:
    child = Asleep()
    wait_until_asleep(child.pid)
    os.kill(child.pid, signal.SIGSTOP)
    os.waitpid(child.pid, os.WUNTRACED)
    os.kill(child.pid, signal.SIGCONT)
    assert child.heard(0.3) == b""
    assert asleep(child.pid)
    os.write(child.wakes, b"x")
    assert child.heard() == b"awake it's"
    assert child.close() == 0


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_instructions_are_those_that_the_processors_disassembler_reads(machine: str, tmp_path: Path) -> None:
    tool = f"{machine}-linux-gnu-objdump"
    needs(tool)
    raw = tmp_path / "code"
    raw.write_bytes(sleeper.image(machine, [3, 4], 1.5, 7, [b"a", b"b"], b"name")[120:376].rstrip(b"\0"))
    kind = {"x86_64": "i386:x86-64"}.get(machine, machine)
    shown = subprocess.run([tool, "-D", "-b", "binary", "-m", kind, raw], capture_output=True, text=True, check=True)
    lines = [line.split("\t")[2:] for line in shown.stdout.splitlines() if line.count("\t") > 1]
    words = [line[0].split()[0] for line in lines]
    assert not {"(bad)", ".word", ".inst"} & set(words)
    call, jump = {"x86_64": ("syscall", ["je", "jmp"]), "aarch64": ("svc", ["b.eq", "b"])}[machine]
    assert words.count(call) == 5
    assert [word for word in words if word.startswith(("j", "b"))] == jump


def test_an_unknown_processor_has_none() -> None:
    with pytest.raises(KeyError):
        sleeper.image("vax", [], -1, 3, [b"a"], b"n")


def test_the_image_is_an_executable_of_one_segment() -> None:
    image = sleeper.image("x86_64", [3], -1, 7, [b"python"], b"a long name that is cut")
    assert image[:4] == b"\x7fELF" and struct.unpack_from("=H", image, 16)[0] == 2
    assert b"a long name tha\0" in image and len(image) < 1024
