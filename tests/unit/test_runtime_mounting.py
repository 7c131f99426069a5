"""A plan's mounts, namespaces and the rest of what a container sees: from settings alone."""

from __future__ import annotations

import marshal
from typing import Any

import pytest

from engine.errors import InvalidInput
from engine.runtime.mounting import MOUNTS, Mount, mounts_of, tmpfs
from engine.runtime.plan import NAMESPACES, Plan, make_plan
from engine.settings import Settings
from tests.support.runtime import Config

ID, OTHER = "ab" * 32, "cd" * 32


def planned(ids: tuple[int, ...] = (), **settings: Any) -> Plan:
    return make_plan(Config(ID, ("true",), settings=Settings(**settings), ids=ids), "/root")


def test_by_default_every_namespace_but_the_users_is_its_own() -> None:
    plan = planned()
    assert (plan.namespaces, plan.joins, plan.ids) == (NAMESPACES, (), ())
    assert plan.mounts[: len(MOUNTS)] == MOUNTS
    assert [(mount.target, mount.source) for mount in plan.mounts[len(MOUNTS) :]] == [
        (f"/etc/{name}", f"/root/containers/{ID}/{name}") for name in ("resolv.conf", "hostname", "hosts")
    ]


def test_what_is_shared_is_not_its_own() -> None:
    shared: dict[str, Any] = {"pid": "host", "uts": "host", "ipc": "host", "network": "host", "cgroupns": "host"}
    assert planned(**shared).namespaces == ("mnt",)
    assert planned(network="none", ipc="shareable", cgroupns="private").namespaces == NAMESPACES
    assert planned(ids=(1048576, 65536)).namespaces == (*NAMESPACES, "user")


def test_what_is_another_containers_is_joined_and_so_are_its_files() -> None:
    other = f"container:{OTHER}"
    plan = planned(pid=other, uts=other, ipc=other, network=other)
    assert plan.namespaces == ("mnt", "cgroup")
    assert dict(plan.joins) == {"pid": OTHER, "uts": OTHER, "ipc": OTHER, "net": OTHER}
    sources = {mount.target: mount.source for mount in plan.mounts}
    assert sources["/etc/hosts"] == f"/root/containers/{OTHER}/hosts"
    assert Mount("shm", "/dev/shm", source=OTHER) in plan.mounts


def test_shared_memory_follows_the_ipc_mode() -> None:
    def shm(**settings: Any) -> list[Mount]:
        return [mount for mount in planned(**settings).mounts if mount.target == "/dev/shm"]

    flags = ("nosuid", "nodev", "noexec")
    assert shm(ipc="none") == []
    assert shm(ipc="host") == [Mount("bind", "/dev/shm", flags, source="/dev/shm")]
    assert shm(shm_size=4096) == [Mount("tmpfs", "/dev/shm", flags, ("mode=1777", "size=4096"))]
    assert shm(tmpfs={"/dev/shm": "size=1k"}) == [Mount("tmpfs", "/dev/shm", flags, ("size=1k",))]


def test_what_lies_in_another_mount_comes_after_it() -> None:
    settings = Settings(tmpfs={"/run/lock/deep": "", "/etc": "", "/run": ""})
    targets = [mount.target for mount in mounts_of(settings, "/c", ID)]
    assert targets.index("/etc") < targets.index("/etc/hosts")
    assert targets.index("/run") < targets.index("/run/lock/deep")


def test_a_tmpfs_has_dockers_flags_unless_it_says_otherwise() -> None:
    assert tmpfs("/x", "") == Mount("tmpfs", "/x", ("nosuid", "nodev", "noexec"))
    assert tmpfs("/a//b/../x/", "exec,suid,dev,ro,size=1m,mode=700,size=2m") == Mount(
        "tmpfs", "/a/x", ("ro",), ("size=2m", "mode=700")
    )
    assert tmpfs("/x", "ro,rw").attributes == ("nosuid", "nodev", "noexec")


@pytest.mark.parametrize(
    ("path", "options", "why"),
    [
        ("x", "", "invalid mount path: 'x' mount path must be absolute"),
        ("/", "", "invalid specification: destination can't be '/'"),
        ("/x/..", "", "invalid specification: destination can't be '/'"),
        ("/proc", "", "invalid mount path: '/proc' has a file system of its own, which cannot be replaced"),
        ("/x", "upperdir=/", 'Invalid tmpfs option "upperdir=/"'),
        ("/x", "size", 'Invalid tmpfs option "size"'),
    ],
)
def test_a_tmpfs_that_cannot_be(path: str, options: str, why: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        tmpfs(path, options)
    assert str(refused.value) == why


def test_a_person_can_read_all_of_it_and_it_survives_the_wire() -> None:
    plan = planned(
        ids=(1048576, 65536),
        network=f"container:{OTHER}",
        tmpfs={"/run": "size=1m"},
        devices=("/dev/fuse:/dev/fuse:r",),
        device_cgroup_rules=("c 7:* r",),
        group_add=("audio",),
        read_only=True,
        sysctls={"net.x": "1"},
        ulimits=("nofile=1:-1",),
        oom_score_adj=-5,
    )
    assert marshal.loads(marshal.dumps(plan.wire(), 2)) == plan.wire()
    text = "\n".join(plan.describe())
    for word in (
        *(
            "joins      net of container cdcdcdcdcdcd",
            "0 is 1048576 outside, 65536",
            "/run (nosuid,nodev,noexec,size=1m)",
        ),
        *("/dev/fuse:/dev/fuse:r", "may use    c 7:* r", "root, audio", "read-only  /", "net.x=1", "nofile=1:-1", "-5"),
    ):
        assert word in text
    assert plan.ulimits == (("nofile", 1, -1),)
