"""strata system restart: start again what a reboot ended, as far as restart policies want it."""

from __future__ import annotations

from app.cli.targets import each

TYPE_CHECKING = False
if TYPE_CHECKING:
    from app.cli.flags import Args, Parser


def add_arguments(parser: Parser) -> None:
    parser.describe(
        "[OPTIONS]",
        "Start the containers that do not run though their restart policy wants them to: after a\n"
        "reboot, or when their monitors were killed. Those are: of policy always every one that ever\n"
        "ran; of unless-stopped those that the user did not stop; of on-failure those that failed\n"
        "(the end that a reboot brings is a failure). There is no daemon that would do it: have the\n"
        "machine run this command once when it has come up. Prints the names of what it started.",
        most=0,
    )
    parser.add_argument("--dry-run", action="store_true", help="Only print what would be started")


def run(args: Args) -> int:
    from engine.engine import Engine

    with Engine(args.root) as engine:
        names = [container.name for container in engine.restartable()]
        if args.dry_run:
            return each(names, lambda name: name)

        def start(name: str) -> None:
            engine.start(name)

        return each(names, start)
