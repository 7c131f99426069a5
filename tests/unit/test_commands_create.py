"""What an image says and what a person chooses add up to a container's config, by docker's rules."""

from __future__ import annotations

import re
from typing import Any

import pytest

from engine.commands import names
from engine.commands.create import configure, merge_env
from engine.commands.options import CreateOptions
from engine.commands.signals import signal_number
from engine.errors import InvalidInput
from engine.oci.configs import ImageConfig
from engine.store.containers import ContainerConfig, check_name
from engine.store.images import ImageRecord

IMAGE = {
    "Entrypoint": ["/entry"],
    "Cmd": ["serve"],
    "Env": ["PATH=/bin", "A=1"],
    "User": "www",
    "WorkingDir": "/srv",
    "Labels": {"from": "image", "both": "image"},
    "ExposedPorts": {"80/tcp": {}},
    "Volumes": {"/data": {}},
    "StopSignal": "SIGQUIT",
}


def made(options: CreateOptions, **image: Any) -> ContainerConfig:
    raw = {"config": {**IMAGE, **image}, "rootfs": {"type": "layers", "diff_ids": []}}
    record = ImageRecord("sha256:" + "a" * 64, "sha256:" + "b" * 64, "", (), ImageConfig(raw), ("1" * 64, "2" * 64), 7)
    return configure(record, "demo", options, "c" * 64, "web")


def test_without_choices_the_image_decides() -> None:
    config = made(CreateOptions())
    assert (config.entrypoint, config.cmd, config.args) == (("/entry",), ("serve",), ("/entry", "serve"))
    assert (config.user, config.cwd, config.stop_signal) == ("www", "/srv", "SIGQUIT")
    assert config.env == ("PATH=/bin", "A=1")
    assert (config.exposed_ports, config.volumes) == (("80/tcp",), ("/data",))
    assert (config.image, config.image_name, config.layers) == ("sha256:" + "a" * 64, "demo", ("1" * 64, "2" * 64))
    assert config.hostname == "c" * 12
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", config.created)


@pytest.mark.parametrize(
    ("entrypoint", "command", "args"),
    [
        (None, (), ("/entry", "serve")),
        (None, ("other",), ("/entry", "other")),
        (("sh",), (), ("sh",)),  # giving an entrypoint discards the image's command
        (("sh",), ("-c", "x"), ("sh", "-c", "x")),
        ((), ("x",), ("x",)),  # --entrypoint ""
    ],
)
def test_entrypoint_and_command(
    entrypoint: tuple[str, ...] | None, command: tuple[str, ...], args: tuple[str, ...]
) -> None:
    assert made(CreateOptions(entrypoint=entrypoint, command=command)).args == args


def test_nothing_to_run_is_refused_at_once() -> None:
    with pytest.raises(InvalidInput, match="no command specified"):
        made(CreateOptions(entrypoint=()))
    with pytest.raises(InvalidInput, match="no command specified"):
        made(CreateOptions(), Entrypoint=None, Cmd=None)


def test_choices_win_and_maps_are_merged() -> None:
    config = made(
        CreateOptions(
            user="1:2", cwd="/a/../b/", hostname="h", labels={"both": "mine"}, env=("A=2", "B=3"), stop_signal="TERM",
            stop_timeout=0, tty=True, open_stdin=True, auto_remove=True,
        )
    )  # fmt: skip
    assert (config.user, config.cwd, config.hostname, config.stop_signal) == ("1:2", "/b", "h", "TERM")
    assert config.labels == {"from": "image", "both": "mine"}
    assert config.env == ("PATH=/bin", "A=2", "B=3")
    assert (config.stop_timeout, config.tty, config.open_stdin, config.auto_remove) == (0, True, True, True)


def test_a_variable_without_a_value_takes_the_images_away() -> None:
    assert merge_env(["A=1", "B=2"], ["A", "C"]) == ("B=2",)
    assert merge_env(["A=1"], ["A="]) == ("A=",)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (CreateOptions(cwd="rel"), "the working directory 'rel' is invalid, it needs to be an absolute path"),
        (CreateOptions(env=("=x",)), "invalid environment variable: =x"),
        (CreateOptions(stop_signal="NOPE"), "Invalid signal: NOPE"),
    ],
)
def test_a_choice_that_breaks_a_rule_is_refused(options: CreateOptions, problem: str) -> None:
    with pytest.raises(InvalidInput, match=re.escape(problem)):
        made(options)


def test_made_up_names_are_names_and_seldom_the_same() -> None:
    found = {names.random_name() for _ in range(50)}
    assert len(found) > 40
    for name in found:
        check_name(name)
        assert re.fullmatch(r"[a-z]+_[a-z]+", name)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("TERM", 15),
        ("SIGTERM", 15),
        ("sigkill", 9),
        ("9", 9),
        ("RTMIN", 34),
        ("SIGRTMIN+3", 37),
        ("RTMAX-1", 63),
        ("usr1", 10),
    ],
)
def test_signals_by_name_and_number(text: str, number: int) -> None:
    assert signal_number(text) == number


@pytest.mark.parametrize("text", ["", "0", "65", "-1", "FOO", "SIG", "RTMIN+99", "TERM+1", "SIG_IGN", "_IGN", "²"])
def test_what_is_no_signal(text: str) -> None:
    with pytest.raises(InvalidInput, match="Invalid signal"):
        signal_number(text)
