"""Trees of files as plain facts, compared entry by entry: type, mode, owner, mtime, xattrs, content, hard links."""

from __future__ import annotations

import hashlib
import os
import pickle
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace

from engine.kernel import mounts, namespaces


@dataclass(frozen=True, slots=True)
class Facts:
    """One entry. mode: type and permission bits; device: of a device node; target: of a symbolic link;
    content: sha256 of a regular file; links: the other paths of the tree that are the same file;
    mounted: another filesystem begins here, so only its presence is known.
    """

    mode: int = 0
    uid: int = 0
    gid: int = 0
    mtime_ns: int = 0
    device: tuple[int, int] = (0, 0)
    target: str = ""
    content: str = ""
    xattrs: tuple[tuple[str, bytes], ...] = ()
    links: tuple[str, ...] = ()
    mounted: bool = False


Tree = dict[str, Facts]


def read_tree(root: str | os.PathLike[str]) -> Tree:
    """Facts of everything below `root`, the root itself as "."; other mounts are noted and not entered."""
    top = os.fspath(root)
    filesystem = os.lstat(top).st_dev
    tree: Tree = {}
    by_inode: dict[int, list[str]] = {}
    queue = ["."]
    while queue:
        name = queue.pop()
        path = os.path.join(top, name)
        status = os.lstat(path)
        if status.st_dev != filesystem:
            tree[name] = Facts(mounted=True)
            continue
        tree[name] = _facts(path, status)
        if stat.S_ISDIR(status.st_mode):
            queue += [os.path.normpath(os.path.join(name, child)) for child in os.listdir(path)]
        elif status.st_nlink > 1:
            by_inode.setdefault(status.st_ino, []).append(name)
    for names in by_inode.values():
        for name in names:
            tree[name] = replace(tree[name], links=tuple(sorted(set(names) - {name})))
    return tree


def read_container_tree(pid: int) -> Tree:
    """The tree of a running container's root filesystem without what is mounted on it, as its pid 1 would see it.

    A child enters the container's mount namespace and clones the root mount alone: directories and files that lie
    under /proc, /dev or /etc/hosts come to light. Raises RuntimeError if the child failed, with its words.
    """
    reader, writer = os.pipe()
    namespace = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    child = os.fork()
    if child == 0:
        answer: Tree | str
        try:
            namespaces.setns(namespace, namespaces.CLONE_NEWNS)
            os.fchdir(mounts.open_tree(mounts.AT_FDCWD, "/", mounts.OPEN_TREE_CLONE | mounts.OPEN_TREE_CLOEXEC))
            answer = read_tree(".")
        except BaseException as error:  # told to the parent, which raises it
            answer = repr(error)
        with open(writer, "wb") as file:
            pickle.dump(answer, file)
        os._exit(0)
    os.close(writer)
    os.close(namespace)
    with open(reader, "rb") as file:
        told = pickle.load(file)
    os.waitpid(child, 0)
    if isinstance(told, str):
        raise RuntimeError(f"reading the tree of process {pid}: {told}")
    return dict(told)


def _facts(path: str, status: os.stat_result) -> Facts:
    kind = stat.S_IFMT(status.st_mode)
    special = kind in (stat.S_IFCHR, stat.S_IFBLK)
    return Facts(
        mode=status.st_mode,
        uid=status.st_uid,
        gid=status.st_gid,
        mtime_ns=status.st_mtime_ns,
        device=(os.major(status.st_rdev), os.minor(status.st_rdev)) if special else (0, 0),
        target=os.readlink(path) if kind == stat.S_IFLNK else "",
        content=_sha256(path) if kind == stat.S_IFREG else "",
        xattrs=tuple(
            (name, os.getxattr(path, name, follow_symlinks=False))
            for name in sorted(os.listxattr(path, follow_symlinks=False))
        ),
    )


def _sha256(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def differences(ours: Tree, theirs: Tree, excepted: Mapping[str, Iterable[str]]) -> list[str]:
    """One line for each fact that differs.

    excepted: path → names of the facts that may differ there ("presence", "below", or a field of Facts); "below"
    leaves out what lies under the path too. An exception that excuses nothing is itself a difference: the list of
    what engines do differently on purpose stays as short as it can be.
    """
    below = [path + "/" for path, facts in excepted.items() if "below" in facts]
    found: list[str] = []
    used: set[tuple[str, str]] = set()
    for path in sorted(ours.keys() | theirs.keys()):
        hidden = next((prefix[:-1] for prefix in below if path.startswith(prefix)), None)
        if hidden is not None:
            used.add((hidden, "below"))
            continue
        for fact, text in _differing(ours.get(path), theirs.get(path)):
            if fact in excepted.get(path, ()):
                used.add((path, fact))
            else:
                found.append(f"{path}: {text}")
    idle = {(path, fact) for path, facts in excepted.items() for fact in facts} - used
    return found + [f"{path}: excepted {fact} does not differ" for path, fact in sorted(idle)]


def _differing(ours: Facts | None, theirs: Facts | None) -> list[tuple[str, str]]:
    if ours is None or theirs is None:
        return [("presence", f"only {'theirs' if ours is None else 'ours'} has it")]
    return [
        (field.name, f"{field.name} ours {getattr(ours, field.name)!r} theirs {getattr(theirs, field.name)!r}")
        for field in fields(Facts)
        if getattr(ours, field.name) != getattr(theirs, field.name)
    ]
