"""What capabilities, security options and --privileged add up to, and docker's words for those that cannot be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.cli.choices import add_container_flags, create_options
from app.cli.flags import BadChoice, Parser
from engine.commands import confining
from engine.commands.labels import apparmor_profile, labels
from engine.errors import InvalidInput
from engine.kernel.capabilities import CAPS
from engine.runtime.confinement import (
    CAPABILITIES,
    MASKED,
    READ_ONLY,
    Security,
    capabilities,
    check_capabilities,
    every_capability,
    masked_paths,
    security,
)
from engine.seccomp import compiler
from engine.settings import Settings
from engine.store.root import Store

ALL = tuple(name.removeprefix("CAP_") for name in CAPS)


def chosen(*flags: str) -> Settings:
    """The settings that flags of `strata run` ask for."""
    parser = Parser("strata run")
    parser.describe("", least=1, most=None, interspersed=False)
    add_container_flags(parser)
    return create_options(parser.parse([*flags, "image"])).settings


# Capabilities.


@pytest.mark.parametrize(
    ("flags", "add", "drop"),
    [
        (["--cap-add", "net_admin"], ("NET_ADMIN",), ()),
        (["--cap-add=CAP_SYS_TIME", "--cap-add", "sys_time"], ("SYS_TIME",), ()),
        (["--cap-add", "all", "--cap-add", "CHOWN"], ("ALL",), ()),
        (["--cap-drop", "ALL", "--cap-add", "chown", "--cap-drop", "kill"], ("CHOWN",), ("ALL",)),
        (["--cap-add", "CHOWN", "--cap-drop", "chown", "--cap-drop", "Cap_Kill"], ("CHOWN",), ("KILL",)),
    ],
)
def test_capability_flags_are_read_as_dockers_command_reads_them(
    flags: list[str], add: tuple[str, ...], drop: tuple[str, ...]
) -> None:
    settings = chosen(*flags)
    assert (settings.cap_add, settings.cap_drop) == (add, drop)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (Settings(), set(CAPABILITIES)),
        (Settings(cap_add=("NET_ADMIN", "CHOWN")), {*CAPABILITIES, "NET_ADMIN"}),
        (Settings(cap_drop=("MKNOD", "BPF")), {*CAPABILITIES} - {"MKNOD"}),
        (Settings(cap_drop=("ALL",)), set()),
        (Settings(cap_drop=("ALL",), cap_add=("KILL",)), {"KILL"}),
        (Settings(cap_add=("ALL",)), set(ALL)),
        (Settings(cap_add=("ALL",), cap_drop=("SYS_ADMIN",)), {*ALL} - {"SYS_ADMIN"}),
        (Settings(privileged=True, cap_drop=("ALL",)), set(ALL)),
    ],
)
def test_what_processes_may_hold(settings: Settings, expected: set[str]) -> None:
    found = capabilities(settings)
    assert set(found) == expected
    assert len(found) == len(expected)


def test_capabilities_that_there_are_not_are_refused_in_dockers_words() -> None:
    for settings, words in (
        (Settings(cap_add=("FOO",)), 'invalid CapAdd: unknown capability: "CAP_FOO"'),
        (Settings(cap_drop=("FOO",)), 'invalid CapDrop: unknown capability: "CAP_FOO"'),
        (Settings(cap_add=("BPF",)), "not supported by your kernel or not available in the current environment"),
    ):
        with pytest.raises(InvalidInput, match=words):
            check_capabilities(settings, ALL, CAPABILITIES)
    check_capabilities(Settings(cap_add=("ALL",), cap_drop=("ALL", "BPF")), ALL, CAPABILITIES)


# Security options.


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], Security()),
        (["no-new-privileges"], Security(no_new_privileges=True)),
        (["no-new-privileges:true"], Security(no_new_privileges=True)),
        (["no-new-privileges=true", "no-new-privileges=false"], Security()),
        (["seccomp=unconfined", "systempaths=unconfined"], Security(seccomp="unconfined", system_paths=True)),
        (["seccomp:builtin"], Security(seccomp="builtin")),
        (['seccomp={"a":"b=c"}'], Security(seccomp='{"a":"b=c"}')),
        (
            ["apparmor=mine", "label=type:t", "label:level:s0:c1"],
            Security(apparmor="mine", labels=("type:t", "level:s0:c1")),
        ),
    ],
)
def test_security_options(options: list[str], expected: Security) -> None:
    assert security(options) == expected


@pytest.mark.parametrize("option", ["foo", "foo=bar", "no-new-privileges=maybe", "systempaths=x", "secomp=unconfined"])
def test_a_security_option_that_is_none_is_refused(option: str) -> None:
    with pytest.raises(InvalidInput, match=r'^invalid --security-opt( 2)?: "'):
        security([option])
    with pytest.raises((InvalidInput, BadChoice), match=r"^invalid --security-opt"):
        confining.check(chosen("--security-opt", option))


def test_a_profile_is_read_from_its_file_and_kept_as_one_line(tmp_path: Path) -> None:
    file = tmp_path / "profile.json"
    file.write_text('{\n  "defaultAction": "SCMP_ACT_ALLOW"\n}\n')
    assert chosen("--security-opt", f"seccomp={file}").security_opt == ('seccomp={"defaultAction":"SCMP_ACT_ALLOW"}',)
    for name, words in (("no", "opening seccomp profile .*: no such file or directory"), ("", "is a directory")):
        with pytest.raises(BadChoice, match=words):
            chosen("--security-opt", f"seccomp={tmp_path / name}")
    file.write_text("{")
    with pytest.raises(BadChoice, match=r"compacting json for seccomp profile .* failed: "):
        chosen("--security-opt", f"seccomp={file}")


def test_a_profile_that_cannot_be_compiled_is_refused_before_anything_is_made() -> None:
    with pytest.raises(InvalidInput, match="SCMP_ACT_NOTIFY is not supported"):
        confining.check(Settings(security_opt=('seccomp={"defaultAction":"SCMP_ACT_NOTIFY"}',)))


def test_masked_paths() -> None:
    assert masked_paths(Settings()) == (MASKED, READ_ONLY)
    assert masked_paths(Settings(privileged=True)) == ((), ())
    assert masked_paths(Settings(security_opt=("systempaths=unconfined",))) == ((), ())


def test_inspect_shows_dockers_fields() -> None:
    assert confining.host_config(Settings()) == {
        "CapAdd": None,
        "CapDrop": None,
        "Privileged": False,
        "SecurityOpt": None,
        "MaskedPaths": list(MASKED),
        "ReadonlyPaths": list(READ_ONLY),
    }
    options = ("systempaths=unconfined", "no-new-privileges")
    assert confining.host_config(Settings(cap_add=("ALL",), cap_drop=("KILL",), security_opt=options)) == {
        "CapAdd": ["ALL"],
        "CapDrop": ["CAP_KILL"],
        "Privileged": False,
        "SecurityOpt": ["no-new-privileges"],
        "MaskedPaths": [],
        "ReadonlyPaths": [],
    }
    shown = confining.host_config(Settings(privileged=True))
    assert (shown["MaskedPaths"], shown["SecurityOpt"]) == (None, ["label=disable"])
    assert confining.host_config(Settings(pid="host", security_opt=("label=type:t",)))["SecurityOpt"] == [
        "label=type:t"
    ]


# Filters that are kept.


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "root"))


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was compiled, call by call."""
    done: list[Any] = []
    before = compiler.compile_profile

    def compile_profile(profile: Any) -> bytes:
        done.append(profile)
        return before(profile)

    monkeypatch.setattr(compiler, "compile_profile", compile_profile)
    monkeypatch.setattr(confining, "_available", lambda: True)
    return done


