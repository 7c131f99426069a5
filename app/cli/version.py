"""strata version: what this program is, in docker's fields."""

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

    found = Engine(args.root).version()
    if args.format:
        write_object(found, args.format)
        return 0
    own = found["Client"]
    out(
        f"Strata (no daemon: client and server are one program)\n Version:    {own['Version']}\n"
        f" OS/Arch:    {own['Os']}/{own['Arch']}\n Kernel:     {own['KernelVersion']}\n"
        f" Python:     {own['PythonVersion']}\n"
    )
    return 0
