"""Images and containers that would lead mounts, devices, sysctls and joins elsewhere than they are meant to go."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from engine.errors import StartFailed
from engine.kernel.paths import RENAME_EXCHANGE, renameat2
from engine.settings import Settings
from tests.support.mapping import IDS, needs_mapping
from tests.support.runtime import Lab, collect, eventually, lab

__all__ = ["lab"]

TMPFS = Settings(tmpfs={"/place": ""})
DEVICE = Settings(devices=("/dev/zero:/place/zero:r",))
"""Both want something mounted at or below /place, where the image has what it likes."""


@pytest.fixture(params=[(), IDS], ids=["hosts-ids", "own-ids"])
def ids(request: pytest.FixtureRequest) -> tuple[int, ...]:
    """With the host's user namespace, and with one of its own."""
    found: tuple[int, ...] = request.param
    if found:
        needs_mapping()
    return found


def untouched(directory: Path) -> bool:
    """Whether nothing was made in a directory of the host, and nothing is mounted on it here."""
    return [path.name for path in directory.iterdir()] == ["victim"] and not os.path.ismount(directory)


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A directory of the host."""
    (tmp_path / "victim").write_text("the host's\n")
    return tmp_path


@pytest.mark.parametrize("settings", [TMPFS, DEVICE], ids=["tmpfs", "device"])
def test_links_out_of_the_root_lead_back_into_it(
    lab: Lab, ids: tuple[int, ...], settings: Settings, victim: Path
) -> None:
    for number, link in enumerate((str(victim), "../../../../../../.." + str(victim), f"/..{victim}/../{victim.name}")):
        image = lab.layer(f"links{number}")
        (image / "place").symlink_to(link)
        config = lab.create("ls", str(victim), layers=("base", f"links{number}"), ids=ids, settings=settings)
        assert lab.run(config).stdout.decode().split() == (["zero"] if settings is DEVICE else [])
        assert (lab.upper(config) / victim.relative_to("/")).is_dir()
        assert untouched(victim)


@pytest.mark.parametrize("settings", [TMPFS, DEVICE], ids=["tmpfs", "device"])
def test_links_into_what_the_kernel_tells_or_makes_up_are_refused(lab: Lab, settings: Settings) -> None:
    """A file system over /proc/sys would lead what the engine writes there; a magic link leads out of the root."""
    links = ("/proc/sys", "/proc/self", "/proc/1/root/tmp", "/proc/self/fd/3", "/sys/kernel", "/sys/fs/cgroup", "place")
    for number, link in enumerate(links):
        image = lab.layer(f"links{number}")
        (image / "place").symlink_to(link)
        with pytest.raises(StartFailed):
            lab.start(lab.create("true", layers=("base", f"links{number}"), settings=settings))


def test_a_file_where_a_directory_belongs_is_refused_and_the_other_way_round(lab: Lab, ids: tuple[int, ...]) -> None:
    image = lab.layer("files")
    (image / "place").write_text("x")
    (image / "dir/zero").mkdir(parents=True)
    for settings in (TMPFS, DEVICE, Settings(devices=("/dev/zero:/dir/zero:r",))):
        with pytest.raises(StartFailed):
            lab.start(lab.create("true", layers=("base", "files"), ids=ids, settings=settings))


@pytest.mark.parametrize("settings", [TMPFS, DEVICE], ids=["tmpfs", "device"])
def test_targets_swapped_for_links_while_starting_never_lead_to_the_host(
    lab: Lab, ids: tuple[int, ...], settings: Settings, victim: Path
) -> None:
    """Another process turns the image's /place into a link to a host directory and back, all the time."""
    base = lab.root / "layers/base/diff"
    (base / "place").mkdir()
    (base / "place.link").symlink_to(victim)
    stop = threading.Event()

    def swap() -> None:
        directory = os.open(base, os.O_RDONLY)
        while not stop.is_set():
            renameat2(directory, "place", directory, "place.link", RENAME_EXCHANGE)
        os.close(directory)

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        for _ in range(15):
            try:
                lab.run(lab.create("true", ids=ids, settings=settings))
            except StartFailed:
                continue
    finally:
        stop.set()
        swapper.join()
    assert untouched(victim)


def test_files_that_look_like_sysctls_are_not_written(lab: Lab, ids: tuple[int, ...]) -> None:
    """An image brings a /proc of its own, and a link named like ours: what is set is the kernel's."""
    fake = lab.layer("fake") / "proc/sys/net/ipv4"
    fake.mkdir(parents=True)
    (fake / "ip_default_ttl").write_text("fake\n")
    settings = Settings(sysctls={"net.ipv4.ip_default_ttl": "77"})
    config = lab.create("cat", "/proc/sys/net/ipv4/ip_default_ttl", layers=("base", "fake"), ids=ids, settings=settings)
    assert lab.run(config).stdout == b"77\n"
    assert (fake / "ip_default_ttl").read_text() == "fake\n"
    assert os.listdir(lab.upper(config)) == []


