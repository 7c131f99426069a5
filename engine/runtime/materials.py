"""What a root file system is made of, and only the host's root can make: the overlay, /dev, files of the host.

Detached mounts, held by descriptor. Init makes them in its own mount namespace; for a container with a user namespace
of its own the starter does, since init is nobody outside, and sends them.

Such a container's ids are put on by the mounts that its layers are read through (mount_setattr, MOUNT_ATTR_IDMAP), the
read-write one too: what lies on disk keeps the image's owners, and no file is changed. The overlay itself cannot be
mapped. What overlayfs does on its own, whiteouts and its work directory, it does as who made the mount: that must be
somebody the read-write layer's mount knows, so the container's root makes it, with the host's capabilities. Measured on
Linux 6.18: mapping a finished overlay is EINVAL, and an overlay made by the host's root is read-only.
"""

from __future__ import annotations

import errno
import os
import stat
import time

from engine.kernel import capabilities, mounts, namespaces, overlays
from engine.kernel.syscalls import AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW, LIBC, record
from engine.runtime import wire
from engine.runtime.become import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Iterator, Sequence
    from typing import Any

    from engine.runtime.nodes import Node

ATTRIBUTES = {
    "ro": mounts.MOUNT_ATTR_RDONLY,
    "nosuid": mounts.MOUNT_ATTR_NOSUID,
    "nodev": mounts.MOUNT_ATTR_NODEV,
    "noexec": mounts.MOUNT_ATTR_NOEXEC,
}
_LINKS_IN_DEV = (
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
    ("core", "/proc/kcore"),
)
_MOST = 250
"""SCM_MAX_FD of Linux is 253."""


class Materials:
    """overlay, dev: the root and /dev, detached; binds: what is bound in them, by its place inside."""

    __slots__ = ("binds", "dev", "overlay")

    def __init__(self, overlay: int, dev: int, binds: dict[str, int]) -> None:
        self.overlay = overlay
        self.dev = dev
        self.binds = binds


def make(plan: dict[str, Any], userns: int = -1) -> Materials:
    """All that the plan asks for. userns: the container's user namespace, if it has one of its own; then the mount
    namespace of the caller is left for a private one."""
    if userns >= 0:  # what is mounted on the way to the overlay, nobody shall see
        namespaces.unshare(namespaces.CLONE_NEWNS)
        mounts.mount("none", "/", "", mounts.MS_REC | mounts.MS_PRIVATE)
    base = plan["ids"][0] if plan["ids"] else 0
    skeleton(plan["skeleton_path"], plan["skeleton"])
    overlay = _mapped_overlay(plan, userns) if userns >= 0 else overlays.overlay(*_layers(plan))
    dev = -1
    binds: dict[str, int] = {}
    for kind, target, words, options, source in plan["mounts"]:
        if kind == "tmpfs" and target == "/dev":
            owner = (f"uid={base}", f"gid={base}") if base else ()
            dev = filesystem(kind, (*options, *owner), attributes(words))
            _fill_dev(plan, dev, base, binds)
        elif kind == "bind":
            binds[target] = bind(source, words, userns)
        elif kind == "shm":
            binds[target] = plan["shm"]
    _nodes_elsewhere(plan["nodes"], base, plan["rootfs"], binds)
    return Materials(overlay, dev, binds)


def send(sock: _socket.socket, materials: Materials) -> None:
    """Give them to init (`receive`), and with them the word to go on."""
    descriptors = [materials.overlay, materials.dev, *materials.binds.values()]
    if len(descriptors) > _MOST:
        raise Refused(f"{len(descriptors)} devices and files to be mounted: at most {_MOST} can be given", 125)
    try:
        wire.send_descriptors(sock, b"g", descriptors)
    except (BrokenPipeError, ConnectionResetError):
        pass  # it is gone already: for `Handshake.receive` to find


