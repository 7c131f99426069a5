"""Mounting: mount(2), umount2(2), pivot_root(2), and the interface by descriptors (fsopen to mount_setattr).

A file system made with `fsopen` has no path until `move_mount` gives it one, so nobody can put a symlink in
its way. While a trace is open, what was said to a descriptor is remembered, so that its `move_mount` step can
show the one `mount` command that would have had the same effect.

Constants carry the kernel's names and values (include/uapi/linux/mount.h). Sources: fsopen(2) and its family
in man-pages 6.x, mount_setattr(2), Documentation/filesystems/mount_api.rst.
"""

from __future__ import annotations

import os
import struct

from engine import trace
from engine.kernel import clib as ctypes
from engine.kernel.syscalls import AT_EMPTY_PATH as AT_EMPTY_PATH
from engine.kernel.syscalls import AT_FDCWD as AT_FDCWD
from engine.kernel.syscalls import AT_RECURSIVE as AT_RECURSIVE
from engine.kernel.syscalls import AT_SYMLINK_NOFOLLOW as AT_SYMLINK_NOFOLLOW
from engine.kernel.syscalls import LIBC, Bits, Descriptor, call, descriptor_path, fail, quote

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 0x20
MS_NOSYMFOLLOW = 0x100
MS_NOATIME = 0x400
MS_NODIRATIME = 0x800
MS_BIND = 0x1000
MS_MOVE = 0x2000
MS_REC = 0x4000
MS_SILENT = 0x8000
MS_UNBINDABLE = 1 << 17
MS_PRIVATE = 1 << 18
MS_SLAVE = 1 << 19
MS_SHARED = 1 << 20
MS_RELATIME = 1 << 21
MS_STRICTATIME = 1 << 24

MNT_FORCE = 1
MNT_DETACH = 2
MNT_EXPIRE = 4
UMOUNT_NOFOLLOW = 8

MOUNT_ATTR_RDONLY = 1
MOUNT_ATTR_NOSUID = 2
MOUNT_ATTR_NODEV = 4
MOUNT_ATTR_NOEXEC = 8
MOUNT_ATTR_NOATIME = 0x10
MOUNT_ATTR_STRICTATIME = 0x20
MOUNT_ATTR_NODIRATIME = 0x80
MOUNT_ATTR_IDMAP = 0x100000
MOUNT_ATTR_NOSYMFOLLOW = 0x200000

MOVE_MOUNT_F_SYMLINKS = 1
MOVE_MOUNT_F_AUTOMOUNTS = 2
MOVE_MOUNT_F_EMPTY_PATH = 4
MOVE_MOUNT_T_SYMLINKS = 0x10
MOVE_MOUNT_T_AUTOMOUNTS = 0x20
MOVE_MOUNT_T_EMPTY_PATH = 0x40
MOVE_MOUNT_BENEATH = 0x200

OPEN_TREE_CLONE = 1
OPEN_TREE_CLOEXEC = os.O_CLOEXEC

FSOPEN_CLOEXEC = 1
FSMOUNT_CLOEXEC = 1
FSCONFIG_SET_FLAG = 0
FSCONFIG_SET_STRING = 1
FSCONFIG_SET_FD = 5
FSCONFIG_CMD_CREATE = 6

_OPEN_TREE, _MOVE_MOUNT, _FSOPEN, _FSCONFIG, _FSMOUNT, _MOUNT_SETATTR = 428, 429, 430, 431, 432, 442
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}.get(os.uname().machine, -1)
"""System call numbers; those from 424 on are the same on every architecture."""

# Only while a trace is open: descriptor → the commands that `move_mount` of it stands for, each without its last
# word, the target.
_commands: dict[int, list[str]] = {}
# Likewise: file system context → its type and the options given to it so far.
_contexts: dict[int, tuple[str, list[str]]] = {}


def mount(source: str, target: str, fstype: str, flags: int = 0, data: str = "") -> None:
    """mount(2). flags: MS_*; data: the file system's own options, at most one page (4095 bytes)."""
    call(
        "mount",
        LIBC.mount,
        source,
        target,
        fstype or None,
        flags,
        data or None,
        show=(source, target, fstype, Bits(flags, "MS_", globals()), data),
        shell=lambda: mount_command(source, target, fstype, flags, data),
    )


def mount_command(source: str, target: str, fstype: str, flags: int, data: str) -> str:
    """The `mount` command line of one mount(2)."""
    words = ["mount"]
    for bit, name in _PROPAGATION:
        if flags & bit:
            return f"mount --make-{'r' if flags & MS_REC else ''}{name} {quote(target)}"
    if flags & MS_MOVE:
        return f"mount --move {quote(source)} {quote(target)}"
    options = ["remount"] if flags & MS_REMOUNT else []
    if flags & MS_BIND and flags & MS_REMOUNT:
        options.append("bind")
    elif flags & MS_BIND:
        words.append("--rbind" if flags & MS_REC else "--bind")
    else:
        words += ["-t", quote(fstype)]
    for bit, name in _FLAG_OPTIONS:
        if flags & bit:
            options.append(name)
    options += [data] if data else []
    words += ["-o", quote(",".join(options))] if options else []
    return " ".join([*words, quote(source or "none"), quote(target)])


