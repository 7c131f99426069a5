"""strata rm: containers and their read-write layers go."""

from __future__ import annotations

from app.cli.targets import each
from engine.errors import NoSuchContainer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from app.cli.flags import Args, Parser


def add_arguments(parser: Parser) -> None:
    parser.describe("[OPTIONS] CONTAINER [CONTAINER...]", least=1, most=None)
    parser.add_argument(
        "-f", "--force", action="store_true", help="Force the removal of a running container (uses SIGKILL)"
    )
    parser.add_argument(
        "-v", "--volumes", action="store_true", help="Remove anonymous volumes associated with the container"
    )


def run(args: Args) -> int:
    from engine.engine import Engine

    engine = Engine(args.root)

    def remove(ref: str) -> str | None:
        try:
            engine.remove(ref, force=args.force, volumes=args.volumes)
        except NoSuchContainer:
            if not args.force:
                raise
            return ""
        return None

    return each(args.words, remove)
