"""Rest: a monitor for which nothing happens gives its interpreter away, and has it back when something does.

It writes down what it knows of its container, and becomes the sleeper (`sleeper`): the same process, with the same
children, descriptors and start time, of a few pages. A client, output, an end: anything that would wake the loop wakes
the sleeper, which becomes the interpreter again, here, in some 25 ms. A monitor that is woken soon is more patient the
next time; one that has a time to keep (a health check, a delay) or anybody connected does not rest.
"""

from __future__ import annotations

import _socket
import marshal
import os
import sys
import time

from engine import cgroups
from engine.kernel import processes
from engine.runtime import sleeper
from engine.runtime.handshake import last_words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from engine.runtime.container import Container

PATIENCE, MOST_PATIENCE = 2.0, 600.0
"""Seconds without an event after which a monitor rests; doubled when it was woken within SOON times that."""
SOON = 20

_FLAGS = ("-I", "-S", "-X", "utf8", "-X", "no_debug_ranges")
# The program's files may be about to be replaced by newer ones: it waits until they are there.
_CODE = """import sys, time
sys.path.append({path!r})
while True:
    try:
        from engine.runtime.rest import wake
        break
    except Exception:
        for name in [name for name in sys.modules if name.startswith("engine")]:
            del sys.modules[name]
        time.sleep(1)
        sys.path_importer_cache.clear()
wake({state})
"""


class Rest:
    """When a container's monitor rests. patience: seconds without an event before it does."""

    __slots__ = ("_container", "_patience")

    def __init__(self, container: Container, patience: float = PATIENCE) -> None:
        self._container = container
        self._patience = patience

    def begin(self) -> None:
        """Look after the loop from now on."""
        if sleeper.known():
            self._container.loop.later(self._patience, self._consider)

    def _consider(self) -> None:
        idle = self._container.loop.idle()
        if idle >= self._patience:
            kept = self._container.keep()
            if kept is not None:
                try:
                    self._lie_down(kept)
                except OSError:  # no memfd, or none that may be executed (vm.memfd_noexec): it stays as it is
                    return
            idle = 0.0
        self._container.loop.later(self._patience - idle, self._consider)

    def _lie_down(self, kept: dict[str, Any]) -> NoReturn:
        """Become the sleeper. OSError when that cannot be; then everything is as before."""
        state = os.memfd_create("strata-monitor-state", os.MFD_CLOEXEC)
        program = os.open("/proc/self/exe", os.O_PATH | os.O_CLOEXEC)
        passed = [*_descriptors(kept), state, program]
        code = -1
        try:
            os.write(state, marshal.dumps({**kept, "patience": self._patience, "asleep": time.monotonic()}, 2))
            house = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
            text = _CODE.format(path=house, state=state)
            argv = [os.fsencode(word) for word in (sys.orig_argv[0], *_FLAGS, "-c", text)]
            code = sleeper.make(kept["awaited"], -1, program, argv, b"strata-monitor")
            for fd in passed:
                os.set_inheritable(fd, True)
            os.execve(code, ["strata-monitor"], {})
        finally:
            for fd in passed:
                os.set_inheritable(fd, False)
            for fd in (state, program, code):
                if fd >= 0:
                    os.close(fd)


def _descriptors(kept: dict[str, Any]) -> list[int]:
    """Every open file that the monitor goes on with."""
    init = kept["init"]
    held = (
        kept["directory"],
        kept["listener"],
        kept["null"],
        init["pidfd"],
        init["stdin"],
        init["master"],
        init["slave"],
    )
    return [fd for fd in {*held, *init["outputs"].values()} if fd >= 0]


def wake(state: int) -> NoReturn:
    """Be the monitor again; ends the process. state: the descriptor that `_lie_down` wrote to."""
    try:
        processes.set_dumpable(False)  # exec has undone it: who enters the container comes from here
        processes.set_name("strata-monitor")
        kept = marshal.loads(os.pread(state, os.fstat(state).st_size, 0))
        os.close(state)
        for fd in _descriptors(kept):
            os.set_inheritable(fd, False)
        _resume(kept).look_after()
    except BaseException as error:
        last_words(error)
    finally:
        os._exit(0)


def _resume(kept: dict[str, Any]) -> Container:
    from engine.runtime.container import Container

    hierarchy = cgroups.Hierarchy(*kept["hierarchy"])
    parent, name = kept["plan"]["cgroup"]
    group = cgroups.open_group(parent, name, hierarchy)
    init = kept["init"]
    listener = _socket.socket(fileno=kept["listener"])
    container = Container(kept["plan"], kept["directory"], group, init["pid"], init["pidfd"], listener)
    patience = kept["patience"]
    if time.monotonic() - kept["asleep"] < SOON * patience:
        patience = min(2 * patience, MOST_PATIENCE)
    else:
        patience = PATIENCE
    container.take_back(kept, Rest(container, patience))
    return container
