"""How a container lives: restart policies, health checks, and which containers one command starts again."""

from __future__ import annotations

from engine import jsons
from engine.errors import InvalidInput
from engine.settings import Health

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from engine.commands.context import Context
    from engine.settings import Settings
    from engine.store.container import Container

MILLISECOND = 1_000_000
TIMES = {
    "interval": "Interval",
    "timeout": "Timeout",
    "start_period": "StartPeriod",
    "start_interval": "StartInterval",
}
DRIVERS = ("json-file", "none")
LOG_OPTIONS = ("max-size", "max-file")
POLICIES = ("no", "always", "on-failure", "unless-stopped")


def check(settings: Settings, auto_remove: bool) -> None:
    """InvalidInput, in docker's words, for what cannot be had: at create, before anything is made."""
    check_restart(settings.restart, settings.restart_max)
    check_health(settings.health)
    check_log(settings)
    if settings.init:
        from engine.commands.reaper import find

        find()
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


def merged_health(own: Health, image: Health) -> Health:
    """The person's health check, with what it leaves out from the image's, field by field."""
    if own == Health():
        return image
    return Health(**{field: getattr(own, field) or getattr(image, field) for field in Health.fields()})


def check_health(health: Health) -> None:
    """InvalidInput for times and numbers that make no sense (moby's validateHealthCheck)."""
    for field, name in TIMES.items():
        if getattr(health, field) and getattr(health, field) < MILLISECOND:
            raise InvalidInput(f"{name} in Healthcheck cannot be less than 1ms")
    if health.retries < 0:
        raise InvalidInput("Retries in Healthcheck cannot be negative")


def check_log(settings: Settings) -> None:
    """InvalidInput for a log driver or option that there is not."""
    driver = settings.log_driver or DRIVERS[0]
    if driver not in DRIVERS:
        known = " and ".join(DRIVERS)
        raise InvalidInput(f'error looking up logging plugin {driver}: plugin "{driver}" not found; there are {known}')
    for option in settings.log_opts:
        if driver == "json-file" and option not in LOG_OPTIONS:
            raise InvalidInput(f"unknown log opt '{option}' for json-file log driver")
    try:
        settings.log()
    except ValueError as error:
        raise InvalidInput(f"failed to initialize logging driver: {error}") from None


def health_document(health: Health) -> dict[str, Any] | None:
    """docker's object for a health check; None when there is none."""
    if health == Health():
        return None
    names = {**TIMES, "retries": "Retries"}
    numbers = {name: getattr(health, field) for field, name in names.items() if getattr(health, field)}
    return {**({"Test": list(health.test)} if health.test else {}), **numbers}


def health_state(context: Context, container: Container) -> dict[str, Any] | None:
    """docker's State.Health: status, failing streak and the last results; None without a check."""
    if not container.state.health:
        return None
    try:
        with open(context.store.containers.path(container.id, "health.json"), "rb") as file:
            found: dict[str, Any] = jsons.loads(file.read())
    except (FileNotFoundError, ValueError):  # a full disk, or a power cut
        found = {"FailingStreak": 0, "Log": []}
    return {**found, "Status": container.state.health}


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
