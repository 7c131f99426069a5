"""The container's root file system, built by descriptors in the mount namespace of its own: overlay, mounts, masks.

No target is a path that the image could lead astray: it is opened inside the root (openat2, RESOLVE_IN_ROOT) and the
mount is moved onto the descriptor (runc CVE-2021-30465, 2024-45310). What lies in a file system that we mounted there
is ours: no process of the container exists yet, so plain names do, and what is masked or made read-only is looked up
from the descriptors of our own procfs and sysfs (2019-19921, 2025-31133).

Descriptors of mounts stay open until init execs.
"""

from __future__ import annotations

import errno
import os
import stat
import time

from engine import cgroups
from engine.errors import InvalidInput
from engine.kernel import mounts, paths, terminals
from engine.kernel.syscalls import AT_EMPTY_PATH, AT_FDCWD, AT_RECURSIVE, AT_SYMLINK_NOFOLLOW, quote, record
from engine.runtime import materials

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from engine.runtime.materials import Materials

    MountData = tuple[str, str, Sequence[str], Sequence[str], str]
    """kind, target, attributes, options, source: `engine.runtime.plan.Mount` as it comes over the wire."""

_ONTO = mounts.MOVE_MOUNT_F_EMPTY_PATH | mounts.MOVE_MOUNT_T_EMPTY_PATH
_FLAGS = {"ro": mounts.MS_RDONLY, "nosuid": mounts.MS_NOSUID, "nodev": mounts.MS_NODEV, "noexec": mounts.MS_NOEXEC}
_MAGIC = {"proc": paths.PROC_SUPER_MAGIC, "sysfs": paths.SYSFS_MAGIC}
_SEALED = mounts.MOUNT_ATTR_RDONLY | mounts.MOUNT_ATTR_NOSUID | mounts.MOUNT_ATTR_NODEV | mounts.MOUNT_ATTR_NOEXEC
_INSIDE = paths.RESOLVE_BENEATH | paths.RESOLVE_NO_SYMLINKS | paths.RESOLVE_NO_MAGICLINKS | paths.RESOLVE_NO_XDEV
_LINKS = 40
"""MAXSYMLINKS of Linux."""
_IN_DEV = ("/dev/pts", "/dev/mqueue", "/dev/shm")


class Root:
    """A root being built: the descriptor of its top directory, its path outside, what is mounted in it.

    mounted: descriptors of the file systems mounted on directories of the image, by target; kernels: those of them
    whose content is the kernel's own, procfs and sysfs.
    """

    __slots__ = ("fd", "kernels", "mounted", "path")

    def __init__(self, fd: int, path: str) -> None:
        self.fd = fd
        self.path = path
        self.mounted: dict[str, int] = {}
        self.kernels: dict[str, int] = {}


def build(plan: dict[str, Any], stock: Materials) -> Root:
    """Mount everything the plan names but the cgroups. The caller is in its own, private mount namespace.

    In a user namespace the working directory becomes the root, by which everything in it is named from then on: the way
    to it is closed to the container's root, and it lies on the mount namespace's own root.
    OSError for what the kernel refuses; InvalidInput for an image that has something else where a mount belongs.
    """
    if plan["ids"]:
        mounts.move_mount(stock.overlay, "", AT_FDCWD, "/")
        os.fchdir(stock.overlay)
        root = Root(stock.overlay, ".")
    else:
        mounts.move_mount(stock.overlay, "", AT_FDCWD, plan["rootfs"])
        root = Root(stock.overlay, plan["rootfs"])
    for mount in plan["mounts"]:
        if mount[0] != "cgroup":
            _mount(root, mount, stock, plan)
    for place in list(stock.binds):  # devices
        _put(root, stock.binds.pop(place), place)
    for name, value in plan["sysctls"]:
        _set_sysctl(root, name, value)
    _mask(root, plan["masked"])
    _make_read_only(root, plan["read_only"])
    return root


