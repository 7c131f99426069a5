"""How a container lives: which restart policies there are, and which containers one command starts again."""

from __future__ import annotations

from engine.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.commands.context import Context
    from engine.settings import Settings
    from engine.store.container import Container

POLICIES = ("no", "always", "on-failure", "unless-stopped")


def check(settings: Settings, auto_remove: bool) -> None:
    """InvalidInput, in docker's words, for what cannot be had: at create, before anything is made."""
    check_restart(settings.restart, settings.restart_max)
    if auto_remove and settings.restart not in ("", "no"):
        raise InvalidInput("can't create 'AutoRemove' container with restart policy")


def check_restart(policy: str, most: int) -> None:
    """InvalidInput for a restart policy that does not exist (moby's ValidateRestartPolicy)."""
    if policy not in ("", *POLICIES):
        known = f"'{POLICIES[0]}', '{POLICIES[1]}', '{POLICIES[2]}', or '{POLICIES[3]}'"
        raise InvalidInput(f"invalid restart policy: unknown policy '{policy}'; use one of {known}")
    negative = " and cannot be negative" if most < 0 else ""
    if policy != "on-failure" and most:
        raise InvalidInput(f"invalid restart policy: maximum retry count can only be used with 'on-failure'{negative}")
    if negative:
        raise InvalidInput("invalid restart policy: maximum retry count cannot be negative")


def restartable(context: Context) -> list[Container]:
    """The containers that do not run though their restart policy wants them to, oldest first: what a reboot ended, or
    a monitor's death. What never ran is not among them, and of policy "always" what the user has stopped is, as after
    a restart of docker's daemon."""
    return [one for one in reversed(context.store.containers.snapshots()) if _wanted(one)]


def _wanted(container: Container) -> bool:
    settings, state = container.config.settings, container.state
    if state.running or not state.started:
        return False
    if settings.restart == "on-failure":
        again = not settings.restart_max or state.restarts < settings.restart_max
        return again and state.exit_code != 0 and not state.stopped_by_user
    return settings.restart == "always" or (settings.restart == "unless-stopped" and not state.stopped_by_user)
