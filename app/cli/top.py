"""strata top: the processes of a container, as the host sees them."""

from __future__ import annotations

import sys

from app.cli.output import out
from app.cli.table import tabulate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from app.cli.flags import Args, Parser


LEAST = 20  # columns of a column, as docker top


def add_arguments(parser: Parser) -> None:
    parser.describe("CONTAINER [ps OPTIONS]", least=1, most=None, interspersed=False)


def run(args: Args) -> int:
    from app.cli.format import visible
    from engine.engine import Engine

    found = Engine(args.root).top(args.words[0], args.words[1:])
    # A container's processes call themselves what they like: on a terminal that must not move the cursor.
    shown = visible if sys.stdout.isatty() else str
    rows = [found.titles, *found.processes]
    lines = ["\t".join(shown(cell.replace("\t", " ").replace("\n", " ")) for cell in row) for row in rows]
    out("".join(f"{line}\n" for line in tabulate(lines, LEAST)))
    return 0
