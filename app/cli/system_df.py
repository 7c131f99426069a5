"""strata system df: what images, containers and all that is kept for them take on disk."""

from __future__ import annotations

from app.cli.format import ago, short_id, size
from app.cli.output import FormatError, out, rows_format_flag, write_rows
from app.cli.template_functions import Row

TYPE_CHECKING = False
if TYPE_CHECKING:
    from app.cli.flags import Args, Parser
    from engine.commands.usage import DiskUsage, Usage

TABLE = "{{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}"
TITLES = {
    "Type": "TYPE",
    "TotalCount": "TOTAL",
    "Active": "ACTIVE",
    "Size": "SIZE",
    "Reclaimable": "RECLAIMABLE",
}
IMAGES = (
    "{{.Repository}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}\t{{.SharedSize}}\t{{.UniqueSize}}\t{{.Archives}}"
    "\t{{.Containers}}"
)
IMAGE_TITLES = {
    "Repository": "IMAGE",
    "ID": "IMAGE ID",
    "CreatedSince": "CREATED",
    "Size": "SIZE",
    "SharedSize": "SHARED SIZE",
    "UniqueSize": "UNIQUE SIZE",
    "Archives": "ARCHIVES",
    "Containers": "CONTAINERS",
}
CONTAINERS = "{{.ID}}\t{{.Image}}\t{{.Size}}\t{{.Status}}\t{{.Names}}"
CONTAINER_TITLES = {"ID": "CONTAINER ID", "Image": "IMAGE", "Size": "SIZE", "Status": "STATUS", "Names": "NAMES"}


def add_arguments(parser: Parser) -> None:
    parser.describe("[OPTIONS]", most=0)
    rows_format_flag(parser)
    parser.add_argument("-v", "--verbose", action="store_true", help="Show detailed information on space usage")


def run(args: Args) -> int:
    from engine.engine import Engine

    if args.verbose and args.format:
        raise FormatError("the verbose and the format options conflict")
    usage = Engine(args.root).disk_usage()
    if args.verbose:
        _verbose(usage)
    else:
        write_rows(kinds(usage), args.format, TABLE, TITLES)
    return 0


def kinds(usage: DiskUsage) -> list[Row]:
    """docker's rows, then those of what docker does not count."""
    rows = [
        ("Images", usage.images),
        ("Containers", usage.containers),
        ("Layer Archives", usage.archives),
        ("Broken Downloads", usage.downloads),
        ("Garbage", usage.garbage),
    ]
    return [_row(name, kind) for name, kind in rows]


def _row(name: str, kind: Usage) -> Row:
    percent = f" ({100 * kind.reclaimable // kind.size}%)" if kind.size else ""
    return Row(
        "*formatter.diskUsageContext",
        {
            "Type": name,
            "TotalCount": str(kind.total),
            "Active": str(kind.active),
            "Size": size(kind.size),
            "Reclaimable": size(kind.reclaimable) + percent,
        },
    )


def _verbose(usage: DiskUsage) -> None:
    out("Images space usage:\n\n")
    images = [
        Row(
            "*formatter.diskUsageImageContext",
            {
                "Repository": ", ".join(image.names) or "<none>",
                "ID": short_id(image.id),
                "CreatedSince": ago(image.created),
                "Size": size(image.shared + image.unique),
                "SharedSize": size(image.shared),
                "UniqueSize": size(image.unique),
                "Archives": size(image.archives),
                "Containers": str(image.containers),
            },
        )
        for image in usage.each_image
    ]
    write_rows(images, "", IMAGES, IMAGE_TITLES)
    out("\nContainers space usage:\n\n")
    containers = [
        Row(
            "*formatter.diskUsageContainerContext",
            {
                "ID": short_id(container.id),
                "Image": container.image,
                "Size": size(container.size),
                "Status": container.status,
                "Names": container.name,
            },
        )
        for container in usage.each_container
    ]
    write_rows(containers, "", CONTAINERS, CONTAINER_TITLES)
    for name, kind in (("Layer archives", usage.archives), ("Broken downloads", usage.downloads)):
        out(f"\n{name}: {kind.total}, {size(kind.size)}\n")
    out(
        f"\nGarbage: {size(usage.garbage.size)}; `strata system prune` removes it.\n"
        f"\nAll together: {size(usage.size)}\n"
    )
