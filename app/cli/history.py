"""strata history: the steps that made an image, newest first."""

from __future__ import annotations

import sys
import time

from app.cli.format import ago, ellipsis, short_id, size, visible
from app.cli.output import rows_format_flag, write_rows
from app.cli.template_functions import Row

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from app.cli.flags import Args, Parser
    from engine.commands.history import HistoryRow

TABLE = "{{.ID}}\t{{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}"
PLAIN = "{{.ID}}\t{{.CreatedAt}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}"
TITLES = {
    "ID": "IMAGE",
    "CreatedSince": "CREATED",
    "CreatedAt": "CREATED AT",
    "CreatedBy": "CREATED BY",
    "Size": "SIZE",
    "Comment": "COMMENT",
}


def add_arguments(parser: Parser) -> None:
    parser.describe("[OPTIONS] IMAGE", least=1, most=1)
    rows_format_flag(parser)
    parser.add_argument(
        "-H", "--human", action="store_true", default=True, help="Print sizes and dates in human readable format"
    )
    parser.add_argument("--no-trunc", action="store_true", help="Don't truncate output")
    parser.add_argument("-q", "--quiet", action="store_true", help="Only show image IDs")


def run(args: Args) -> int:
    from engine.engine import Engine

    now = time.time()
    shown = visible if sys.stdout.isatty() else str
    found = Engine(args.root).history(args.words[0])
    rows = [history_row(one, now, not args.no_trunc, args.human, shown) for one in found]
    table = "{{.ID}}" if args.quiet else TABLE if args.human else PLAIN
    write_rows(rows, args.format, table, TITLES, quiet=args.quiet)
    return 0


def history_row(one: HistoryRow, now: float, short: bool, human: bool, shown: Callable[[str], str]) -> Row:
    """docker's fields of a step. shown: makes a foreign text fit for where it goes."""
    command, comment = one.created_by.replace("\t", " "), one.comment
    if short:
        command, comment = command.replace("\n", " "), comment.replace("\n", " ")
    return Row(
        "*formatter.historyContext",
        {
            "Comment": shown(comment),
            "CreatedAt": one.created,
            "CreatedBy": shown(ellipsis(command, 45) if short else command),
            "CreatedSince": ago(one.created, now),
            "ID": short_id(one.id) if short else one.id,
            "Size": size(one.size) if human else str(one.size),
        },
    )