_PROPAGATION = ((MS_PRIVATE, "private"), (MS_SLAVE, "slave"), (MS_SHARED, "shared"), (MS_UNBINDABLE, "unbindable"))
_FLAG_OPTIONS = (
    (MS_RDONLY, "ro"),
    (MS_NOSUID, "nosuid"),
    (MS_NODEV, "nodev"),
    (MS_NOEXEC, "noexec"),
    (MS_NOATIME, "noatime"),
    (MS_NODIRATIME, "nodiratime"),
    (MS_RELATIME, "relatime"),
    (MS_STRICTATIME, "strictatime"),
    (MS_NOSYMFOLLOW, "nosymfollow"),
)
_ATTR_OPTIONS = (
    (MOUNT_ATTR_RDONLY, "ro"),
    (MOUNT_ATTR_NOSUID, "nosuid"),
    (MOUNT_ATTR_NODEV, "nodev"),
    (MOUNT_ATTR_NOEXEC, "noexec"),
    (MOUNT_ATTR_NOATIME, "noatime"),
    (MOUNT_ATTR_STRICTATIME, "strictatime"),
    (MOUNT_ATTR_NODIRATIME, "nodiratime"),
    (MOUNT_ATTR_NOSYMFOLLOW, "nosymfollow"),
)


def umount(target: str, flags: int = 0) -> None:
    """umount2(2). flags: MNT_DETACH, UMOUNT_NOFOLLOW …"""
    call(
        "umount2",
        LIBC.umount2,
        target,
        flags,
        show=(target, Bits(flags, ("MNT_", "UMOUNT_"), globals())),
        shell=lambda: f"umount {'-l ' if flags & MNT_DETACH else ''}{quote(target)}",
    )


def pivot_root(new: str, old: str) -> None:
    """pivot_root(2): `new` becomes the root, the old root is put at `old`; (".", ".") stacks it on the new one."""
    call("pivot_root", _PIVOT_ROOT, new, old, shell=lambda: f"pivot_root {quote(new)} {quote(old)}")


def fsopen(fstype: str) -> int:
    """Begin a new file system: a descriptor to configure with the `fsconfig_*` functions, then `fsmount`."""
    fd = call("fsopen", _FSOPEN, fstype, FSOPEN_CLOEXEC, show=(fstype, "FSOPEN_CLOEXEC"))
    if trace.active():
        _contexts[fd] = (fstype, [])
    return fd


def fsconfig_string(fd: int, key: str, value: str, said: str = "") -> None:
    """Set an option to a text of at most 255 bytes (fsconfig(2)); "source" names the source.

    said: what the command that the trace will show says instead, where the value means something to this process only.
    """
    show = (fd, "FSCONFIG_SET_STRING", key, value)
    _fsconfig(fd, FSCONFIG_SET_STRING, key, value, 0, show, f"{key}={said or value}")


def fsconfig_flag(fd: int, key: str) -> None:
    """Set an option that has no value, such as "ro" or "userxattr"."""
    _fsconfig(fd, FSCONFIG_SET_FLAG, key, None, 0, (fd, "FSCONFIG_SET_FLAG", key), key)


def fsconfig_fd(fd: int, key: str, value_fd: int) -> None:
    """Set an option to an open file; the file system keeps its own reference, so the caller may close it."""
    said = f"{key}={descriptor_path(value_fd)}" if trace.active() else ""
    _fsconfig(fd, FSCONFIG_SET_FD, key, None, value_fd, (fd, "FSCONFIG_SET_FD", key, Descriptor(value_fd)), said)


def fsconfig_create(fd: int) -> None:
    """Make the file system from what was configured; then `fsmount` it."""
    _fsconfig(fd, FSCONFIG_CMD_CREATE, None, None, 0, (fd, "FSCONFIG_CMD_CREATE"), "")


def _fsconfig(
    fd: int, command: int, key: str | None, value: str | None, aux: int, show: tuple[object, ...], said: str
) -> None:
    """fsconfig(2); on failure the kernel's own words, read from the context, are added to the error."""
    try:
        call("fsconfig", _FSCONFIG, fd, command, key, value, aux, show=show)
    except OSError as error:
        _explain(fd, error, "fsconfig", show)
    if said and trace.active() and fd in _contexts:
        _contexts[fd][1].append(said)


def fsmount(fd: int, attrs: int = 0) -> int:
    """Make a mount of a created file system: a descriptor of its root, not attached anywhere. attrs: MOUNT_ATTR_*."""
    show = (fd, "FSMOUNT_CLOEXEC", Bits(attrs, "MOUNT_ATTR_", globals()))
    try:
        mount_fd = call("fsmount", _FSMOUNT, fd, FSMOUNT_CLOEXEC, attrs, show=show)
    except OSError as error:
        _explain(fd, error, "fsmount", show)
        raise
    if trace.active():
        fstype, said = _contexts.pop(fd, ("", []))
        if fstype:
            stand_for(mount_fd, context_command(fstype, said, attrs))
    return mount_fd


