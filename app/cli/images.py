"""strata images: top-level images as rows; with -a every read-only layer is there."""

from __future__ import annotations

import time

from app.cli.format import ago, created_at, short_id, size
from app.cli.output import filter_flag, gathered, rows_format_flag, write_rows
from app.cli.template_functions import Row

TYPE_CHECKING = False
if TYPE_CHECKING:
    from app.cli.flags import Args, Parser
    from engine.commands.summaries import ImageSummary

TABLE = "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}"
DIGESTS = "{{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}"
TITLES = {
    "ID": "IMAGE ID",
    "Repository": "REPOSITORY",
    "Tag": "TAG",
    "Digest": "DIGEST",
    "CreatedSince": "CREATED",
    "CreatedAt": "CREATED AT",
    "Size": "SIZE",
    "Containers": "CONTAINERS",
    "SharedSize": "SHARED SIZE",
    "UniqueSize": "UNIQUE SIZE",
}
NONE = "<none>"


def add_arguments(parser: Parser) -> None:
    parser.describe("[OPTIONS] [REPOSITORY[:TAG]]", most=1)
    parser.add_argument("-a", "--all", action="store_true", help="Show all images (default hides intermediate images)")
    parser.add_argument("--digests", action="store_true", help="Show digests")
    filter_flag(parser)
    rows_format_flag(parser)
    parser.add_argument("--no-trunc", action="store_true", help="Don't truncate output")
    parser.add_argument("-q", "--quiet", action="store_true", help="Only show image IDs")


def run(args: Args) -> int:
    from engine.engine import Engine

    found = Engine(args.root).images(args.all, gathered(args.filter), name=args.words[0] if args.words else "")
    now = time.time()
    rows = [row for one in found for row in image_rows(one, now, not args.no_trunc)]
    table = "{{.ID}}" if args.quiet else DIGESTS if args.digests else TABLE
    write_rows(rows, args.format, table, TITLES, quiet=args.quiet)
    return 0


def image_rows(one: ImageSummary, now: float, short: bool) -> list[Row]:
    """docker's fields, a row for each name; a layer, or an image without names, has one row of <none>."""
    rows = []
    for name in one.names or ("",):
        name, _, digest = name.partition("@")
        repository, colon, tag = name.rpartition(":")
        if not colon or "/" in tag:
            repository, tag = name, ""
        noted = (other.partition("@") for other in one.digests)
        digest = digest or next((value for place, _, value in noted if place == repository), "")
        rows.append(
            Row(
                "*formatter.imageContext",
                {
                    "Containers": str(one.containers),
                    "CreatedAt": lambda: created_at(one.created),
                    "CreatedSince": lambda: ago(one.created, now),
                    "Digest": digest or NONE,
                    "ID": short_id(one.id) if short else one.id,
                    "Repository": repository or NONE,
                    "SharedSize": "N/A",
                    "Size": size(one.size),
                    "Tag": tag or NONE,
                    "UniqueSize": "N/A",
                },
            )
        )
    return rows