def receive(sock: _socket.socket, plan: dict[str, Any]) -> Materials:
    """What `send` sent; waits for it."""
    data, descriptors = wire.receive_descriptors(sock, 1, _MOST)
    if not data:
        raise Refused("the monitor is gone", 125)
    places = [target for kind, target, *_ in plan["mounts"] if kind in ("bind", "shm")]
    places += [node[0] for node in plan["nodes"] if not in_dev(node)]
    overlay, dev, *binds = descriptors
    return Materials(overlay, dev, dict(zip(places, binds, strict=True)))


def attributes(words: Sequence[str]) -> int:
    """MOUNT_ATTR_* of their names."""
    found = 0
    for word in words:
        found |= ATTRIBUTES[word]
    return found


def filesystem(kind: str, options: Sequence[str], attrs: int) -> int:
    """A new file system of this kind, as a detached mount."""
    context = mounts.fsopen(kind)
    for option in options:
        key, _, value = option.partition("=")
        mounts.fsconfig_string(context, key, value)
    mounts.fsconfig_create(context)
    made = mounts.fsmount(context, attrs)
    os.close(context)
    return made


def skeleton(path: str, names: Sequence[str]) -> None:
    """Make the overlay's bottom with empty mount points (see plan.SKELETON), unless an earlier start did."""
    if not names or os.path.exists(f"{path}/{names[-1]}"):
        return
    os.makedirs(path, 0o755, exist_ok=True)
    for name in names:
        try:
            if name.endswith("/"):
                os.mkdir(f"{path}/{name}", 0o755)
            else:
                os.close(os.open(f"{path}/{name}", os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o644))
        except FileExistsError:
            pass  # another start makes them at the same time, or one was stopped half-way


def _layers(plan: dict[str, Any]) -> tuple[Any, Any, Any, Any]:
    return plan["lowers"], plan["upper"], plan["work"], plan["overlay"]


def _mapped_overlay(plan: dict[str, Any], userns: int) -> int:
    """The overlay of layers whose owners are mapped into the container's user namespace.

    The mapped mounts lie over what they map, in this private mount namespace: before Linux 6.15 overlayfs takes no
    layer from a detached mount, and before 6.8 names are all it takes.
    """
    for top in (plan["root"] + "/layers", plan["skeleton_path"]):
        mount = mounts.open_tree(AT_FDCWD, top)
        _map(mount, userns, top)
        mounts.move_mount(mount, "", AT_FDCWD, top)
        os.close(mount)
    effective, permitted, inheritable = capabilities.get()
    LIBC.setfsgid(plan["ids"][0])
    LIBC.setfsuid(plan["ids"][0])  # takes capabilities away (capabilities(7)), of the effective set only
    try:
        capabilities.set(permitted, permitted, inheritable)
        return overlays.overlay(*_layers(plan))
    finally:
        LIBC.setfsuid(0)
        LIBC.setfsgid(0)
        capabilities.set(effective, permitted, inheritable)


def _map(mount: int, userns: int, path: str) -> None:
    """Map the owners of a detached mount: 0 of the container's user namespace is 0 in the file system."""
    try:
        mounts.mount_setattr(mount, "", AT_EMPTY_PATH, set=mounts.MOUNT_ATTR_IDMAP, userns_fd=userns)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
            raise
        text = f"--userns=auto: the file system of {path} cannot map owners (ext4, xfs, btrfs and tmpfs can)"
        raise Refused(text, 125) from error


def bind(source: str, words: Sequence[str], userns: int) -> int:
    """A file or directory of the host, made ready by us."""
    made = mounts.open_tree(AT_FDCWD, source, mounts.OPEN_TREE_CLONE | AT_SYMLINK_NOFOLLOW)
    if words:
        mounts.mount_setattr(made, "", AT_EMPTY_PATH, set=attributes(words))
    if userns >= 0:
        _map(made, userns, source)
    return made


# Devices.


def in_dev(node: Node) -> bool:
    """Whether a device lies in /dev, where a node can be made for it; elsewhere one is bound on a file."""
    return node[0].startswith("/dev/")


