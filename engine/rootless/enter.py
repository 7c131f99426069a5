"""Become root of a store's own user namespace, in a mount namespace of one's own."""

from __future__ import annotations

import os

from engine.kernel import namespaces
from engine.rootless import keeper


def enter(root: str) -> list[str]:
    """Go into the user namespace of the store at `root`, for good; what the user should be told, mostly nothing.

    Only while there is one thread (setns(2)). The mount namespace is a fresh copy of the caller's, in which mounting is
    allowed: paths and the working directory mean what they did. StrataError when there is no user namespace to be had.
    """
    say: list[str] = []
    if "HOME" not in os.environ:
        _remember_home()
    kept = keeper.namespace(root, say)
    try:
        namespaces.setns(kept, namespaces.CLONE_NEWUSER)
    finally:
        os.close(kept)
    os.setresgid(0, 0, 0)  # a caller may have another group than the one that is root's inside
    namespaces.unshare(namespaces.CLONE_NEWNS)
    return say


def _remember_home() -> None:
    """Inside, the user's number is 0, whose home is another."""
    import pwd

    try:
        os.environ["HOME"] = pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError:
        pass