def stand_for(mount_fd: int, command: str) -> None:
    """While a trace is open: the `move_mount` of this detached mount will show this command and its target."""
    if trace.active():
        _commands[mount_fd] = [command]


def context_command(fstype: str, said: list[str], attrs: int) -> str:
    """The `mount` command of a file system context, without its last word, the target.

    said: options in the order given; repeated `lowerdir+=x` become overlayfs's one `lowerdir=x:y`.
    """
    source, options, lowers = fstype, [name for bit, name in _ATTR_OPTIONS if attrs & bit], []
    for option in said:
        key, _, value = option.partition("=")
        if key == "source":
            source = value
        elif key == "lowerdir+":
            lowers.append("".join("\\" + char if char in "\\:," else char for char in value))
        else:
            options.append(option)
    if lowers:
        options.append("lowerdir=" + ":".join(lowers))
    middle = f" -o {quote(','.join(options))}" if options else ""
    return f"mount -t {quote(fstype)}{middle} {quote(source)}"


def _explain(fd: int, error: OSError, name: str, show: tuple[object, ...]) -> None:
    """Raise the error anew with the messages that wait in a file system context (one a read, ENODATA at the end)."""
    messages = []
    while True:
        try:
            messages.append(os.read(fd, 4096).decode("utf-8", "replace").strip())
        except OSError:
            break
    if not messages or error.errno is None:
        raise error
    fail(name, show, error.errno, " [" + "; ".join(messages) + "]")


def move_mount(
    from_fd: int,
    from_path: str,
    to_fd: int,
    to_path: str,
    flags: int = MOVE_MOUNT_F_EMPTY_PATH,
) -> None:
    """move_mount(2): attach a detached mount (from_path "" = the descriptor itself), or move an attached one.

    flags: MOVE_MOUNT_*; with to_path "" add MOVE_MOUNT_T_EMPTY_PATH. Symlinks at the end of a path are not followed.
    """

    def shell() -> str:
        commands = [] if from_path else _commands.pop(from_fd, [])
        commands = commands or [f"mount --move {quote(descriptor_path(from_fd, from_path))}"]
        return _at(commands, to_fd, to_path)

    show = (Descriptor(from_fd), from_path, Descriptor(to_fd), to_path, Bits(flags, "MOVE_MOUNT_", globals()))
    call("move_mount", _MOVE_MOUNT, from_fd, from_path, to_fd, to_path, flags, show=show, shell=shell)


def _at(commands: list[str], dirfd: int, path: str) -> str:
    """Commands that lack their last word, with this place as that word."""
    target = quote(descriptor_path(dirfd, path))
    return "; ".join(f"{command} {target}" for command in commands)


def open_tree(dirfd: int, path: str, flags: int = OPEN_TREE_CLONE) -> int:
    """open_tree(2): an O_PATH descriptor of a place; with OPEN_TREE_CLONE a detached bind mount of it.

    flags: OPEN_TREE_CLONE, AT_RECURSIVE (its submounts too), AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW.
    """
    show = (Descriptor(dirfd), path, Bits(flags, ("OPEN_TREE_", "AT_"), globals()))
    fd = call("open_tree", _OPEN_TREE, dirfd, path, flags | OPEN_TREE_CLOEXEC, show=show)
    if flags & OPEN_TREE_CLONE:
        bind = "--rbind" if flags & AT_RECURSIVE else "--bind"
        stand_for(fd, f"mount {bind} {quote(descriptor_path(dirfd, path))}" if trace.active() else "")
    return fd


def mount_setattr(
    dirfd: int, path: str, flags: int, set: int = 0, clear: int = 0, propagation: int = 0, userns_fd: int = 0
) -> None:
    """mount_setattr(2): change a mount's attributes, with AT_RECURSIVE those of its submounts too, all or none.

    flags: AT_EMPTY_PATH (dirfd is the mount), AT_RECURSIVE. set, clear: MOUNT_ATTR_*. propagation: MS_PRIVATE,
    MS_SLAVE, MS_SHARED or 0. userns_fd: with MOUNT_ATTR_IDMAP in `set`, the user namespace that maps the owners.
    """
    attr = struct.pack("=QQQQ", set, clear, propagation, userns_fd)
    words = [Bits(flags, "AT_", globals()), *(Bits(bits, "MOUNT_ATTR_", globals()) for bits in (set, clear))]

    def shell() -> str:
        options = [name for bit, name in _ATTR_OPTIONS if set & bit]
        lines = [f"mount -o remount,bind,{','.join(options)}"] if options else []
        rest = "r" if flags & AT_RECURSIVE else ""
        lines += [f"mount --make-{rest}{name}" for bit, name in _PROPAGATION if propagation & bit]
        if not path and dirfd in _commands:  # detached: said when the mount gets its place
            _commands[dirfd] += lines
            return ""
        return _at(lines, dirfd, path)

    show = (Descriptor(dirfd), path, *words, Bits(propagation, "MS_", globals()))
    call("mount_setattr", _MOUNT_SETATTR, dirfd, path, flags, ctypes.c_char_p(attr), len(attr), show=show, shell=shell)
