"""One overlay of any number of layers, by each way a kernel may offer."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from engine import trace
from engine.kernel import mounts, overlays
from engine.kernel.mounts import AT_FDCWD
from tests.support.isolated import isolated
from tests.support.needs import needs_root

needs_root()

OPTIONS = ["redirect_dir=off", "metacopy=off", "index=off"]
Overlay = Callable[..., int]


def refusing(error_number: int) -> Overlay:
    """`overlay` on a kernel that answers an option given as a descriptor with this error."""

    def refuse(fd: int, key: str, value_fd: int) -> None:
        raise OSError(error_number, os.strerror(error_number))

    def overlay(*arguments: Any) -> int:
        with mock.patch.object(mounts, "fsconfig_fd", refuse):
            return overlays.overlay(*arguments)

    return overlay


def looks_at_options_late() -> bool:
    """Whether this kernel is one before 6.5, whose overlay context takes anything and looks at it in the end."""
    context = mounts.fsopen("overlay")
    try:
        mounts.fsconfig_fd(context, "lowerdir+", context)
    except OSError as error:
        return error.errno == errno.EOPNOTSUPP
    finally:
        os.close(context)
    return False


WAYS = {
    "ours": overlays.overlay,  # whichever this kernel has: descriptors from 6.13 on
    "names": refusing(errno.EINVAL),  # 6.8 to 6.12: lowerdir+ takes names only
    "mount": refusing(errno.EOPNOTSUPP),  # before 6.5
}
if looks_at_options_late():
    del WAYS["names"]
ways = pytest.mark.parametrize("overlay", WAYS.values(), ids=WAYS)


def layers(tmp_path: Path, count: int) -> list[str]:
    """Layers top first, as long-named as a store's; each has a file of its own, all have `shared`, all but the top one
    `older`."""
    made = []
    for number in range(count):
        layer = tmp_path / f"{number:064x}" / "diff"
        layer.mkdir(parents=True)
        (layer / f"own{number}").touch()
        (layer / "shared").write_text(str(number))
        if number < count - 1:
            (layer / "older").write_text(str(number))
        made.append(str(layer))
    for name in ("upper", "work", "merged"):
        (tmp_path / name).mkdir()
    return made[::-1]


@ways
def test_the_first_layer_is_the_top_one_and_writes_go_to_the_upper_one(tmp_path: Path, overlay: Overlay) -> None:
    lowers = layers(tmp_path, 3)

    def act() -> tuple[list[str], list[str], str]:
        before = os.getcwd()
        fd = overlay(lowers, str(tmp_path / "upper"), str(tmp_path / "work"), OPTIONS, mounts.MOUNT_ATTR_NODEV)
        assert os.getcwd() == before
        assert os.listdir(tmp_path / "merged") == []
        mounts.move_mount(fd, "", AT_FDCWD, str(tmp_path / "merged"))
        (tmp_path / "merged" / "new").touch()
        names = sorted(os.listdir(tmp_path / "merged"))
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
        (line,) = [line for line in lines if f" {tmp_path}/merged " in line]
        return [(tmp_path / "merged" / name).read_text() for name in ("shared", "older")], names, line

    texts, names, line = isolated(act)
    assert texts == ["2", "1"]
    assert names == ["new", "older", "own0", "own1", "own2", "shared"]
    assert "nodev" in line.split()[5]
    assert os.listdir(tmp_path / "upper") == ["new"]


@ways
def test_five_hundred_layers_mount_and_one_more_is_refused(tmp_path: Path, overlay: Overlay) -> None:
    lowers = layers(tmp_path, overlays.MAX_LOWERS)

    def act() -> tuple[int, int]:
        fd = overlay(lowers, str(tmp_path / "upper"), str(tmp_path / "work"), OPTIONS)
        return len(os.listdir(f"/proc/self/fd/{fd}")), len(os.listdir("/proc/self/fd"))

    before = len(os.listdir("/proc/self/fd"))
    names, descriptors = isolated(act)
    assert names == 502
    assert descriptors <= before + 3  # the mount itself and the answering pipe
    with pytest.raises(OSError, match="501 layers: the kernel takes at most 500") as caught:
        overlay([*lowers, lowers[0]], None, None)
    assert caught.value.errno == errno.E2BIG


@ways
def test_without_an_upper_layer_it_is_read_only(tmp_path: Path, overlay: Overlay) -> None:
    lowers = layers(tmp_path, 2)

    def act() -> int:
        fd = overlay(lowers, None, None)
        try:
            os.open("new", os.O_CREAT | os.O_WRONLY, dir_fd=fd)
        except OSError as error:
            return error.errno or 0
        return 0

    assert isolated(act) == errno.EROFS


@ways
def test_layers_may_be_descriptors(tmp_path: Path, overlay: Overlay) -> None:
    lowers = layers(tmp_path, 2)

    def act() -> list[str]:
        places = [*lowers, str(tmp_path / "upper"), str(tmp_path / "work")]
        fds = [os.open(path, os.O_PATH) for path in places]
        return sorted(os.listdir(f"/proc/self/fd/{overlay(fds[:2], fds[2], fds[3], OPTIONS)}"))

    assert isolated(act) == ["older", "own0", "own1", "shared"]


@ways
def test_the_trace_shows_the_mount_command_with_paths(tmp_path: Path, overlay: Overlay) -> None:
    lowers = layers(tmp_path, 2)

    def act() -> list[str]:
        trace.begin()
        fd = overlay(lowers, str(tmp_path / "upper"), str(tmp_path / "work"))
        mounts.move_mount(fd, "", AT_FDCWD, str(tmp_path / "merged"))
        return [step.shell for step in trace.end() if step.shell]

    assert isolated(act) == [
        f"mount -t overlay -o upperdir={tmp_path}/upper,workdir={tmp_path}/work,"
        f"lowerdir={':'.join(lowers)} overlay {tmp_path}/merged"
    ]


def test_a_missing_layer_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="gone"):
        overlays.overlay([str(tmp_path / "gone")], None, None)


def test_a_refused_option_is_named(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="colour") as caught:
        overlays.overlay(layers(tmp_path, 2), str(tmp_path / "upper"), str(tmp_path / "work"), ["colour=red"])
    assert caught.value.errno == errno.EINVAL