def filters(store: Store) -> list[Path]:
    return sorted(Path(store.path("seccomp")).iterdir())


def test_a_filter_is_compiled_once_for_a_profile_and_capabilities(store: Store, compiled: list[Any]) -> None:
    first = confining.filter_for(store, Settings(), CAPABILITIES)
    assert first[1] and len(first[1]) % 8 == 0
    assert confining.filter_for(store, Settings(security_opt=("seccomp=builtin",)), CAPABILITIES) == first
    assert len(compiled) == len(filters(store)) == 1
    more = confining.filter_for(store, Settings(), (*CAPABILITIES, "SYS_ADMIN"))
    assert more[1] != first[1]
    own = Settings(security_opt=('seccomp={"defaultAction":"SCMP_ACT_ALLOW","flags":["SECCOMP_FILTER_FLAG_LOG"]}',))
    assert confining.filter_for(store, own, CAPABILITIES)[0] & 2
    assert confining.filter_for(store, own, CAPABILITIES)[0] & 2
    assert len(compiled) == len(filters(store)) == 3
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in filters(store))
    assert not list(Path(store.path("tmp")).iterdir())


@pytest.mark.parametrize("damage", ["empty", "cut", "changed", "a link", "another's", "a directory", "no place"])
def test_a_kept_filter_that_is_not_whole_and_our_own_is_not_used(
    store: Store, compiled: list[Any], damage: str, tmp_path: Path
) -> None:
    good = confining.filter_for(store, Settings(), CAPABILITIES)
    (file,) = filters(store)
    data = file.read_bytes()
    if damage == "empty":
        file.write_bytes(b"")
    elif damage == "cut":
        file.write_bytes(data[:-8])
    elif damage == "changed":  # the last instruction allows
        file.write_bytes(data[:-4] + b"\x00\x00\xff\x7f")
    elif damage == "a link":
        file.rename(tmp_path / "elsewhere")
        file.symlink_to(tmp_path / "elsewhere")
    elif damage == "another's":
        file.chmod(0o666)
    elif damage == "a directory":
        file.unlink()
        file.mkdir()
    else:
        file.unlink()
        file.parent.rmdir()
        file.parent.write_text("in the way")
    assert confining.filter_for(store, Settings(), CAPABILITIES) == good
    assert len(compiled) == 2
    assert not list(Path(store.path("tmp")).iterdir())
    if damage not in ("a directory", "no place"):
        assert file.read_bytes() == data  # mended
        assert confining.filter_for(store, Settings(), CAPABILITIES) == good
        assert len(compiled) == 2


