"""strata port: where a container's ports are published."""

from __future__ import annotations

from app.cli.output import out

TYPE_CHECKING = False
if TYPE_CHECKING:
    from app.cli.flags import Args, Parser


def add_arguments(parser: Parser) -> None:
    parser.describe("CONTAINER [PRIVATE_PORT[/PROTO]]", least=1, most=2)


def run(args: Args) -> int:
    from engine.engine import Engine

    engine = Engine(args.root)
    if len(args.words) == 2:
        lines = engine.published(*args.words)
    else:
        lines = [f"{port} -> {place}" for port, place in engine.ports(args.words[0])]
    out("".join(f"{line}\n" for line in lines))
    return 0
