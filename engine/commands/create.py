"""create: an image's config and a person's choices become a container: its config, its files, its read-write layer."""

from __future__ import annotations

from engine.commands import confining, living
from engine.commands.options import CreateOptions
from engine.errors import Conflict, InvalidInput
from engine.settings import Limits, Settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engine.commands.context import Context
    from engine.store.containers import ContainerConfig
    from engine.store.images import ImageRecord

MADE_UP_NAMES_TRIED = 8  # before a digit is put behind one


def create(
    context: Context, image: str, options: CreateOptions | None = None, *, warn: Callable[[str], None] | None = None
) -> str:
    """Make a container from an image and return its id; nothing is started.

    warn: told of each choice that this machine cannot hold, and that is discarded.
    NoSuchImage; Conflict when the name is taken; InvalidInput for a choice that breaks a rule.
    """
    from engine.store.containers import new_id

    options = options or CreateOptions()
    record = context.store.images.resolve(image)
    container_id = new_id()
    options = _held(context, options, container_id, warn)
    if options.settings.userns != "auto":
        return _made(context, record, image, options, container_id)
    from engine.commands.surroundings import choose_ids

    with context.store.lock("ids"):  # nobody else takes the same before the container is there and shows them
        return _made(context, record, image, options, container_id, choose_ids(context.store))


def _made(
    context: Context,
    record: ImageRecord,
    image: str,
    options: CreateOptions,
    container_id: str,
    ids: tuple[int, ...] = (),
) -> str:
    """Make it, under the chosen name or the first made-up one that is free."""
    from engine.commands.telling import container_event

    tries = (options.name,) if options.name else _made_up_names()
    for name in tries:
        config = configure(record, image, options, container_id, name).replaced(ids=ids)
        try:
            context.store.containers.create(config, _files(config))
            container_event(context, config, "create")
            return container_id
        except Conflict:
            if options.name:
                raise
    raise Conflict("no free name was found: give one with --name")


def _held(
    context: Context, options: CreateOptions, container_id: str, warn: Callable[[str], None] | None
) -> CreateOptions:
    """The choices, checked and made whole, without the limits that cannot be held here."""
    if options.settings == Settings():
        return options
    from engine.commands.surroundings import settled

    options = settled(context.store, options)
    if options.settings.limits == Limits():
        return options
    from engine.commands.limiting import checked

    limits = checked(context, options.settings.limits, container_id, warn or _silent)
    return options.replaced(settings=options.settings.replaced(limits=limits))


def _silent(text: str) -> None:
    pass


def configure(record: ImageRecord, image: str, options: CreateOptions, container_id: str, name: str) -> ContainerConfig:
    """The container's config: what the image says, overlaid with what was chosen. Pure but for the time."""
    from engine.oci.times import rfc3339
    from engine.store.containers import ContainerConfig

    own = record.config
    if options.entrypoint is None:
        entrypoint, cmd = tuple(own.entrypoint), options.command or tuple(own.cmd)
    else:
        entrypoint, cmd = options.entrypoint, options.command
    if not (entrypoint or cmd):
        raise InvalidInput("no command specified")
    confining.check(options.settings)
    health = living.merged_health(options.settings.health, own.healthcheck)
    settings = options.settings.replaced(health=health)
    living.check(settings, options.auto_remove)
    return ContainerConfig(
        id=container_id,
        name=name,
        created=rfc3339(),
        image=record.id,
        image_name=image,
        layers=record.layers,
        entrypoint=entrypoint,
        cmd=cmd,
        args=(*entrypoint, *cmd),
        env=merge_env(own.env, options.env),
        cwd=_directory(options.cwd or own.working_dir),
        user=options.user or own.user,
        hostname=options.hostname or container_id[:12],
        tty=options.tty,
        open_stdin=options.open_stdin,
        attached=options.attached,
        stop_signal=_signal(options.stop_signal) or own.stop_signal,
        stop_timeout=options.stop_timeout,
        auto_remove=options.auto_remove,
        labels={**own.labels, **options.labels},
        exposed_ports=tuple(own.exposed_ports),
        volumes=tuple(own.volumes),
        shell=tuple(own.shell),
        settings=settings,
    )


def merge_env(base: Sequence[str], over: Sequence[str]) -> tuple[str, ...]:
    """Two lists of "KEY=value" by key, the second one winning; "KEY" alone in it takes the variable away."""
    merged = {item.partition("=")[0]: item for item in base}
    for item in over:
        key, equals, _ = item.partition("=")
        if not key:
            raise InvalidInput(f"invalid environment variable: {item}")
        if equals:
            merged[key] = item
        else:
            merged.pop(key, None)
    return tuple(merged.values())


def _directory(path: str) -> str:
    import os

    if not path:
        return ""
    if not path.startswith("/"):
        raise InvalidInput(f"the working directory '{path}' is invalid, it needs to be an absolute path")
    return os.path.normpath(path).replace("//", "/")


def _signal(text: str) -> str:
    if text:
        from engine.commands.signals import signal_number

        signal_number(text)
    return text


def _made_up_names() -> list[str]:
    from engine.commands.names import random_name

    names = [random_name() for _ in range(MADE_UP_NAMES_TRIED)]
    return [*names, *(f"{name}{digit}" for digit, name in enumerate(names))]


def _files(config: ContainerConfig) -> dict[str, bytes]:
    """The container's own /etc/hostname, /etc/hosts and /etc/resolv.conf, which are bound over the image's."""
    hosts = HOSTS + f"127.0.1.1\t{config.hostname} {config.name}\n".encode("utf-8", "surrogateescape")
    return {
        "hostname": f"{config.hostname}\n".encode("utf-8", "surrogateescape"),
        "hosts": _hosts_own("hosts") if config.settings.network == "host" else hosts,
        "resolv.conf": _hosts_own("resolv.conf"),
    }


# docker's own lines; the container's name leads to its loopback, the only link it has.
HOSTS = (
    b"127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::\tip6-localnet\n"
    b"ff00::\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n"
)


def _hosts_own(name: str) -> bytes:
    """A file of the host's /etc, b"" when it has none."""
    try:
        with open(f"/etc/{name}", "rb") as file:
            return file.read(1 << 20)
    except FileNotFoundError:
        return b""