def test_only_so_many_filters_are_kept(store: Store, compiled: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confining, "_MOST_KEPT", 2)
    for name in ("SYS_ADMIN", "SYS_TIME", "SYS_BOOT", "BPF"):
        confining.filter_for(store, Settings(), (name,))
    assert len(filters(store)) == 2
    confining.filter_for(store, Settings(), ("BPF",))
    assert len(compiled) == 4


def test_who_has_no_filter(store: Store, compiled: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    for settings in (
        Settings(security_opt=("seccomp=unconfined",)),
        Settings(privileged=True),
        Settings(privileged=True, security_opt=("seccomp=unconfined",)),
        Settings(security_opt=("seccomp={}",)),
    ):
        assert confining.filter_for(store, settings, CAPABILITIES)[1] == b""
    assert not compiled
    own = Settings(privileged=True, security_opt=('seccomp={"defaultAction":"SCMP_ACT_LOG"}',))
    assert confining.filter_for(store, own, CAPABILITIES)[1]  # docker 26 and later obey it there too
    monkeypatch.setattr(confining, "_available", lambda: False)
    assert confining.filter_for(store, Settings(), CAPABILITIES) == (0, b"")
    with pytest.raises(
        InvalidInput, match="seccomp is not enabled in your kernel, cannot run a custom seccomp profile"
    ):
        confining.filter_for(store, own, CAPABILITIES)


# Labels, on a machine made of files.


def machine(root: Path, **files: str) -> str:
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return str(root)


def test_apparmor(tmp_path: Path) -> None:
    on = machine(
        tmp_path / "on",
        sys__module__apparmor__parameters__enabled="Y\n",
        proc__self__attr__apparmor__exec="",
        sys__kernel__security__apparmor__profiles="docker-default (enforce)\nother (complain)\n",
    )
    mine = Settings(security_opt=("apparmor=mine",))
    off = Settings(security_opt=("apparmor=unconfined",))
    assert labels(Settings(), on) == (("apparmor/exec", "exec docker-default"),)
    assert labels(mine, on) == (("apparmor/exec", "exec mine"),)
    assert labels(mine.replaced(privileged=True), on) == (("apparmor/exec", "exec mine"),)
    assert labels(off, on) == labels(Settings(privileged=True), on) == ()
    assert [apparmor_profile(choice, on) for choice in (Settings(), mine, off, Settings(privileged=True))] == [
        *("docker-default", "mine", "unconfined", "unconfined")
    ]
    (tmp_path / "on/proc/self/attr/apparmor/exec").unlink()
    (tmp_path / "on/sys/kernel/security/apparmor/profiles").write_text("other (complain)\n")
    assert labels(mine, on) == (("exec", "exec mine"),)
    assert labels(Settings(), on) == ()
    for bare in (machine(tmp_path / "no"), machine(tmp_path / "n", sys__module__apparmor__parameters__enabled="N\n")):
        assert labels(mine, bare) == labels(Settings(), bare) == ()
        assert apparmor_profile(mine, bare) == ""


def test_selinux(tmp_path: Path) -> None:
    def label(*options: str, root: str = "on") -> tuple[tuple[str, str], ...]:
        settings = Settings(security_opt=tuple(f"label={option}" for option in options))
        return labels(settings, str(tmp_path / root))

    machine(
        tmp_path / "on",
        sys__fs__selinux__enforce="1",
        proc__self__attr__current="unconfined_u:unconfined_r:unconfined_t:s0-s0:c0.c1023\0",
    )
    machine(tmp_path / "plain", sys__fs__selinux__enforce="1", proc__self__attr__current="u:r:t\n")
    assert label("type:container_t", "level:s0:c1,c2") == (("exec", "unconfined_u:unconfined_r:container_t:s0:c1,c2"),)
    assert label("user:system_u", "role:system_r") == (("exec", "system_u:system_r:unconfined_t:s0-s0:c0.c1023"),)
    assert label("type:container_t", root="plain") == (("exec", "u:r:container_t"),)
    assert label() == label("disable") == label("type:x", "disable") == label("type:x", root="none") == ()
    with pytest.raises(InvalidInput, match='bad label option "foo:bar"'):
        label("foo:bar")
    with pytest.raises(InvalidInput, match="bad label option"):
        confining.check(Settings(security_opt=("label=type",)))


def test_settings_with_all_of_it_come_back_from_json() -> None:
    settings = Settings(privileged=True, cap_add=("ALL",), security_opt=('seccomp={"a":1}',))
    assert Settings.from_plain(json.loads(json.dumps(settings.plain()))) == settings
    assert every_capability() == ALL
