"""The engine's error tree: each error says what was tried, on what, and what to do next.

Standard library only and free of imports: the launcher and the monitor load this module.
"""

from __future__ import annotations


class StrataError(Exception):
    """Base of every error the engine raises on purpose; `str(error)` is the whole message for a person.

    exit_status: the status a command ends with (docker's: 125 for engine errors of `run`, else 1).
    """

    exit_status = 1


class NotFound(StrataError):
    """An image, container or layer that was named does not exist."""


class NoSuchImage(NotFound):
    def __init__(self, reference: str) -> None:
        super().__init__(f"No such image: {reference}")
        self.reference = reference


class NoSuchContainer(NotFound):
    def __init__(self, reference: str) -> None:
        super().__init__(f"No such container: {reference}")
        self.reference = reference


class NoSuchObject(NotFound):
    """`inspect` found neither an image, a container nor a layer of this name."""

    def __init__(self, reference: str) -> None:
        super().__init__(f"no such object: {reference}")
        self.reference = reference


class Ambiguous(StrataError):
    """A prefix fits more than one id."""

    def __init__(self, prefix: str) -> None:
        super().__init__(f"multiple IDs found with provided prefix: {prefix}")


class Conflict(StrataError):
    """What was asked is refused because of the state something else is in."""


class NotRunning(Conflict):
    def __init__(self, reference: str) -> None:
        super().__init__(f"container {reference} is not running")


class InvalidInput(StrataError):
    """A name, reference, option or document from outside breaks the rules; nothing was changed."""


class StartFailed(StrataError):
    """The container's command could not be started; `exit_status` is docker's 125, 126 or 127."""

    def __init__(self, message: str, exit_status: int) -> None:
        super().__init__(message)
        self.exit_status = exit_status


class BrokenStore(StrataError):
    """The store on disk breaks one of its invariants; `strata system check` tells more."""
