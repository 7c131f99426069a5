"""The flags of run and create that say how a container lives: restarts, health checks, its init, its log."""

from __future__ import annotations

from app.cli.durations import duration
from app.cli.flags import BadChoice, number

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
    parser.add_argument(
        "--init", action="store_true", help="Run an init inside the container that forwards signals and reaps processes"
    )
    parser.add_argument("--log-driver", default="", help='Logging driver for the container ("json-file", "none")')
    parser.add_argument(
        "--log-opt", action="append", type=_option, metavar="list", help="Log driver options (max-size, max-file)"
    )
    parser.add_argument("--health-cmd", default="", help="Command to run to check health")
    for name, text in (
        ("interval", "Time between running the check (ms|s|m|h)"),
        ("timeout", "Maximum time to allow one check to run (ms|s|m|h)"),
        ("start-period", "Start period for the container to initialize before starting health-retries countdown"),
        ("start-interval", "Time between running the check during the start period (ms|s|m|h)"),
    ):
        parser.add_argument(f"--health-{name}", type=duration, default=0, metavar="duration", help=text)
    parser.add_argument(
        "--health-retries",
        type=number,
        default=0,
        metavar="int",
        help="Consecutive failures needed to report unhealthy",
    )
    parser.add_argument("--no-healthcheck", action="store_true", help="Disable any container-specified HEALTHCHECK")


def chosen(args: Args) -> dict[str, Any]:
    """The fields of `engine.settings.Settings` that they ask for. BadChoice for what cannot be."""
    found: dict[str, Any] = {}
    policy, most = restart_policy(args.restart)
    if policy not in ("", "no") or most:
        if args.rm:
            raise BadChoice("conflicting options: cannot specify both --restart and --rm")
        found["restart"], found["restart_max"] = policy, most
    if args.init:
        found["init"] = True
    if args.log_driver:
        found["log_driver"] = args.log_driver
    if args.log_opt:
        if args.log_driver == "none":
            raise BadChoice("invalid logging opts for driver none")
        found["log_opts"] = dict(args.log_opt)
    health = _health(args)
    if health:
        from engine.settings import Health

        found["health"] = Health(**health)
    return found


def _option(text: str) -> tuple[str, str]:
    key, _, value = text.partition("=")
    return key, value


def _health(args: Args) -> dict[str, Any]:
    """The fields of `engine.settings.Health`."""
    numbers = ("interval", "timeout", "start_period", "start_interval", "retries")
    found: dict[str, Any] = {name: value for name in numbers if (value := getattr(args, f"health_{name}"))}
    if args.health_cmd:
        found["test"] = ("CMD-SHELL", args.health_cmd)
    if args.no_healthcheck:
        if found:
            raise BadChoice("--no-healthcheck conflicts with --health-* options")
        return {"test": ("NONE",)}
    for name, value in found.items():
        if name != "test" and value < 0:
            raise BadChoice(f"--health-{name.replace('_', '-')} cannot be negative")
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
