"""The flags of run and create that say how a container lives: restarts, health checks, its init, its log."""

from __future__ import annotations

from app.cli.flags import BadChoice

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from app.cli.flags import Args, Parser


def add_flags(parser: Parser) -> None:
    """The flags."""
    parser.add_argument(
        "--restart",
        default="no",
        help='Restart policy to apply when a container exits ("no", "on-failure[:max-retries]", "always", '
        '"unless-stopped")',
    )


def chosen(args: Args) -> dict[str, Any]:
    """The fields of `engine.settings.Settings` that they ask for. BadChoice for what cannot be."""
    found: dict[str, Any] = {}
    policy, most = restart_policy(args.restart)
    if policy not in ("", "no") or most:
        if args.rm:
            raise BadChoice("conflicting options: cannot specify both --restart and --rm")
        found["restart"], found["restart_max"] = policy, most
    return found


def restart_policy(text: str) -> tuple[str, int]:
    """ "on-failure:3" as its two parts; whether there is such a policy is for the engine to say. BadChoice."""
    name, colon, count = text.partition(":")
    if colon and not name:
        raise BadChoice("invalid restart policy format: no policy provided before colon")
    try:
        return name, int(count, 10) if count else 0
    except ValueError:
        raise BadChoice("invalid restart policy format: maximum retry count must be an integer") from None
