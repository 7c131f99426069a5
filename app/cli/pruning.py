"""What the three prunes have in common: flags, and how they tell what went."""

from __future__ import annotations

from app.cli.format import size
from app.cli.output import out

TYPE_CHECKING = False
if TYPE_CHECKING:
    from app.cli.flags import Args, Parser
    from engine.commands.prune import Pruned


def add_flags(parser: Parser, example: str) -> None:
    def pair(text: str) -> tuple[str, str]:
        key, equals, value = text.partition("=")
        if not equals:
            raise ValueError("bad format of filter (expected name=value)")
        return key.strip().lower(), value.strip()

    parser.add_argument(
        "--filter", action="append", type=pair, metavar="filter", help=f"Provide filter values (e.g. {example})"
    )
    parser.add_argument("-f", "--force", action="store_true", help="Do not prompt for confirmation")


def go_on(args: Args, warning: str) -> bool:
    """Whether it is wanted: by force, or by an answer."""
    from app.cli.asking import agreed

    return args.force or agreed(warning)


def tell(pruned: Pruned) -> None:
    """docker's words."""
    if pruned.containers:
        out("Deleted Containers:\n" + "".join(f"{container}\n" for container in pruned.containers) + "\n")
    if pruned.images:
        out("Deleted Images:\n" + "".join(f"{line[:1].lower()}{line[1:]}\n" for line in pruned.images) + "\n")
    out(f"Total reclaimed space: {size(pruned.reclaimed)}\n")
