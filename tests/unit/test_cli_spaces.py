"""The flags that say what a container sees become settings, and settings docker's HostConfig."""

from __future__ import annotations

import pytest

from app.cli import spaces
from app.cli.flags import Args, BadChoice, Parser, UsageError
from engine.commands.surroundings import host_config
from engine.settings import Settings

EVERY = (
    *("--pid", "host", "--ipc", "shareable", "--uts", "host", "--network=none", "--userns", "host"),
    *("--cgroupns", "private", "--read-only", "--shm-size", "1m", "--oom-score-adj", "-5", "--group-add", "a"),
    *("--group-add", "7", "--tmpfs", "/run:size=1m,exec", "--tmpfs", "/tmp", "--device", "/dev/fuse:r"),
    *("--device-cgroup-rule", "a 7:* r", "--sysctl", "net.x=1", "--sysctl", "kernel.sem=1 2", "--ulimit", "core=0"),
    *("--ulimit", "nofile=1:2", "--ulimit", "core=9"),
)


def parse(*words: str) -> Args:
    parser = Parser("strata run")
    spaces.add_flags(parser)
    return parser.parse(words)


def chosen(*words: str) -> Settings:
    return Settings(**spaces.chosen(parse(*words)))


def test_without_flags_nothing_is_chosen() -> None:
    assert spaces.chosen(parse()) == {}


def test_every_flag_has_its_field() -> None:
    assert chosen(*EVERY) == Settings(
        pid="host",
        ipc="shareable",
        uts="host",
        network="none",
        userns="host",
        cgroupns="private",
        read_only=True,
        shm_size=1 << 20,
        oom_score_adj=-5,
        group_add=("a", "7"),
        tmpfs={"/run": "size=1m,exec", "/tmp": ""},
        devices=("/dev/fuse:/dev/fuse:r",),
        device_cgroup_rules=("b 7:* r", "c 7:* r"),
        sysctls={"net.x": "1", "kernel.sem": "1 2"},
        ulimits=("core=9:9", "nofile=1:2"),  # the last of a name counts
    )
    assert chosen("--net", "host") == Settings(network="host")


def test_inspect_shows_them_as_docker_does() -> None:
    shown = host_config(chosen(*EVERY), (1048576, 65536))
    assert shown["Devices"] == [
        {"PathOnHost": "/dev/fuse", "PathInContainer": "/dev/fuse", "CgroupPermissions": "r"},
    ]
    assert shown["Ulimits"] == [{"Name": "core", "Hard": 9, "Soft": 9}, {"Name": "nofile", "Hard": 2, "Soft": 1}]
    assert (shown["PidMode"], shown["IpcMode"], shown["UTSMode"]) == ("host", "shareable", "host")
    assert (shown["NetworkMode"], shown["UsernsMode"], shown["CgroupnsMode"]) == ("none", "host", "private")
    assert (shown["ReadonlyRootfs"], shown["ShmSize"], shown["OomScoreAdj"]) == (True, 1 << 20, -5)
    assert shown["Tmpfs"] == {"/run": "size=1m,exec", "/tmp": ""}
    assert shown["Sysctls"] == {"net.x": "1", "kernel.sem": "1 2"}
    assert (shown["GroupAdd"], shown["DeviceCgroupRules"]) == (["a", "7"], ["b 7:* r", "c 7:* r"])
    assert shown["IDMappings"] == {"UidMap": ["0:1048576:65536"], "GidMap": ["0:1048576:65536"]}
    plain = host_config(Settings(), ())
    assert (plain["IpcMode"], plain["ShmSize"], plain["GroupAdd"], plain["Devices"]) == ("private", 67108864, None, [])
    assert not {"Tmpfs", "Sysctls", "IDMappings"} & set(plain)


@pytest.mark.parametrize(
    ("flag", "text", "why"),
    [
        ("--sysctl", "kernel.panic=1", "sysctl 'kernel.panic=1' is not allowed"),
        ("--ulimit", "files=1", "invalid ulimit type: files"),
        ("--device-cgroup-rule", "x", "invalid device cgroup format 'x'"),
        ("--shm-size", "x", "invalid size: 'x'"),
        ("--oom-score-adj", "x", "not a whole number"),
    ],
)
def test_what_cannot_be_read_is_told_in_dockers_words(flag: str, text: str, why: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse(flag, text)
    assert str(refused.value).startswith(f'invalid argument "{text}" for "{flag}" flag: {why}\n')
    assert refused.value.exit_status == 125


def test_a_bad_device_is_a_bad_choice() -> None:
    with pytest.raises(BadChoice, match=r"^bad mode specified: x$"):
        chosen("--device", "/dev/fuse:/a:x")
