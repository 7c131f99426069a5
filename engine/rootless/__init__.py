"""An ordinary user's way to a store of his own: a user namespace in which he is root, kept by one process a store.

    ranges    which numbers of users and groups are his: /etc/subuid, /etc/subgid
    keeper    the process that keeps a store's user namespace, and how it is found and made
    enter     go into it: what `strata` does first when it is not root

Everything else runs inside as it does as root: the store's files belong to the user and his numbers, containers' root
is he. Why one namespace a store and not one a command: a container can be entered and looked into only from the user
namespace it was made in (CAP_SYS_ADMIN there), whoever asks later.
"""

from __future__ import annotations

from engine.rootless.enter import enter

__all__ = ["enter"]
