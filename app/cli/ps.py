"""strata ps: the containers as rows."""

from __future__ import annotations

import time

from app.cli.flags import number
from app.cli.format import ago, created_at, duration, ellipsis, quote, seconds_of, short_id, size
from app.cli.output import filter_flag, gathered, rows_format_flag, write_rows
from app.cli.template_functions import Row

TYPE_CHECKING = False
if TYPE_CHECKING:
    from app.cli.flags import Args, Parser
    from engine.commands.summaries import ContainerSummary

TABLE = "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}"
TITLES = {
    "ID": "CONTAINER ID",
    "Image": "IMAGE",
    "Command": "COMMAND",
    "CreatedAt": "CREATED AT",
    "RunningFor": "CREATED",
    "Ports": "PORTS",
    "State": "STATE",
    "Status": "STATUS",
    "Size": "SIZE",
    "Names": "NAMES",
    "Labels": "LABELS",
    "Mounts": "MOUNTS",
    "LocalVolumes": "LOCAL VOLUMES",
    "Networks": "NETWORKS",
}


def add_arguments(parser: Parser) -> None:
    parser.describe("[OPTIONS]")
    parser.add_argument("-a", "--all", action="store_true", help="Show all containers (default shows just running)")
    filter_flag(parser)
    rows_format_flag(parser)
    parser.add_argument(
        "-n", "--last", type=number, metavar="int", help="Show n last created containers (includes all states)"
    )
    parser.add_argument(
        "-l", "--latest", action="store_true", help="Show the latest created container (includes all states)"
    )
    parser.add_argument("--no-trunc", action="store_true", help="Don't truncate output")
    parser.add_argument("-q", "--quiet", action="store_true", help="Only display container IDs")
    parser.add_argument("-s", "--size", action="store_true", help="Display total file sizes")


def run(args: Args) -> int:
    from engine.engine import Engine

    last = 1 if args.latest else max(args.last or 0, 0)
    measured = args.size or ".Size" in args.format
    found = Engine(args.root).containers(args.all, gathered(args.filter), size=measured, last=last)
    now = time.time()
    rows = [container_row(one, now, not args.no_trunc) for one in found]
    table = "{{.ID}}" if args.quiet else TABLE + ("\t{{.Size}}" if args.size else "")
    write_rows(rows, args.format, table, TITLES, quiet=args.quiet)
    return 0


def container_row(one: ContainerSummary, now: float, short: bool) -> Row:
    """docker's fields of a container; short: ids and commands cut."""

    def shown_size() -> str:
        if one.size_rw is None or one.size_root is None:
            return "0B"
        return f"{size(one.size_rw)} (virtual {size(one.size_root)})"

    return Row(
        "*formatter.ContainerContext",
        {
            "ID": short_id(one.id) if short else one.id,
            "Image": short_id(one.image) if short and one.image == one.image_id else one.image,
            "Command": lambda: quote(ellipsis(one.command, 20) if short else one.command),
            "CreatedAt": lambda: created_at(one.created),
            "RunningFor": lambda: ago(one.created, now),
            "Ports": "",
            "State": one.status,
            "Status": lambda: status(one, now),
            "Size": shown_size,
            "Names": one.name,
            "Labels": lambda: ",".join(f"{key}={value}" for key, value in sorted(one.labels.items())),
            "Mounts": "",
            "LocalVolumes": "0",
            "Networks": "",
        },
        Label=lambda key: one.labels.get(key, ""),
    )


def status(one: ContainerSummary, now: float) -> str:
    """ "Up 3 minutes (healthy)", "Up 3 minutes (Paused)",
    "Restarting (1) 5 seconds ago", "Exited (137) 2 hours ago", "Created"."""
    if one.status == "restarting":
        return f"Restarting ({one.exit_code}) {ago(one.finished, now)}"
    if one.running:
        up = f"Up {duration(now - seconds_of(one.started))}"
        if one.status == "paused":
            return f"{up} (Paused)"
        health = {"": "", "starting": " (health: starting)"}.get(one.health, f" ({one.health})")
        return up + health
    if one.status == "created" or not one.started:
        return "Created"
    return f"Exited ({one.exit_code}) {ago(one.finished, now)}"
