"""What a person may choose when a container is created or a process is run in one."""

from __future__ import annotations

from engine.settings import Settings
from engine.values import Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class CreateOptions(Values):
    """Choices for a new container; what is left out comes from the image.

    name: "" = a made-up one. command: the words after the image (replace CMD).
    entrypoint: None = the image's; () = none at all; else its words. Either way of giving one discards the
    image's CMD. attached: the streams ("stdin", "stdout", "stderr") that the caller stays with, as `inspect` shows.
    env: "KEY=value", or "KEY" to take the image's variable away. stop_timeout: seconds, None = 10. settings: how it is
    held.
    """

    name: str = ""
    command: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] | None = None
    env: tuple[str, ...] = ()
    cwd: str = ""
    user: str = ""
    hostname: str = ""
    tty: bool = False
    open_stdin: bool = False
    attached: tuple[str, ...] = ()
    auto_remove: bool = False
    labels: Mapping[str, str] = {}
    stop_signal: str = ""
    stop_timeout: int | None = None
    settings: Settings = Settings()


class ExecOptions(Values):
    """Choices for one more process in a running container; what is left out comes from the container.

    cwd, user: "" = the container's own. stdin: keep standard input open. detach: nobody attaches to it.
    """

    command: tuple[str, ...]
    env: tuple[str, ...] = ()
    cwd: str = ""
    user: str = ""
    tty: bool = False
    stdin: bool = False
    detach: bool = False
    privileged: bool = False
