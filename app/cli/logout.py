"""strata logout: forget a registry's credentials."""

from __future__ import annotations

from app.cli.output import out

TYPE_CHECKING = False
if TYPE_CHECKING:
    from app.cli.flags import Args, Parser


def add_arguments(parser: Parser) -> None:
    parser.describe("[SERVER]", "Log out from a registry (docker.io if none is named)", most=1)


def run(args: Args) -> int:
    from engine.commands.login import logout, registry_domain

    server = args.words[0] if args.words else ""
    domain = registry_domain(server)
    if logout(server):
        out(f"Removing login credentials for {domain}\n")
    else:
        out(f"Not logged in to {domain}\n")
    return 0
