"""info and version: what this engine is, what it keeps, and the machine it runs on."""

from __future__ import annotations

import os
import platform

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from engine.commands.context import Context

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386", "ppc64le": "ppc64le"}


def strata_version() -> str:
    """The version of the installed distribution; "unknown" when it runs from its sources, uninstalled."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("strata-containers")
    except PackageNotFoundError:
        return "unknown"


def architecture() -> str:
    """This machine's architecture, by Go's names, which images use."""
    machine = os.uname().machine
    return ARCHITECTURES.get(machine, machine)


def version(context: Context) -> dict[str, Any]:
    """docker's fields. There is no daemon: Client and Server are the same program, and both are told."""
    own = {
        "Version": strata_version(),
        "Os": "linux",
        "Arch": architecture(),
        "KernelVersion": os.uname().release,
        "PythonVersion": platform.python_version(),
    }
    return {"Client": {**own, "Context": "default"}, "Server": own}


def info(context: Context) -> dict[str, Any]:
    """docker's fields, as far as they mean something here."""
    from engine.cgroups import detect
    from engine.commands.confining import security_options

    containers = context.store.containers.snapshots()
    images = context.store.images.all()
    hierarchy = detect()
    return {
        "ID": "",
        "Containers": len(containers),
        "ContainersRunning": sum(one.state.status in ("running", "restarting") for one in containers),
        "ContainersPaused": sum(one.state.status == "paused" for one in containers),
        "ContainersStopped": sum(not one.state.running for one in containers),
        "Images": len(images),
        "Layers": sum(record.kind == "ro" for record in context.store.layers.all()),
        "Driver": "overlay2",
        "DriverStatus": [["Backing Filesystem", _filesystem(context.root)]],
        "LoggingDriver": "json-file",
        "CgroupDriver": "cgroupfs" if hierarchy.trees() else "none",
        "CgroupVersion": "2" if hierarchy.shape == "v2" else "1",
        "CgroupShape": hierarchy.shape,
        "SecurityOptions": security_options(),
        "KernelVersion": os.uname().release,
        "OperatingSystem": _operating_system(),
        "OSType": "linux",
        "Architecture": os.uname().machine,
        "NCPU": os.cpu_count() or 1,
        "MemTotal": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        "Name": os.uname().nodename,
        "DockerRootDir": context.root,
        "ServerVersion": strata_version(),
        "PythonVersion": platform.python_version(),
    }


def _operating_system() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    except OSError:
        return "Linux"


def _filesystem(path: str) -> str:
    """The type of the filesystem a path is on, from the longest mount point above it (proc(5), mountinfo)."""
    best, kind = "", "unknown"
    real = os.path.realpath(path)
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as lines:
        for line in lines:
            before, _, after = line.partition(" - ")
            point = before.split()[4].replace("\\040", " ")
            if len(point) >= len(best) and (real == point or real.startswith(point.rstrip("/") + "/")):
                best, kind = point, after.split()[0]
    return kind
