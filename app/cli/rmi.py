"""strata rmi: names of images, and images, go."""

from __future__ import annotations

from app.cli.output import words
from app.cli.targets import each
from engine.errors import NoSuchImage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from app.cli.flags import Args, Parser


def add_arguments(parser: Parser) -> None:
    parser.describe("[OPTIONS] IMAGE [IMAGE...]", least=1, most=None)
    parser.add_argument("-f", "--force", action="store_true", help="Force removal of the image")
    parser.add_argument("--no-prune", action="store_true", help="Do not delete untagged parents")


def run(args: Args) -> int:
    from engine.engine import Engine

    engine = Engine(args.root)

    def remove(ref: str) -> str:
        try:
            return "\n".join(engine.remove_image(ref, force=args.force, prune=not args.no_prune))
        except NoSuchImage as error:
            if not args.force:
                raise
            words(f"Error: {error}")
            return ""

    return each(args.words, remove)
