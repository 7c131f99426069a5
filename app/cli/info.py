"""strata info: what is kept, and the machine it is kept on."""

from __future__ import annotations

from app.cli.output import object_format_flag, out, write_object

TYPE_CHECKING = False
if TYPE_CHECKING:
    from app.cli.flags import Args, Parser


def add_arguments(parser: Parser) -> None:
    parser.describe("[OPTIONS]")
    object_format_flag(parser)


def run(args: Args) -> int:
    from engine.engine import Engine

    found = Engine(args.root).info()
    if args.format:
        write_object(found, args.format)
        return 0
    rows = [
        ("Containers", found["Containers"]),
        (" Running", found["ContainersRunning"]),
        (" Paused", found["ContainersPaused"]),
        (" Stopped", found["ContainersStopped"]),
        ("Images", found["Images"]),
        ("Layers", found["Layers"]),
        ("Server Version", found["ServerVersion"]),
        ("Storage Driver", found["Driver"]),
        *((f" {key}", value) for key, value in found["DriverStatus"]),
        ("Logging Driver", found["LoggingDriver"]),
        ("Cgroup Driver", found["CgroupDriver"]),
        ("Cgroup Version", f"{found['CgroupVersion']} ({found['CgroupShape']})"),
        ("Security Options", ", ".join(option.removeprefix("name=") for option in found["SecurityOptions"])),
        ("Kernel Version", found["KernelVersion"]),
        ("Operating System", found["OperatingSystem"]),
        ("OSType", found["OSType"]),
        ("Architecture", found["Architecture"]),
        ("CPUs", found["NCPU"]),
        ("Total Memory", f"{found['MemTotal'] / 2**30:.4g}GiB"),
        ("Name", found["Name"]),
        ("Strata Root Dir", found["DockerRootDir"]),
    ]
    out("".join(f"{key}: {value}\n" for key, value in rows))
    return 0
