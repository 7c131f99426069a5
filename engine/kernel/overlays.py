"""`overlay`: one overlay mount of up to 500 lower layers, as a descriptor, whatever the kernel offers.

mount(2) takes one page of options, about 60 lower directories of ordinary length; fsconfig(2) takes 255 bytes
an option. So lower layers are handed over one by one (`lowerdir+`): as open directories where the kernel takes
those (Linux 6.13), else as names (6.8). Older kernels get one mount(2) whose names are bare descriptor numbers
below /proc/self/fd. Which of the three works is found by trying. Source: Documentation/filesystems/overlayfs.rst.
"""

from __future__ import annotations

import errno
import os

from engine import trace
from engine.kernel import mounts
from engine.kernel.syscalls import AT_EMPTY_PATH, AT_FDCWD, LIBC, call, descriptor_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_LOWERS = 500
"""The kernel's own limit (OVL_MAX_STACK)."""


def overlay(
    lowers: Sequence[str | int],
    upper: str | int | None,
    work: str | int | None,
    options: Sequence[str] = (),
    attrs: int = 0,
) -> int:
    """Make an overlay and return the descriptor of its detached mount, for `mounts.move_mount`.

    lowers: layers as paths or directory descriptors, the top one first, as overlayfs's own `lowerdir`. upper, work:
    the read-write layer and its work directory (path or descriptor), both None for a read-only overlay, which the
    kernel makes of two lowers at least. options: others, as "redirect_dir=off" or "userxattr". attrs: MOUNT_ATTR_*.

    Changes the working directory for a moment on kernels without `lowerdir+` (see `overlay_by_mount`). OSError with
    the kernel's own explanation; E2BIG for more than 500 lowers.
    """
    if len(lowers) > MAX_LOWERS:
        raise OSError(errno.E2BIG, f"overlay of {len(lowers)} layers: the kernel takes at most {MAX_LOWERS}")
    context = mounts.fsopen("overlay")
    try:
        if _takes_layers(context, lowers[0]):
            return _overlay_by_context(context, lowers[1:], upper, work, options, attrs)
    finally:
        os.close(context)
    return overlay_by_mount(lowers, upper, work, options, attrs)


def _takes_layers(context: int, top: str | int) -> bool:
    """Whether this kernel knows `lowerdir+`, found out by giving it the top layer."""
    try:
        _give(context, "lowerdir+", top)
    except OSError as error:
        # Not EINVAL alone: a kernel without overlayfs's own context (before 6.5) answers EOPNOTSUPP to a descriptor.
        if error.errno in (errno.EINVAL, errno.EOPNOTSUPP):
            return False
        raise
    return True


def _give(context: int, key: str, place: str | int) -> None:
    """Set an overlay option to a directory: as a descriptor, else (before 6.13) as a name of at most 255 bytes."""
    fd = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC) if isinstance(place, str) else place
    try:
        try:
            mounts.fsconfig_fd(context, key, fd)
        except OSError as error:
            # EBADF: 6.13 and 6.14 do not take O_PATH descriptors here.
            if error.errno not in (errno.EINVAL, errno.EBADF):
                raise
            mounts.fsconfig_string(context, key, f"/proc/self/fd/{fd}", descriptor_path(fd) if trace.active() else "")
    finally:
        if isinstance(place, str):
            os.close(fd)


def _overlay_by_context(
    context: int,
    more: Sequence[str | int],
    upper: str | int | None,
    work: str | int | None,
    options: Sequence[str],
    attrs: int,
) -> int:
    """Finish a context that has its top layer."""
    for lower in more:
        _give(context, "lowerdir+", lower)
    if upper is not None and work is not None:
        _give(context, "upperdir", upper)
        _give(context, "workdir", work)
    for option in options:
        key, equals, value = option.partition("=")
        if equals:
            mounts.fsconfig_string(context, key, value)
        else:
            mounts.fsconfig_flag(context, key)
    mounts.fsconfig_string(context, "source", "overlay")
    mounts.fsconfig_create(context)
    return mounts.fsmount(context, attrs)


def overlay_by_mount(
    lowers: Sequence[str | int],
    upper: str | int | None,
    work: str | int | None,
    options: Sequence[str] = (),
    attrs: int = 0,
) -> int:
    """The same by mount(2), for kernels without `lowerdir+`.

    Every directory is opened and named by its descriptor's number, with /proc/self/fd as the working directory:
    500 layers of four bytes fit the page. The working directory is put back; a single-threaded caller sees nothing.
    mount(2) needs a place: the overlay lies on its own upper (or top lower) directory until it is cloned to a
    detached mount, so call this in a mount namespace of your own, where nobody else can see that moment.
    """
    opened: list[int] = []

    def number(place: str | int) -> int:
        if isinstance(place, str):
            place = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            opened.append(place)
        return place

    before = os.open(".", os.O_PATH | os.O_CLOEXEC)
    try:
        layers = [number(lower) for lower in lowers]
        words = ["lowerdir=" + ":".join(map(str, layers))]
        place = layers[0]
        if upper is not None and work is not None:
            place = number(upper)
            words += [f"upperdir={place}", f"workdir={number(work)}"]
        data = ",".join([*words, *options])
        if len(data) >= os.sysconf("SC_PAGESIZE"):
            raise OSError(
                errno.E2BIG,
                f"overlay of {len(lowers)} layers: this kernel has no lowerdir+, and {len(data)} bytes of options are "
                f"more than the one page that mount(2) takes",
            )
        detached = _mounted_and_cloned(descriptor_path(place), data)
    finally:
        os.fchdir(before)
        for fd in (before, *opened):
            os.close(fd)
    if attrs:
        mounts.mount_setattr(detached, "", AT_EMPTY_PATH, set=attrs)
    return detached


def _mounted_and_cloned(target: str, data: str) -> int:
    """An overlay of directories named by descriptor number, as a detached mount; leaves /proc/self/fd the cwd."""
    os.chdir("/proc/self/fd")
    show = ("overlay", target, "overlay", 0, data)
    call("mount", LIBC.mount, "overlay", target, "overlay", 0, data, show=show)
    try:
        detached = mounts.open_tree(AT_FDCWD, target, mounts.OPEN_TREE_CLONE)
    finally:
        call("umount2", LIBC.umount2, target, mounts.MNT_DETACH, show=(target, "MNT_DETACH"))
    if trace.active():
        said = []
        for option in data.split(","):
            key, _, value = option.partition("=")
            if key in ("upperdir", "workdir"):
                said.append(f"{key}={descriptor_path(int(value))}")
            elif key == "lowerdir":
                said += [f"lowerdir+={descriptor_path(int(number))}" for number in value.split(":")]
            else:
                said.append(option)
        mounts.stand_for(detached, mounts.context_command("overlay", said, 0))
    return detached
