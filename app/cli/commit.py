"""strata commit: a container's changes become an image."""

from __future__ import annotations

from app.cli.output import out, words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from app.cli.flags import Args, Parser


def add_arguments(parser: Parser) -> None:
    parser.describe("[OPTIONS] CONTAINER [REPOSITORY[:TAG]]", least=1, most=2)
    parser.add_argument("-a", "--author", default="", help='Author (e.g., "John Hannibal Smith <hannibal@a-team.com>")')
    parser.add_argument(
        "-c", "--change", action="append", metavar="list", help="Apply Dockerfile instruction to the created image"
    )
    parser.add_argument("-m", "--message", default="", help="Commit message")
    parser.add_argument("-p", "--pause", action="store_true", default=True, help="Pause container during commit")


def run(args: Args) -> int:
    from engine.engine import Engine

    ref, name = args.words[0], args.words[1] if len(args.words) > 1 else None
    image = Engine(args.root).commit(
        ref,
        name,
        message=args.message,
        author=args.author,
        changes=args.change,
        pause=args.pause,
        warn=lambda text: words(f"strata: {text}"),
    )
    out(f"{image}\n")
    return 0