def _set_sysctl(root: Root, name: str, value: str) -> None:
    """Write to our own procfs, by its descriptor where no write can be led elsewhere (runc CVE-2025-52881)."""
    path = "sys/" + name.replace(".", "/")
    start = time.monotonic_ns()
    try:
        file = paths.openat2(root.kernels["/proc"], path, os.O_WRONLY, resolve=_INSIDE)
        try:
            os.write(file, os.fsencode(value))
        finally:
            os.close(file)
    except OSError as error:
        raise OSError(error.errno, f"sysctl {name}={value}: {os.strerror(error.errno or 0)}") from error
    record("write", (f"/proc/{path}", value), len(value), 0, start, lambda: f"sysctl -w {quote(f'{name}={value}')}")


def _mount(root: Root, mount: MountData, stock: Materials, plan: dict[str, Any]) -> None:
    kind, target, attributes, options, _ = mount
    if kind in ("bind", "shm"):
        _put(root, stock.binds.pop(target), target)
    elif target in _IN_DEV:
        _mount_inside(root, kind, target, attributes, options)
    elif target == "/dev":
        _attach(root, stock.dev, target)
    elif kind == "tmpfs":
        _scratch(root, target, attributes, options)
    else:
        try:
            made = materials.filesystem(kind, options, materials.attributes(attributes))
        except PermissionError as error:
            made = _machines(kind, attributes, plan, error)
        _attach(root, made, target)
        if kind in _MAGIC and paths.filesystem_type(made) == _MAGIC[kind]:
            root.kernels[target] = made


def _machines(kind: str, words: Sequence[str], plan: dict[str, Any], error: OSError) -> int:
    """The machine's own procfs or sysfs with all on it, in a user namespace that may mount no other of its own: only
    where the container shares the pid or net namespace that this one shows. A user could see as much before.

    Elsewhere it would show what is not the container's: OSError says what stands in the way.
    """
    space = {"proc": "pid", "sysfs": "net"}.get(kind)
    if space is None or space in plan["namespaces"] or space in dict(plan["joins"]):
        covered = "in a user namespace a new one may be mounted only while nothing covers a part of the machine's own"
        raise OSError(error.errno, f"{error.strerror}; {covered} (see /proc/self/mountinfo)") from error
    made = mounts.open_tree(AT_FDCWD, {"proc": "/proc", "sysfs": "/sys"}[kind], mounts.OPEN_TREE_CLONE | AT_RECURSIVE)
    attributes = materials.attributes(words)
    if kind == "sysfs":  # with the machine's cgroups on it, which are nobody's to write (runc CVE-2023-25809)
        attributes |= mounts.MOUNT_ATTR_RDONLY
    mounts.mount_setattr(made, "", AT_EMPTY_PATH | AT_RECURSIVE, set=attributes)
    return made


def _put(root: Root, made: int, target: str) -> None:
    """Mount a file or directory at a place that may be reached by links of the image, made if missing."""
    place = resolve(root.fd, target, directory=stat.S_ISDIR(os.fstat(made).st_mode))
    if paths.filesystem_type(place) in _MAGIC.values():  # as runc: what the kernel tells there must stay what it is
        raise InvalidInput(f"{target} cannot be mounted on: in this image it is inside /proc or /sys")
    mounts.move_mount(made, "", place, "", _ONTO)
    os.close(place)
    os.close(made)


def _scratch(root: Root, target: str, attributes: Sequence[str], options: Sequence[str]) -> None:
    """A tmpfs that was asked for; unless a mode was, it has that of the directory it covers, as runc's."""
    if not any(option.startswith("mode=") for option in options):
        try:
            rules = paths.RESOLVE_IN_ROOT | paths.RESOLVE_NO_MAGICLINKS
            place = paths.openat2(root.fd, target, os.O_PATH | os.O_DIRECTORY, resolve=rules)
            options = (*options, f"mode={stat.S_IMODE(os.fstat(place).st_mode):o}")
            os.close(place)
        except FileNotFoundError:
            pass
    _put(root, materials.filesystem("tmpfs", options, materials.attributes(attributes)), target)