def test_a_null_device_that_is_another_masks_nothing(lab: Lab, ids: tuple[int, ...]) -> None:
    """Else what is to be hidden would be behind a device that the caller named."""
    settings = Settings(devices=("/dev/zero:/dev/null:rwm",))
    with pytest.raises(StartFailed, match="what should mask a path is not the null device"):
        lab.start(lab.create("true", ids=ids, settings=settings))


BY_A_LINK_TO_A_TMPFS = "umount /dev/shm && rmdir /dev/shm && ln -s /dev /dev/shm"
BY_A_PROCFS = "umount /dev/shm && mount --bind /proc /dev/shm"
BY_THE_ROOT = "umount /dev/shm && mount --bind / /dev/shm"


@pytest.mark.parametrize("replace", [BY_A_LINK_TO_A_TMPFS, BY_A_PROCFS, BY_THE_ROOT], ids=["link", "procfs", "root"])
def test_a_donor_gives_its_shared_memory_and_nothing_else(lab: Lab, replace: str) -> None:
    """A privileged donor puts something else where its /dev/shm was; the guest gets no file system by that."""
    donor = lab.running(settings=Settings(ipc="shareable", privileged=True))
    guest = lab.create("ls", "/dev/shm", settings=Settings(ipc=f"container:{donor.id}"))
    monitor = lab.monitor(donor)
    assert collect(monitor.exec(("touch", "/dev/shm/note"))).status == 0
    assert lab.run(guest).stdout == b"note\n"
    done = collect(monitor.exec(("sh", "-c", replace)))
    assert done.status == 0, done
    with pytest.raises(StartFailed, match=r"^cannot join IPC: "):
        lab.start(guest)


def test_a_number_given_out_again_is_not_joined(lab: Lab) -> None:
    """The record of a donor that ended names a process that is now another: its start time says so."""
    donor = lab.running(settings=Settings(ipc="shareable"))
    state = lab.directory(donor) / "state.json"
    told = state.read_text()
    start = next(word for word in told.replace("}", ",").split(",") if '"pid_start"' in word)
    guest = lab.create("true", settings=Settings(pid=f"container:{donor.id}"))
    assert lab.run(guest).status == 0
    try:
        state.write_text(told.replace(start, ' "pid_start": 1'))
        with pytest.raises(StartFailed, match=f"^cannot join PID of a non running container: {donor.id}$"):
            lab.start(guest)
    finally:
        state.write_text(told)


def test_processes_of_a_shared_pid_namespace_cannot_look_into_those_on_their_way(lab: Lab) -> None:
    """The donor's processes see the guest's from birth on; until they exec they are the engine's."""
    script = """
        echo ready
        while [ ! -e /stop ]; do
            for p in /proc/[0-9]*; do
                case $(cat $p/cmdline | tr '\\0' ' ') in
                    *engine.runtime*)
                        readlink $p/exe; readlink $p/root; ls -l $p/fd; cat $p/environ; cat $p/maps
                        ( echo x > $p/mem ) && echo wrote
                        echo seen >> /seen ;;
                esac
            done
        done 2>/dev/null >>/loot
    """
    donor = lab.create("sh", "-c", script)
    session = lab.session(donor)
    assert session.read() == ("stdout", b"ready\n")
    seen, loot = lab.upper(donor) / "seen", lab.upper(donor) / "loot"
    eventually(loot.exists)
    far = "PATH=" + "/none:" * 20_000 + "/bin:/usr/bin"
    for _ in range(100):
        guest = lab.create("true", env=(far,), settings=Settings(pid=f"container:{donor.id}"))
        assert lab.run(guest).status == 0
        if seen.exists() and len(seen.read_text().split()) >= 5:
            break
    assert seen.exists(), "no race was ever near: this test proves nothing"
    assert collect(lab.monitor(donor).exec(("touch", "/stop"))).status == 0
    session.wait()
    text = loot.read_text()
    for word in ("python", "wrote", "socket:", str(lab.root), "/cgroup"):
        assert word not in text


def test_a_device_directory_with_links_gives_only_its_devices(lab: Lab, victim: Path) -> None:
    (victim / "victim").unlink()
    os.mknod(victim / "zero", stat.S_IFCHR | 0o666, os.makedev(1, 5))
    (victim / "disk").symlink_to("/dev/loop-control")
    (victim / "up").symlink_to("..")
    config = lab.create("ls", "/dev/given", settings=Settings(devices=(f"{victim}:/dev/given:r",)))
    assert lab.run(config).stdout == b"zero\n"
