"""strata cp: files between a container and this machine."""

from __future__ import annotations

import os
import sys

from app.cli.flags import UsageError
from app.cli.output import words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from app.cli.flags import Args, Parser


def add_arguments(parser: Parser) -> None:
    usage = f"[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n        {parser.path} [OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH"
    parser.describe(usage, least=2, most=2)
    parser.add_argument("-a", "--archive", action="store_true", help="Archive mode (copy all uid/gid information)")
    parser.add_argument("-L", "--follow-link", action="store_true", help="Always follow symbol link in SRC_PATH")
    parser.add_argument(
        "-q",
        "--quiet",
        action="store_true",
        help="Suppress progress output during copy. Progress output is automatically suppressed if no terminal is "
        "attached",
    )


def run(args: Args) -> int:
    from engine.engine import Engine

    source, target = map(split, args.words)
    if source[0] and target[0]:
        raise UsageError("copying between containers is not supported", 1)
    if not source[0] and not target[0]:
        raise UsageError("must specify at least one container source", 1)
    engine = Engine(args.root)
    choices = {"archive": args.archive, "follow": args.follow_link, "warn": words}
    if source[0]:
        if target[1] == "-":
            if os.isatty(1):
                raise UsageError("cowardly refusing to write an archive to a terminal: redirect it", 1)
            sys.stdout.flush()
            engine.copy_from(source[0], source[1], 1, **choices)
            return 0
        count = engine.copy_from(source[0], source[1], target[1], **choices)
        place = os.path.abspath(target[1])
    elif source[1] == "-":
        if os.isatty(0):
            raise UsageError("an archive is to come from standard input, which is a terminal: redirect it", 1)
        engine.copy_to(target[0], 0, target[1], **choices)
        return 0
    else:
        count = engine.copy_to(target[0], source[1], target[1], **choices)
        place = f"{target[0]}:{target[1]}"
    if not args.quiet and sys.stdout.isatty():
        from app.cli.format import size

        words(f"Successfully copied {size(count)} to {place}")
    return 0


def split(word: str) -> tuple[str, str]:
    """(container or "", path): docker's rule, by which an absolute path or one that begins with a dot is this
    machine's, whatever colons it has."""
    if word.startswith("/"):
        return "", word
    container, colon, path = word.partition(":")
    if not colon or container.startswith("."):
        return "", word
    return container, path