def _mount_inside(root: Root, kind: str, target: str, attributes: Sequence[str], options: Sequence[str]) -> None:
    """Mount in a file system of ours: by name and in one call, since nobody else can have put anything there."""
    flags = 0
    for word in attributes:
        flags |= _FLAGS[word]
    mounts.mount("none", root.path + target, kind, flags, ",".join(options))


def _attach(root: Root, made: int, target: str) -> None:
    """Mount a file system on an ordinary directory of the image, made if missing."""
    flags, rules = os.O_PATH | os.O_DIRECTORY, paths.RESOLVE_IN_ROOT | paths.RESOLVE_NO_SYMLINKS
    try:
        place = paths.openat2(root.fd, target, flags, resolve=rules)
    except FileNotFoundError:
        os.close(resolve(root.fd, target, directory=True))
        place = paths.openat2(root.fd, target, flags, resolve=rules)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise InvalidInput(f"{target} in the image must be an ordinary directory, to be mounted on") from error
        raise
    mounts.move_mount(made, "", place, "", _ONTO)
    os.close(place)
    root.mounted[target] = made


def resolve(root: int, path: str, *, directory: bool, links: int = _LINKS) -> int:
    """An O_PATH descriptor of `path`, symlinks followed inside the root; what is missing is made (0755, 0644).

    ELOOP after 40 dangling links; ENOTDIR when a file is in the way.
    """
    flags, rules = os.O_PATH | (os.O_DIRECTORY if directory else 0), paths.RESOLVE_IN_ROOT | paths.RESOLVE_NO_MAGICLINKS
    try:
        return paths.openat2(root, path, flags, resolve=rules)
    except FileNotFoundError:
        if not links:
            raise OSError(errno.ELOOP, f"too many symbolic links: {path}") from None
    above, _, name = path.rstrip("/").rpartition("/")
    parent = resolve(root, above or "/", directory=True, links=links - 1)
    try:
        link = os.readlink(name, dir_fd=parent)
    except FileNotFoundError:
        if directory:
            os.mkdir(name, 0o755, dir_fd=parent)
        else:
            made = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_WRONLY | os.O_CLOEXEC
            os.close(os.open(name, made, 0o644, dir_fd=parent))
        return paths.openat2(parent, name, flags | os.O_NOFOLLOW, resolve=_INSIDE)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        return paths.openat2(root, path, flags, resolve=rules)  # there now: made on the way to its parent, or `..`
    finally:
        os.close(parent)
    return resolve(root, link if link.startswith("/") else f"{above}/{link}", directory=directory, links=links - 1)


def open_null(dev: int) -> int:
    """The container's own null device, open for reading and writing; OSError when that is not what it is.

    Never the host's: a container's root may change mode and owner of what its streams are.
    """
    # Made or bound there (`_devices`): another mount is fine, and what it is gets checked.
    null = paths.openat2(dev, "null", os.O_RDWR | os.O_NOCTTY, resolve=_INSIDE & ~paths.RESOLVE_NO_XDEV)
    found = os.fstat(null)
    if not stat.S_ISCHR(found.st_mode) or found.st_rdev != os.makedev(1, 3):
        raise OSError(errno.ENODEV, f"/dev/null is device {os.major(found.st_rdev)}:{os.minor(found.st_rdev)}")
    return null


def open_console(root: Root, size: tuple[int, int]) -> tuple[int, int]:
    """A pseudo-terminal of the container's own devpts, bound at /dev/console: (master, slave)."""
    dev = root.mounted["/dev"]
    devpts = paths.openat2(dev, "pts", os.O_RDONLY | os.O_DIRECTORY, resolve=paths.RESOLVE_NO_SYMLINKS)
    master, slave = terminals.open_pty_in(devpts)
    if any(size):
        terminals.set_size(master, *size)
    if paths.filesystem_type(slave) != paths.DEVPTS_SUPER_MAGIC:
        raise OSError(errno.ENOTTY, "the terminal does not come from the container's devpts")
    console = os.open("console", os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=dev)
    mounts.move_mount(mounts.open_tree(slave, "", mounts.OPEN_TREE_CLONE | AT_EMPTY_PATH), "", console, "", _ONTO)
    for fd in (console, devpts):
        os.close(fd)
    return master, slave