def _fill_dev(plan: dict[str, Any], dev: int, base: int, binds: dict[str, int]) -> None:
    """Fill a new /dev, not attached yet: nobody else can reach it. base: the id outside of the container's root."""
    for name in ("pts", "shm", "mqueue"):
        _directory(dev, name, base)
    wanted = {
        name: (f"/dev/{name}", stat.S_IFCHR | 0o666, os.makedev(major, minor), 0, 0, f"/dev/{name}", "")
        for name, major, minor in plan["devices"]
    }
    wanted.update({node[0].removeprefix("/dev/"): node for node in plan["nodes"] if in_dev(node)})
    for name, _ in _LINKS_IN_DEV:
        wanted.pop(name, None)  # of a privileged container: the host's own ptmx
    for name, node in wanted.items():
        for above in _above(name):
            _directory(dev, above, base)
        _node(dev, name, node, base, binds)
    for name, link in _LINKS_IN_DEV:
        os.symlink(link, name, dir_fd=dev)
        if base:
            os.chown(name, base, base, dir_fd=dev, follow_symlinks=False)


def _above(name: str) -> Iterator[str]:
    parts = name.split("/")
    return ("/".join(parts[:end]) for end in range(1, len(parts)))


def _directory(dev: int, name: str, owner: int) -> None:
    try:
        os.mkdir(name, 0o755, dir_fd=dev)
    except FileExistsError:
        return
    if owner:
        os.chown(name, owner, owner, dir_fd=dev)


def _node(where: int, name: str, node: Node, base: int, binds: dict[str, int]) -> bool:
    """Make a device's node; False where that cannot be, in a user namespace: then the host's own will be bound."""
    place, mode, number, uid, gid, outside, _ = node
    start = time.monotonic_ns()
    before = os.umask(0)
    try:
        os.mknod(name, mode, number, dir_fd=where)
    except PermissionError:
        binds[place] = _hosts_node(outside, mode, number)
        return False
    finally:
        os.umask(before)
    if uid + base or gid + base:
        os.chown(name, uid + base, gid + base, dir_fd=where)
    kind = "S_IFBLK" if stat.S_ISBLK(mode) else "S_IFCHR"
    shown = (place, f"{kind}|0{stat.S_IMODE(mode):o}", f"{os.major(number)}:{os.minor(number)}")
    record("mknod", shown, 0, 0, start)
    return True


def _hosts_node(path: str, mode: int, number: int) -> int:
    """A detached mount of the host's own node. OSError ENODEV when that is another device."""
    made = mounts.open_tree(AT_FDCWD, path, mounts.OPEN_TREE_CLONE | AT_SYMLINK_NOFOLLOW)
    found = os.fstat(made)
    if stat.S_IFMT(found.st_mode) != stat.S_IFMT(mode) or found.st_rdev != number:
        raise OSError(errno.ENODEV, f"the host's {path} is device {os.major(number)}:{os.minor(number)} no more")
    return made


def _nodes_elsewhere(nodes: Sequence[Node], base: int, hidden: str, binds: dict[str, int]) -> None:
    """Nodes for places outside of /dev: made in a file system of their own, so that none comes into a layer and the
    host's node keeps its owner and mode whatever the container does. hidden: where that is mounted in this private
    mount namespace (before Linux 6.15 only what is mounted can be cloned); the root will cover it."""
    store = -1
    for index, node in enumerate(node for node in nodes if not in_dev(node)):
        if store < 0:
            store = filesystem("tmpfs", ("mode=700",), mounts.MOUNT_ATTR_NOSUID | mounts.MOUNT_ATTR_NOEXEC)
            mounts.move_mount(store, "", AT_FDCWD, hidden)
        if _node(store, str(index), node, base, binds):
            binds[node[0]] = mounts.open_tree(store, str(index), mounts.OPEN_TREE_CLONE | AT_SYMLINK_NOFOLLOW)
    if store >= 0:
        os.close(store)
