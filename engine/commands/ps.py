"""ps: the containers, newest first, as rows."""

from __future__ import annotations

from engine.commands.filters import check, has_labels, passes
from engine.commands.summaries import ContainerSummary
from engine.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from engine.commands.context import Context
    from engine.store.containers import Container, ContainerConfig

FILTERS = ("id", "name", "label", "exited", "status", "ancestor", "before", "since", "expose", "health")
HEALTHS = ("none", "starting", "healthy", "unhealthy")
STATUSES = ("created", "restarting", "running", "removing", "paused", "exited", "dead")


def containers(
    context: Context,
    *,
    all: bool = False,
    filters: Mapping[str, Sequence[str]] | None = None,
    size: bool = False,
    last: int = 0,
) -> list[ContainerSummary]:
    """Running ones, or every one with `all`, with last > 0 (the newest so many) or with a filter on the state.

    InvalidInput for an unknown filter, NoSuchContainer for a container that before or since name in vain.
    """
    filters = filters or {}
    check(filters, FILTERS)
    found = context.store.containers.snapshots()
    if not (all or last > 0 or "status" in filters or "exited" in filters):
        found = [container for container in found if container.state.running]
    if filters:
        found = _filtered(context, found, filters)
    names = _Names(context)
    return [_summary(context, container, names, size) for container in (found[:last] if last > 0 else found)]


def _summary(context: Context, container: Container, names: _Names, size: bool) -> ContainerSummary:
    own, state = container.config, container.state
    size_rw = size_root = None
    if size:
        from engine.errors import NotFound

        try:
            size_rw = context.store.layers.rw_size(own.id)
            size_root = size_rw + context.store.layers.size(own.layers)
        except (NotFound, FileNotFoundError):
            size_rw = size_root = 0  # removed while we looked
    return ContainerSummary(
        id=own.id,
        name=own.name,
        image=names.shown(own.image_name, own.image),
        image_id=own.image,
        command=" ".join(own.args),
        created=own.created,
        status=state.status,
        exit_code=state.exit_code,
        started=state.started,
        finished=state.finished,
        pid=state.pid,
        health=state.health,
        labels=own.labels,
        size_rw=size_rw,
        size_root=size_root,
        oom_killed=state.oom_killed,
    )


class _Names:
    """What containers' images are called now; `images.json` is read once for all of them."""

    def __init__(self, context: Context) -> None:
        self._index = context.store.images.read()
        self._owners: dict[str, str] = {}

    def shown(self, name: str, image_id: str) -> str:
        """The name a container was made from, while it still means the same image; else the image's id."""
        if name not in self._owners:
            from engine.errors import StrataError
            from engine.store.images import find

            try:
                self._owners[name] = find(name, *self._index)
            except StrataError:
                self._owners[name] = ""
        return name if self._owners[name] == image_id else image_id


def _filtered(context: Context, found: list[Container], filters: Mapping[str, Sequence[str]]) -> list[Container]:
    import re

    for status in filters.get("status", ()):
        if status not in STATUSES:
            raise InvalidInput(f"invalid filter 'status={status}'")
    for code in filters.get("exited", ()):
        if not code.lstrip("-").isdecimal():
            raise InvalidInput(f"invalid filter 'exited={code}'")
    for health in filters.get("health", ()):
        if health not in HEALTHS:
            raise InvalidInput(f"Unrecognised filter value for health: {health}")
    try:
        names = [re.compile(pattern) for pattern in filters.get("name", ())]
    except re.error as problem:
        raise InvalidInput(f"invalid filter 'name': {problem}") from None
    ancestors = [_ancestors(context, ref) for ref in filters.get("ancestor", ())]
    store = context.store.containers
    before = [_moment(store.get(store.resolve(ref))) for ref in filters.get("before", ())]
    since = [_moment(store.get(store.resolve(ref))) for ref in filters.get("since", ())]
    ports = {port if "/" in port else f"{port}/tcp" for port in filters.get("expose", ())}
    kept = []
    for container in found:
        own, state = container.config, container.state
        if (
            passes(filters.get("id"), own.id.startswith)
            and (not names or any(name.search(text) for name in names for text in (own.name, f"/{own.name}")))
            and has_labels(filters.get("label"), own.labels)
            and passes(filters.get("status"), state.status.__eq__)
            and passes(filters.get("health"), (state.health or "none").__eq__)
            and (not filters.get("exited") or (state.status == "exited" and str(state.exit_code) in filters["exited"]))
            and (not ancestors or any(own.image in images for images in ancestors))
            and all(_moment(own) < moment for moment in before)
            and all(_moment(own) > moment for moment in since)
            and (not ports or not ports.isdisjoint(own.exposed_ports))
        ):
            kept.append(container)
    return kept


def _moment(config: ContainerConfig) -> tuple[str, str]:
    return config.created, config.id


def _ancestors(context: Context, ref: str) -> set[str]:
    """The image that `ref` names and every image whose layers begin with its layers."""
    from engine.errors import NotFound

    try:
        base = context.store.images.resolve(ref)
    except NotFound:
        return set()
    return {image.id for image in context.store.images.all() if image.layers[: len(base.layers)] == base.layers}
