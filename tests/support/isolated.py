"""Run a test's act in a child with namespaces of its own, so that its mounts, groups and limits end with it."""

from __future__ import annotations

import os
import pickle
import traceback
from collections.abc import Callable
from typing import TypeVar

from engine.kernel import mounts, namespaces, processes

Result = TypeVar("Result")


def isolated(act: Callable[[], Result], flags: int = namespaces.CLONE_NEWNS) -> Result:
    """What `act` returns, or the exception it raises, after it ran in a child with these new namespaces (CLONE_NEW*).

    In a new mount namespace nothing propagates to the outside. What comes back must survive pickling.
    """
    reader, writer = os.pipe()
    pid, pidfd = processes.clone3(flags)
    if pid == 0:
        try:
            try:
                os.close(reader)
                if flags & namespaces.CLONE_NEWNS:
                    mounts.mount("none", "/", "", mounts.MS_REC | mounts.MS_PRIVATE)
                answer = pickle.dumps((act(), None))
            except BaseException as error:
                error.add_note("in the child:\n" + traceback.format_exc())
                answer = pickle.dumps((None, error))
            with os.fdopen(writer, "wb") as pipe:
                pipe.write(answer)
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        answer = pipe.read()
    status = processes.wait(pidfd)
    os.close(pidfd)
    assert answer, f"the child ended with status {status} before it answered"
    result, failure = pickle.loads(answer)
    if failure is not None:
        raise failure
    return result  # type: ignore[no-any-return]