def mount_cgroups(root: Root, plan: dict[str, Any], hierarchy: cgroups.Hierarchy) -> None:
    """Mount the container's own groups: one cgroup2, or a tmpfs with one mount a v1 controller.

    The caller is in its group, and in a cgroup namespace that begins there.
    """
    for kind, target, attributes, _, _ in plan["mounts"]:
        if kind == "cgroup":
            _cgroups(root, target, attributes, hierarchy)


def _cgroups(root: Root, target: str, attributes: Sequence[str], hierarchy: cgroups.Hierarchy) -> None:
    """target lies in our sysfs, and what is below it in our tmpfs."""
    writable = [word for word in attributes if word != "ro"]
    sealed = ""
    for mount in cgroups.mount_plan(hierarchy):
        where = f"{target}/{mount.target}".rstrip("/")
        if mount.target:
            os.mkdir(root.path + where, 0o755)
        for link in mount.links:
            os.symlink(mount.target, f"{root.path}{target}/{link}")
        if mount.fstype == "tmpfs":
            _mount_inside(root, "tmpfs", where, writable, mount.options)
            sealed = where
        else:
            _mount_inside(root, mount.fstype, where, attributes, mount.options)
    if sealed and "ro" in attributes:
        mounts.mount_setattr(AT_FDCWD, root.path + sealed, 0, set=mounts.MOUNT_ATTR_RDONLY)


def _mask(root: Root, masked: Sequence[str]) -> None:
    """Hide paths: a file behind the null device, a directory behind an empty read-only tmpfs. Absent ones are fine."""
    empty = -1
    for path in masked:
        top, name, mode = _own(root, path)
        if not mode:
            continue
        if not stat.S_ISDIR(mode):
            cover = mounts.open_tree(root.mounted["/dev"], "null", mounts.OPEN_TREE_CLONE | AT_SYMLINK_NOFOLLOW)
            if os.fstat(cover).st_rdev != os.makedev(1, 3):
                raise OSError(errno.ENODEV, "what should mask a path is not the null device")
        elif empty < 0:
            cover = empty = materials.filesystem("tmpfs", ("mode=555",), _SEALED)
        else:  # one file system for all of them: a mount that is attached may be cloned
            cover = mounts.open_tree(empty, "", mounts.OPEN_TREE_CLONE | AT_EMPTY_PATH)
        mounts.move_mount(cover, "", top, name)


def _make_read_only(root: Root, read_only: Sequence[str]) -> None:
    """Bind paths over themselves, read-only with all below. Absent ones are fine."""
    for path in read_only:
        top, name, mode = _own(root, path)
        if mode:
            made = mounts.open_tree(top, name, mounts.OPEN_TREE_CLONE | AT_RECURSIVE | AT_SYMLINK_NOFOLLOW)
            mounts.mount_setattr(made, "", AT_EMPTY_PATH | AT_RECURSIVE, set=_SEALED)
            mounts.move_mount(made, "", top, name)


def _own(root: Root, path: str) -> tuple[int, str, int]:
    """A path in a procfs or sysfs that we mounted: the descriptor of its top, the rest, its mode (0 when absent).

    The kernel made everything there a moment ago and no process of the container exists yet: nothing can be swapped.
    """
    top, _, rest = path[1:].partition("/")
    place = root.kernels.get("/" + top)
    if place is None:
        raise InvalidInput(f"{path} is in no procfs or sysfs that the plan mounts")
    try:
        return place, rest, os.stat(rest, dir_fd=place, follow_symlinks=False).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return place, rest, 0
