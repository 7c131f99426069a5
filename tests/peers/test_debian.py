"""Debian's own tools in a container of ours, and what a program at a terminal can do to the one outside."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.peers.conftest import Saved
from tests.support.command import Strata
from tests.support.terminal import Terminal

# TIOCSTI puts a byte into a terminal's input, as if it had been typed there (ioctl_tty(2)).
INJECT = (
    'open(my $tty, "+<", $ARGV[0]) or die "open: $!\\n"; ioctl($tty, 0x5412, my $byte = "x") or die "ioctl: $!\\n";'
)


@pytest.fixture(scope="module")
def strata(debian: Saved) -> Iterator[Strata]:
    with Strata() as command:
        name = command("load", "-q", "-i", str(debian.archive)).partition(": ")[2]
        command("tag", name, "debian")
        command("run", "-d", "--name", "box", "debian", "sleep", "100000")
        yield command


def test_packages_are_listed_and_verified(strata: Strata) -> None:
    listed = strata("exec", "box", "dpkg", "-l")
    assert "\nii  dpkg " in listed and "\nii  libc6" in listed
    assert strata("exec", "box", "dpkg", "--audit") == ""
    assert strata("exec", "box", "dpkg", "--verify", "dpkg", "bash", "coreutils") == ""
    assert strata("exec", "box", "apt-get", "check", "-qq") == ""


def test_bash_runs_jobs_at_a_terminal(strata: Strata) -> None:
    with Terminal(strata, "exec", "-it", "box", "bash", "--norc") as terminal:
        terminal.type("""sh -c 'echo rea""dy; while :; do :; done'\n""")
        terminal.expect(r"ready\r\n")
        terminal.type("\x1a")
        terminal.expect("Stopped")
        terminal.type("kill %1; wait %1; echo en''ded\n")
        terminal.expect(r"ended\r\n")
        terminal.type("exit 9\n")
        assert terminal.ends() == 9


def test_processes_are_the_containers_own(strata: Strata) -> None:
    script = "for at in /proc/[0-9]*; do tr '\\0' ' ' <$at/cmdline; echo; done"
    found = strata("exec", "box", "bash", "-c", script).split("\n")
    assert found[0] == "sleep 100000 " and len([line for line in found if line]) == 2  # and the shell that asks


def test_su_changes_the_user_and_set_user_id_programs_work(strata: Strata) -> None:
    assert strata("exec", "box", "su", "nobody", "-s", "/bin/sh", "-c", "id -un; id -G") == "nobody\n65534"
    for name, choices, wanted in (("free", (), True), ("held", ("--security-opt", "no-new-privileges"), False)):
        strata("run", "-d", "--name", name, *choices, "debian", "sleep", "100000")
        strata("exec", name, "sh", "-c", "cp /usr/bin/id /srv/id && chmod u+s /srv/id")
        assert ("euid=0(root)" in strata("exec", "-u", "nobody", name, "/srv/id")) is wanted
        strata("rm", "-f", name)


def test_users_are_added_and_files_change_hands(strata: Strata) -> None:
    strata("exec", "box", "useradd", "--create-home", "--groups", "audio", "ann")
    assert strata("exec", "-u", "ann", "-w", "/home/ann", "box", "sh", "-c", "touch a; stat -c %U:%G a; id -Gn") == (
        "ann:ann\nann audio"
    )
    strata("exec", "box", "chown", "daemon:tape", "/home/ann/a")
    assert strata("exec", "box", "stat", "-c", "%U:%G", "/home/ann/a") == "daemon:tape"


def test_perl_and_locales_and_time_work(strata: Strata) -> None:
    assert strata("exec", "box", "perl", "-e", "print join q(,), map { $_ * 2 } 1 .. 3") == "2,4,6"
    assert strata("exec", "box", "date", "-u", "-d", "@0", "+%F") == "1970-01-01"


def test_without_a_terminal_no_byte_gets_into_the_one_outside(strata: Strata) -> None:
    """Its streams are pipes, it leads a session of its own, and no terminal is in it."""
    for place, words in {
        "/dev/tty": "open: No such device or address",
        "/proc/self/fd/0": "",
        "/proc/self/fd/1": "",
        "/proc/self/fd/2": "",
    }.items():
        with Terminal(strata, "exec", "-i", "box", "perl", "-e", INJECT, place) as terminal:
            terminal.expect(words or "(open|ioctl): (Inappropriate ioctl|Permission denied|No such device)")
            assert terminal.ends() != 0
    assert strata.run("exec", "box", "ls", "/dev/pts").stdout.split() == ["ptmx"]


def test_with_a_terminal_a_byte_goes_into_its_own_only(strata: Strata) -> None:
    """What it types to itself is read by itself: the terminal outside has nothing in its input afterwards."""
    script = f"perl -e '{INJECT}' /dev/tty; echo said-$?"
    with Terminal(
        strata, argv=["sh", "-c", f'{" ".join(strata.argv())} exec -t box bash -c "$1"; cat', "sh", script]
    ) as at:
        at.expect(r"said-\d+")
        at.type("only this\n")
        at.expect("only this\r\nonly this\r\n")  # its echo, and what cat read: nothing before it
        at.type("\x04")
        assert at.ends() == 0
