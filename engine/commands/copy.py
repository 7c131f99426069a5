"""cp: files between a container and the host, by docker's rules, from and to containers in any state.

The rules (docker's manual of `container cp`): a file goes to the name given, or into the directory given; a directory
that is given a name that is not there becomes it, one that is given a directory goes into it, or, when it is written
with `/.` at its end, only what is in it does. Symbolic links are copied as such, unless they are followed as a source
(`follow`, or a `/` at the end); as a destination they are followed. Owners are those of who runs the command, or 0:0 in
a container, and those of the source with `archive`, which on the host also lets set-id bits, file capabilities and
devices through: without, a container cannot leave the host anything that would give somebody rights.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager

from engine.errors import Conflict, InvalidInput, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from engine.commands.context import Context
    from engine.copying.visit import Visit

ROOT = (0, 0)


@contextmanager
def visited(context: Context, ref: str, *, change: bool) -> Iterator[Visit]:
    """A visit to a container's files, held still against starts and removals. change: something is to be written."""
    from engine.commands.start import plan_of
    from engine.copying.visit import Visit
    from engine.kernel.proc import is_same, pidfd_open

    containers = context.store.containers
    container_id = containers.resolve(ref)
    with containers.lock(container_id):
        config, state = containers.get(container_id), containers.state(container_id)
        if change and config.settings.read_only:
            raise Conflict("container rootfs is marked read-only")
        pidfd = -1
        if state.running and state.pid:
            try:
                pidfd = pidfd_open(state.pid)
            except ProcessLookupError:
                pass  # it has just ended
            if pidfd >= 0 and not is_same(state.pid, state.pid_start):
                os.close(pidfd)
                pidfd = -1
        try:
            with Visit(plan_of(context, config), state.pid, pidfd) as visit:
                yield visit
        finally:
            if pidfd >= 0:
                os.close(pidfd)


def copy_from(
    context: Context,
    ref: str,
    path: str,
    target: str | int,
    *,
    archive: bool = False,
    follow: bool = False,
    warn: Callable[[str], None] | None = None,
) -> int:
    """Copy out of a container. target: a path of the host, or a descriptor that takes a tar stream.

    Returns the bytes that travelled (of a descriptor: 0). warn: told of what was left out. NotFound, InvalidInput and
    Conflict in docker's words.
    """
    source = _given(path)
    with visited(context, ref, change=False) as visit:
        found = visit.look(source, follow=follow)
        if found is None:
            raise NotFound(f"Could not find the file {_shown(source)} in container {ref}")
        name = b"." if _content_only(source) or not found["name"] else found["name"]
        if isinstance(target, int):
            visit.begin_gather(source, name, target, follow=follow)
            visit.finish()
            return 0
        parent, name = _host_place(target, found["directory"], name)
        from engine.copying.place import Rules, place

        rules = Rules(None if archive else (os.geteuid(), os.getegid()), archive)
        into = os.open(parent, os.O_RDONLY | os.O_DIRECTORY)
        out, end = os.pipe()
        try:
            try:
                visit.begin_gather(source, name, end, follow=follow)
            finally:
                os.close(end)
            with open(out, "rb", buffering=0) as stream:
                try:
                    count = place(stream, into, rules, warn or _silent)
                except InvalidInput:
                    visit.finish()  # if the stream ends too early, the reason is better known at its other end
                    raise
            visit.finish()
        finally:
            os.close(into)
        return count


def copy_to(
    context: Context,
    ref: str,
    source: str | int,
    path: str,
    *,
    archive: bool = False,
    follow: bool = False,
    warn: Callable[[str], None] | None = None,
) -> int:
    """Copy into a container. source: a path of the host, or a descriptor that gives a tar stream, whose owners stay.

    Returns the bytes that travelled. As `copy_from` otherwise.
    """
    wanted = _given(path)
    if isinstance(source, int):
        with visited(context, ref, change=True) as visit:
            goal = visit.destination(wanted)
            if goal["parent"] is None or not goal["directory"]:
                raise InvalidInput(f'destination "{ref}:{path}" must be a directory')
            visit.begin_place(_join(goal["parent"], goal["name"]), source, None)
            return _told(visit, warn)
    fd, name, directory = _host_source(source, follow)
    try:
        with visited(context, ref, change=True) as visit:
            goal = visit.destination(wanted)
            if goal["parent"] is None:
                raise NotFound(
                    f"Could not find the file {_shown(os.path.dirname(wanted.rstrip(b'/')))} in container {ref}"
                )
            parent, name = _container_place(goal, directory, name)
            end, into = os.pipe()
            try:
                visit.begin_place(parent, end, None if archive else ROOT)
            except BaseException:
                os.close(into)
                raise
            finally:
                os.close(end)
            _pour(fd, name, into)
            return _told(visit, warn)
    finally:
        os.close(fd)


