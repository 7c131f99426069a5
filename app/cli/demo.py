"""`strata demo`: the demo image and container, made or found, and the explorer opened on them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from app.cli.output import out, words
from engine.engine import Engine

if TYPE_CHECKING:
    from app.cli.flags import Args, Parser


def add_arguments(parser: Parser) -> None:
    parser.describe("[OPTIONS]")
    parser.add_argument("--no-explorer", action="store_true", help="Make and start the demo, print its container's id")
    parser.add_argument("--remove", action="store_true", help="Remove the demo's container, images and layers")


def run(args: Args) -> int:
    from app.demo import container

    with Engine(args.root) as engine:
        if args.remove:
            out("".join(line + "\n" for line in container.remove(engine)))
            return 0
        demo = container.ensure(engine)
        if args.no_explorer:
            out(demo + "\n")
            return 0
        if not sys.stdout.isatty():
            words(
                f"the explorer needs a terminal; the demo runs as container {container.NAME}: see `strata logs -f demo`"
            )
            return 0
        from app.tui.app import run as explore

        return explore(engine, select=demo) or 0
