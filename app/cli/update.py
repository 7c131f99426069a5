"""strata update: other limits or another restart policy for containers that there are, at once when they run."""

from __future__ import annotations

from app.cli.flags import BadChoice
from app.cli.limits import add_changeable_flags, changes
from app.cli.living import restart_policy
from app.cli.output import words
from app.cli.targets import each

TYPE_CHECKING = False
if TYPE_CHECKING:
    from app.cli.flags import Args, Parser


def add_arguments(parser: Parser) -> None:
    parser.describe("[OPTIONS] CONTAINER [CONTAINER...]", least=1, most=None)
    add_changeable_flags(parser)
    parser.add_argument("--restart", help="Restart policy to apply when a container exits")


def run(args: Args) -> int:
    from engine.engine import Engine

    wanted = changes(args)
    try:
        restart = None if args.restart is None else restart_policy(args.restart)
    except BadChoice as error:
        words(str(error))
        return 1
    if not wanted and restart is None:
        words("You must provide one or more flags when using this command.")
        return 1
    engine = Engine(args.root)
    return each(
        args.words,
        lambda ref: engine.update(ref, wanted, restart=restart, warn=lambda text: words(f"WARNING: {text}")),
    )
