"""Starting a container anew: what the interpreter does that a monitor spawns for that (`engine.runtime.revival`)."""

from __future__ import annotations

import _socket
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


def main(number: int, root: str, container_id: str) -> NoReturn:
    """Be the starter of this container of the store at `root`, as it is to be now; ends the process.

    number: the socket to the monitor, our parent, which hears everything that comes of it.
    """
    from engine.kernel import proc, processes

    # No container may look into us, and nothing goes on without the monitor: somebody else may start this container.
    processes.set_dumpable(False)
    processes.set_parent_death_signal(proc.SIGKILL)
    processes.close_range(number + 1)
    os.set_inheritable(number, False)
    boss = _socket.socket(fileno=number)
    from engine.runtime import wire
    from engine.runtime.handshake import FAILED, words

    try:
        _start(boss, root, container_id)
    except BaseException as error:
        from engine.errors import StrataError

        text = str(error) if isinstance(error, StrataError) else words(error)
        try:
            boss.sendall(wire.value_frame(FAILED, (text, getattr(error, "exit_status", 125))))
        except OSError:
            pass  # nobody is there who would want to know
    finally:
        os._exit(0)


def _start(boss: _socket.socket, root: str, container_id: str) -> None:
    from engine import cgroups
    from engine.commands.context import Context
    from engine.commands.start import plan_of
    from engine.runtime import starter

    context = Context(root)
    plan = plan_of(context, context.store.containers.get(container_id))
    starter.rehearse()
    starter.carry_out(plan.wire(), boss, cgroups.detect())