def _pour(fd: int, name: bytes, into: int) -> None:
    from engine.copying.gather import gather
    from engine.layers.sink import Sink

    with open(into, "wb", buffering=0) as out:
        try:
            gather(fd, name, Sink(out))
        except BrokenPipeError:
            pass  # the other end has given up, and says why


def _told(visit: Visit, warn: Callable[[str], None] | None) -> int:
    count, warnings = visit.finish()
    for text in warnings:
        (warn or _silent)(text)
    return int(count)


# Docker's rules.


def _host_place(target: str, directory: bool, name: bytes) -> tuple[str, bytes]:
    """Where on the host something goes: (a directory that is there, the name in it or "." for its content)."""
    if not target:
        raise InvalidInput("destination path cannot be empty")
    whole = os.path.abspath(target)
    if not os.path.isdir(os.path.dirname(whole)):
        raise InvalidInput(f'invalid output path: directory "{os.path.dirname(whole)}" does not exist')
    closed = target.endswith(("/", "/."))
    try:
        mode = os.stat(target if not closed else whole).st_mode
    except FileNotFoundError:
        if closed and not directory:
            raise InvalidInput("no such directory") from None
        whole = os.path.realpath(whole)  # a link to what is not there yet
        return os.path.dirname(whole), os.fsencode(os.path.basename(whole))
    if stat.S_ISDIR(mode):
        return whole, name
    if directory:
        raise InvalidInput("cannot copy directory")
    if closed:
        raise InvalidInput("not a directory")
    whole = os.path.realpath(whole)
    return os.path.dirname(whole), os.fsencode(os.path.basename(whole))


def _container_place(goal: dict[str, object], directory: bool, name: bytes) -> tuple[bytes, bytes]:
    """Where in the container something goes: (path of a directory that is there, name in it or ".")."""
    parent, own = goal["parent"], goal["name"]
    assert isinstance(parent, bytes)
    assert isinstance(own, bytes)
    if goal["directory"]:
        return _join(parent, own), name
    if goal["exists"] and directory:
        raise InvalidInput("cannot copy directory")
    if goal["closed"] and not directory:
        raise InvalidInput("no such directory" if not goal["exists"] else "not a directory")
    return parent, own


def _host_source(source: str, follow: bool) -> tuple[int, bytes, bool]:
    """(an O_PATH descriptor of what is to be copied, its name or "." for content, whether it is a directory)."""
    if not source:
        raise InvalidInput("source path cannot be empty")
    closed = source.endswith(("/", "/.")) or source in (".", "..")
    flags = os.O_PATH | os.O_CLOEXEC | (0 if follow or closed else os.O_NOFOLLOW)
    try:
        fd = os.open(source, flags)
    except FileNotFoundError:
        raise NotFound(f"lstat {os.path.abspath(source)}: no such file or directory") from None
    except OSError as error:
        if error.errno == errno.ENOTDIR:
            raise InvalidInput("not a directory") from None
        raise
    content = source == "." or source.endswith("/.")
    name = os.path.basename(os.path.abspath(source))
    return fd, b"." if content or not name else os.fsencode(name), stat.S_ISDIR(os.fstat(fd).st_mode)


def _given(path: str) -> bytes:
    if not path:
        raise InvalidInput("bad parameter: path cannot be empty")
    return b"/" + os.fsencode(path).lstrip(b"/")


def _content_only(path: bytes) -> bool:
    return path.endswith(b"/.") or not path.strip(b"/")


def _join(parent: bytes, name: bytes) -> bytes:
    return parent.rstrip(b"/") + b"/" + name


def _shown(path: bytes) -> str:
    return os.fsdecode(path)


def _silent(_: str) -> None:
    pass
