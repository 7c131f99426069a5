"""Platforms, as images name them: `linux/amd64`, `linux/arm/v7` (Go's words; OCI image-spec `config.md`)."""

from __future__ import annotations

import os

from engine.errors import InvalidInput

MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "i386": "386", "i486": "386", "i586": "386", "i686": "386"}
SYNONYMS = {**MACHINES, "x86-64": "amd64", "armhf": "arm", "armel": "arm"}
ARM = {"armv5": "v5", "armv6": "v6", "armv7": "v7", "armv8": "v8"}
WORD = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_.-")


def host_platform() -> tuple[str, str, str]:
    """(os, architecture, variant) of this machine."""
    machine = os.uname().machine
    if machine[:5] in ARM:
        return "linux", "arm", ARM[machine[:5]]
    return "linux", MACHINES.get(machine, machine), ""


def parse_platform(text: str) -> tuple[str, str, str]:
    """os/architecture[/variant], or an architecture alone; "" is this machine's. InvalidInput for anything else."""
    if not text:
        return host_platform()
    parts = text.lower().split("/")
    if not 1 <= len(parts) <= 3 or not all(part and WORD.issuperset(part) for part in parts):
        raise InvalidInput(f'"{text}" is not a platform: expected os/architecture[/variant], such as linux/amd64')
    if len(parts) == 1 and parts[0] != "linux":
        parts = ["linux", *parts]
    system, *rest = parts
    if not rest:
        return system, *host_platform()[1:]
    variant = rest[1] if len(rest) == 2 else ""
    architecture = SYNONYMS.get(rest[0], rest[0])
    if architecture == "arm64" and variant == "v8":
        variant = ""  # the only one there is (containerd's platforms.Normalize)
    return system, architecture, variant


def platform_text(platform: tuple[str, str, str]) -> str:
    """`linux/arm/v7`."""
    return "/".join(part for part in platform if part)


def fits(offered: tuple[str, str, str], wanted: tuple[str, str, str]) -> int:
    """How well an image for one platform runs on another: 0 = not at all, more is better."""
    if offered == ("", "", ""):
        return 1
    if offered[:2] != wanted[:2]:
        return 0
    if offered[1] == "arm":
        have, want = (int(variant[1:]) if variant[1:].isdigit() else 7 for variant in (offered[2], wanted[2]))
        return 2 + have if have <= want else 0
    if offered[1] == "arm64" and {offered[2], wanted[2]} <= {"", "v8"}:
        return 3
    return 3 if offered[2] == wanted[2] else 2 if not offered[2] else 0
